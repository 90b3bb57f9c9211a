//! Answers that are only looked at.

use trifold_backfill::{Questions, Replay, Resources, Watch};
use trifold_model::{Cut, EntityKey, EventTime, RowDigest};
use trifold_pipeline::Ask;

use crate::cuts::position;
use crate::fixture::{Limits, Random, Scene, echo, random_events, run, seconds};

fn replay(scene: &Scene, ask: Ask, questions: Option<Questions>) -> Vec<(u64, EventTime, Vec<u8>)> {
    let job = scene.job(&echo(Limits { ttl: Some(6), ..Limits::default() }, false), ask, false, true);
    let spill_dir = scene.out.with_file_name("spill");
    let resources = Resources::default();
    let replay = Replay { job, questions, spill_dir: spill_dir.clone(), resources, watch: Watch::default() };
    let mut answers = Vec::new();
    let count = replay
        .answers(&mut |answer| {
            answers.push((answer.number, answer.as_of, answer.value.unwrap().to_owned()));
        })
        .unwrap();
    assert_eq!(count, answers.len() as u64);
    assert!(answers.is_sorted_by_key(|(number, ..)| *number));
    assert_eq!(std::fs::read_dir(&spill_dir).unwrap().count(), 0, "nothing is left behind");
    answers
}

#[test]
fn a_replay_gives_the_rows_of_the_files() {
    for ordered in [false, true] {
        let mut events = random_events(&mut Random(0x5EED_0041), 700);
        if ordered {
            events.sort_by_key(|event| event.time);
        }
        let scene = Scene::new(&events, 5);
        let version = echo(Limits { ttl: Some(6), ..Limits::default() }, false);
        for ask in [Ask::OwnPosition, Ask::EveryEvent(Cut::Position(position(333)))] {
            let (_, rows) = run(&scene.backfill(scene.job(&version, ask.clone(), false, true), 3)).unwrap();
            let answers = replay(&scene, ask, None);
            assert_eq!(answers.len(), rows.len());
            for (number, as_of, canonical) in answers {
                let row = &rows[&number];
                assert_eq!((as_of, RowDigest::of(&canonical)), (row.as_of, row.digest), "row {number}");
            }
        }
    }
}

#[test]
fn questions_are_answered_in_their_order() {
    let mut random = Random(0x5EED_0042);
    let scene = Scene::new(&random_events(&mut random, 300), 2);
    let mut questions = Questions::default();
    for _ in 0..500 {
        let mut key = vec![1];
        key.extend_from_slice(&(random.below(7) as i64).to_le_bytes());
        questions.keys.push(EntityKey(key.into()));
        questions.as_of.push(seconds(random.below(90) as i64));
    }
    let ask = Ask::Spine(Cut::Position(position(200)));
    let answers = replay(&scene, ask.clone(), Some(questions.clone()));
    assert_eq!(answers.len(), 500);
    for (index, (number, as_of, canonical)) in answers.iter().enumerate() {
        assert_eq!((*number, *as_of), (index as u64, questions.as_of[index]));
        let alone = Questions { keys: vec![questions.keys[index].clone()], as_of: vec![*as_of] };
        if index % 50 == 0 {
            assert_eq!(replay(&scene, ask.clone(), Some(alone))[0].2, *canonical, "question {index} asked alone");
        }
    }
}
