//! Prepared columns: items of every type, and expressions that several fields share.

use std::cell::Cell;

use trifold_sdk::aggregate::{Aggregate, FoldOrder};
use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, WindowGuest};

use super::batches::{Answer, column, folded, group, packed, rows, span, states};

/// Keeps what it was given as text: whatever crosses between `prepare` and `accumulate` shows.
macro_rules! journals {
    ($($name:ident: $item:ty, |$given:ident| $text:expr;)*) => {$(
        #[derive(Clone, Default, Debug)]
        struct $name(String);

        impl Aggregate for $name {
            type Item<'a> = $item;
            type Feature = String;
            const FEATURES: &'static [&'static str] = &[""];
            const ORDER: FoldOrder = FoldOrder::EventTime;

            fn add(&mut self, $given: Self::Item<'_>) {
                let text: &str = &$text;
                self.0 += text;
                self.0 += ";";
            }

            fn merge(&mut self, later: &Self) {
                self.0 += &later.0;
            }

            fn encode(&self, out: &mut Vec<u8>) {
                if !self.0.is_empty() {
                    trifold_sdk::aggregate::put_text(out, &self.0);
                }
            }

            fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
                input.text().map(|text| $name(text.to_owned()))
            }

            fn finish(&self, _as_of: Timestamp) -> String {
                self.0.clone()
            }
        }
    )*};
}

journals! {
    Nothing: (), |given| format!("{given:?}");
    Flag: bool, |given| given.to_string();
    Whole: i64, |given| given.to_string();
    Hash: u64, |given| given.to_string();
    MaybeHash: Option<u64>, |given| format!("{given:?}");
    Real: f64, |given| format!("{given:?}");
    MaybeReal: Option<f64>, |given| format!("{given:?}");
    MaybeFlag: Option<bool>, |given| format!("{given:?}");
    At: Timestamp, |given| given.micros().to_string();
    Text: &'a str, |given| given;
    MaybeText: Option<&'a str>, |given| format!("{given:?}");
    One: (i64,), |given| format!("{given:?}");
    Four: (Timestamp, &'a str, Option<f64>, bool),
        |given| format!("{} {} {:?} {}", given.0.micros(), given.1, given.2, given.3);
}

thread_local! {
    static EVALUATED: Cell<usize> = const { Cell::new(0) };
}

/// Counts how often it is evaluated.
fn counted<T>(value: T) -> T {
    EVALUATED.set(EVALUATED.get() + 1);
    value
}

#[derive(Input)]
struct Event<'a> {
    #[entity]
    key: &'a str,
    at: Timestamp,
    real: Option<f64>,
    whole: i64,
}

#[derive(Output, Clone)]
struct Sent {
    key: String,
    at: Timestamp,
    real: Option<f64>,
    whole: i64,
}

#[window_view(event = Event<'_>, windows = "1m")]
struct Journal {
    #[of(())]
    nothing: Nothing,
    #[of(event.real.is_some())]
    flag: Flag,
    #[of(event.whole)]
    whole: Whole,
    #[of(hash64(event.key))]
    hash: Hash,
    // The same expression in columns of another type, and then once more in those.
    #[of(hash64(event.key))]
    maybe_hash: MaybeHash,
    #[of( hash64( event.key ) )]
    again: MaybeHash,
    #[of(event.real.unwrap_or(-0.0))]
    real: Real,
    #[of(counted(event.real))]
    maybe_real: MaybeReal,
    #[of(counted(event.real))]
    largest: Max<f64>,
    #[of(event.real.map(|real| real > 1.0))]
    maybe_flag: MaybeFlag,
    #[of(event.at)]
    at: At,
    #[of(event.key)]
    text: Text,
    #[of(event.key.strip_prefix("k"))]
    maybe_text: MaybeText,
    #[of((event.whole,))]
    one: One,
    #[of((event.at, event.key, event.real, true))]
    four: Four,
}

