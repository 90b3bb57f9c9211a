//! What cannot be done, and events that do not count.

use std::fs;

use trifold_backfill::{BackfillError, Spine};
use trifold_eventlog::{AsideReason, LogError};
use trifold_model::Cut;
use trifold_pipeline::Ask;

use crate::fixture::{Limits, Random, Scene, echo, random_events, run};

#[test]
fn bad_rows_are_set_aside_in_the_order_of_the_log() {
    let events = random_events(&mut Random(0x5EED_0061), 90);
    let scene = Scene::new(&events, 3);
    let tail = [
        r#"{"key":null,"value":1,"event_time":"2013-01-01T00:00:00Z","event_id":"x","arrived":"2013-01-01T00:00:00Z"}"#,
        "not json",
        r#"{"key":1,"value":1.5,"event_time":"2013-01-01T00:00:00Z","event_id":"x","arrived":"2013-01-01T00:00:00Z"}"#,
    ];
    fs::write(scene.log.join("9999.jsonl"), tail.join("\n") + "\n").unwrap();
    let job = scene.job(&echo(Limits::default(), false), Ask::OwnPosition, false, true);
    let (report, rows) = run(&scene.backfill(job, 2)).unwrap();
    assert_eq!((report.events_read, rows.len()), (93, 90));
    assert_eq!(report.aside, [(AsideReason::NullKey, 1), (AsideReason::Decode, 2)].into());
    let aside = fs::read_to_string(scene.out.join("_aside/00000000000000000090.jsonl")).unwrap();
    let offsets: Vec<_> = aside
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| (line["offset"].as_u64().unwrap(), line["reason"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [(90, "null-key"), (91, "decode"), (92, "decode")];
    assert_eq!(offsets, expected.map(|(offset, reason)| (offset, reason.to_owned())));
}

#[test]
fn a_missing_column_names_the_file() {
    let scene = Scene::new(&random_events(&mut Random(5), 30), 2);
    for recorded in [false, true] {
        let mut job = scene.job(&echo(Limits::default(), true), Ask::OwnPosition, false, recorded);
        let error = scene.backfill(job.clone(), 2).run().unwrap_err();
        let BackfillError::Log(LogError::MissingColumn { file, column, .. }) = &error else { panic!("{error}") };
        assert!(column == "padding" && file.ends_with("0000.parquet"), "{error}");
        job.source.event_time = "when".to_owned();
        let error = scene.backfill(job, 2).run().unwrap_err();
        assert!(error.to_string().contains("when"), "{error}");
    }
}

#[test]
fn a_truncated_file_is_named() {
    let scene = Scene::new(&random_events(&mut Random(6), 3000), 1);
    let path = scene.log.join("0000.parquet");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let job = scene.job(&echo(Limits::default(), false), Ask::OwnPosition, false, false);
    let error = scene.backfill(job, 2).run().unwrap_err().to_string();
    assert!(error.contains("0000.parquet"), "{error}");
}

#[test]
fn questions_that_do_not_go_together_are_refused() {
    let scene = Scene::new(&random_events(&mut Random(7), 10), 1);
    let version = echo(Limits::default(), false);
    let error = scene.backfill(scene.job(&version, Ask::Spine(Cut::All), false, true), 1).run().unwrap_err();
    assert!(matches!(error, BackfillError::Usage(_)), "{error}");
    let mut backfill = scene.backfill(scene.job(&version, Ask::OwnPosition, false, true), 1);
    backfill.spine = Some(Spine::new("spine.parquet"));
    let error = backfill.run().unwrap_err();
    assert!(matches!(error, BackfillError::Usage(_)), "{error}");
    let job = scene.job(&version, Ask::EveryEvent(Cut::Arrival), false, false);
    let error = scene.backfill(job, 1).run().unwrap_err().to_string();
    assert!(error.contains("--arrival"), "{error}");
}
