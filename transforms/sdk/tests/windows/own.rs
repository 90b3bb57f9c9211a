//! A view with a state of its own, whose fold has one right order.

use trifold_sdk::aggregate::put_text;
use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, WindowGuest};

use super::batches::{Answer, column, folded, group, merged, packed, rows, span, states};

#[derive(Input)]
struct Letter<'a> {
    #[entity]
    writer: &'a str,
    event_id: &'a str,
}

/// What a fold needs of a letter.
#[derive(Prepared)]
struct Mark<'a> {
    /// Its id.
    id: &'a str,
    length: Option<i64>,
}

/// The ids in the order of the fold, and where tiles met.
#[derive(Clone, Default)]
struct Trail(String);

impl State for Trail {
    fn encode(&self, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            put_text(out, &self.0);
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        input.text().map(|text| Trail(text.to_owned()))
    }
}

/// How it went.
#[derive(Output)]
struct Trails {
    writer: String,
    short: String,
    long: Option<String>,
    as_of: Timestamp,
}

struct LetterTrail;

/// The letters of a writer.
#[window_view(windows = "1m, 2m/30s", order = "event-time", name = "letters")]
impl WindowView for LetterTrail {
    type Event<'a> = Letter<'a>;
    type Prepared<'a> = Mark<'a>;
    type State = Trail;
    type Features = Trails;

    fn prepare(letter: Self::Event<'_>) -> Result<Self::Prepared<'_>, RowError> {
        match letter.event_id {
            "" => Err("no id".into()),
            id => Ok(Mark { id, length: (id.len() > 1).then_some(id.len() as i64) }),
        }
    }

    fn accumulate(state: &mut Trail, mark: Mark<'_>) {
        state.0 += mark.id;
        state.0 += &mark.length.map(|length| length.to_string()).unwrap_or_default();
    }

    fn merge(state: &mut Trail, later: &Trail) {
        if !later.0.is_empty() {
            let tiles = [std::mem::take(&mut state.0), later.0.clone()];
            state.0 = tiles.into_iter().filter(|tile| !tile.is_empty()).collect::<Vec<_>>().join("|");
        }
    }

    fn finish(windows: &[Trail], writer: &str, as_of: Timestamp) -> Result<Trails, RowError> {
        if writer == "nobody" {
            return Err(RowError::new(5, "nobody writes"));
        }
        let [short, long] = windows else { unreachable!("two windows") };
        let long = Some(long.0.clone()).filter(|trail| !trail.is_empty());
        Ok(Trails { writer: writer.to_owned(), short: short.0.clone(), long, as_of })
    }
}

#[derive(Output)]
struct Sent {
    writer: String,
    event_id: String,
}

fn letters(ids: &str) -> Batch {
    rows(ids.split(' ').map(|id| Sent { writer: "w".into(), event_id: id.into() }))
}

fn trail(ids: &str) -> Vec<u8> {
    folded::<TrifoldComponent>(letters(ids))
}

#[test]
fn a_state_of_its_own_shows_the_order_of_the_fold() {
    assert_eq!(trail("a bc d"), b"\x05abc2d");
    assert_ne!(trail("a bc d"), trail("bc a d"));
    assert_eq!(merged::<TrifoldComponent>(&[trail("a"), Vec::new(), trail("b"), trail("c")]), b"\x05a|b|c");
    let prepared = TrifoldComponent::prepare(letters("a b c")).unwrap().rows;
    let groups = vec![group(0, 0, 1), group(1, 1, 2), group(1, 2, 1)];
    let answer = TrifoldComponent::accumulate(packed([Vec::new()]), groups, prepared).unwrap();
    assert_eq!(states(&answer), [trail("a"), trail("a b c"), trail("a c")]);
}

#[test]
fn its_windows_come_with_the_key_and_the_moment() {
    let keys = column(["w", "nobody", "x"].map(str::to_owned));
    let windows = vec![span(2, 1), span(0, 3), span(0, 1), span(0, 1), span(0, 0), span(0, 0)];
    let tiles = packed([trail("a"), trail("b"), trail("c")]);
    let outcome = TrifoldComponent::finish(tiles, vec![1, 0, 2], windows, keys, vec![5, 6, -7]).unwrap();
    let refused: Vec<_> = outcome.rejections.iter().map(|one| (one.row, one.code, one.message.as_str())).collect();
    assert_eq!(refused, [(1, 5, "nobody writes")]);
    let mut answer = Answer::new(&outcome.rows);
    assert_eq!(answer.next::<&str>(), ["w", "", "x"]);
    assert_eq!(answer.next::<&str>(), ["c", "", ""]);
    assert_eq!(answer.next::<Option<&str>>(), [Some("b|a|c"), None, None]);
    let moments = answer.next::<Timestamp>().into_iter().map(Timestamp::micros);
    assert_eq!(moments.collect::<Vec<_>>(), [5, 0, -7]);
    answer.finish();
}

#[test]
fn its_description_names_its_prepared_columns() {
    let description = TrifoldComponent::describe();
    let expected = concat!(
        r#""prepared":[{"name":"id","type":"utf8","nullable":false,"doc":"Its id."},"#,
        r#"{"name":"length","type":"int64","nullable":true,"doc":""}],"#,
        r#""windows":[{"seconds":60,"hop-seconds":1},{"seconds":120,"hop-seconds":30}],"#,
        r#""fold-order":"event-time","deduplicate":true,"#,
    );
    assert!(description.contains(expected), "{description}");
    assert!(
        description
            .starts_with(r#"{"contract":1,"view":"letters","kind":"window","doc":"The letters of a writer.""#)
    );
}