fn events() -> Batch {
    let at = Timestamp::from_micros;
    rows([
        Sent { key: "k\u{20AC}".into(), at: at(-5), real: Some(1.5), whole: i64::MIN },
        Sent { key: String::new(), at: at(7), real: None, whole: 7 },
    ])
}

#[test]
fn every_item_arrives_as_it_was_given() {
    let tile = folded::<TrifoldComponent>(events());
    let outcome =
        TrifoldComponent::finish(packed([tile]), vec![0], vec![span(0, 1)], column([String::from("k")]), vec![0]);
    let rows = outcome.unwrap().rows;
    let mut answer = Answer::new(&rows);
    let hashes = [hash64("k\u{20AC}"), hash64("")];
    let maybe = format!("Some({});Some({});", hashes[0], hashes[1]);
    let before = [
        "();();",
        "true;false;",
        "-9223372036854775808;7;",
        &format!("{};{};", hashes[0], hashes[1]),
        &maybe,
        &maybe,
        "1.5;-0.0;",
        "Some(1.5);None;",
    ];
    for expected in before {
        assert_eq!(answer.next::<&str>(), [expected]);
    }
    assert_eq!(answer.next::<Option<f64>>(), [Some(1.5)]);
    let after = [
        "Some(true);None;",
        "-5;7;",
        "k\u{20AC};;",
        "Some(\"\u{20AC}\");None;",
        "(-9223372036854775808,);(7,);",
        "-5 k\u{20AC} Some(1.5) true;7  None true;",
    ];
    for expected in after {
        assert_eq!(answer.next::<&str>(), [expected]);
    }
    answer.finish();
}

#[test]
fn an_expression_is_evaluated_and_stored_once() {
    EVALUATED.set(0);
    let prepared = TrifoldComponent::prepare(events()).unwrap().rows;
    assert_eq!(EVALUATED.get(), 2, "two events");
    let types: Vec<_> = TrifoldComponent::describe()
        .split("\"prepared\":")
        .nth(1)
        .unwrap()
        .split("],")
        .next()
        .unwrap()
        .split("\"type\":\"")
        .skip(1)
        .map(|field| field.split('"').next().unwrap().to_owned())
        .collect();
    let expected =
        "bool int64 int64 int64 float64 float64 bool timestamp utf8 utf8 int64 timestamp utf8 float64 bool";
    assert_eq!(types.join(" "), expected);
    let mut reader = Answer::new(&prepared);
    assert_eq!(reader.next::<bool>(), [true, false]);
    assert_eq!(reader.next::<i64>(), [i64::MIN, 7]);
    assert_eq!(reader.next::<u64>(), [hash64("k\u{20AC}"), hash64("")]);
    assert_eq!(reader.next::<Option<u64>>(), [Some(hash64("k\u{20AC}")), Some(hash64(""))]);
    assert_eq!(reader.next::<f64>(), [1.5, -0.0]);
    assert_eq!(reader.next::<Option<f64>>(), [Some(1.5), None]);
}

#[test]
fn prepared_columns_of_another_length_fail() {
    let mut prepared = TrifoldComponent::prepare(events()).unwrap().rows;
    prepared.words.pop();
    let failure = TrifoldComponent::accumulate(packed([Vec::new()]), vec![group(0, 0, 1)], prepared).unwrap_err();
    assert_eq!(failure.message, "input four: a buffer of 1 bytes runs past the end of the slab");
}

mod counting {
    use super::*;

    #[window_view(event = Event<'_>, windows = "1m")]
    struct Counting {
        #[of(())]
        events: Count,
    }

    #[test]
    fn a_view_that_needs_no_column_has_one_all_the_same() {
        let prepared = TrifoldComponent::prepare(events()).unwrap().rows;
        assert_eq!(prepared.words, [0]);
        let answer = TrifoldComponent::accumulate(packed([Vec::new()]), vec![group(0, 0, 2)], prepared).unwrap();
        assert_eq!(states(&answer), [vec![1, 2]]);
    }
}
