//! The figures of target/demo/report.json, and what they must be.

/// Departures in the example's file.
const EVENTS: u64 = 51_955;
/// Departures without a tail number, which have no row in the view of aircraft.
const WITHOUT_KEY: u64 = 601;
/// Flight numbers, aircraft, airports of departure and airlines.
const ENTITIES: u64 = 2_552 + 3_424 + 3 + 16;
/// Departures about which the on-demand view is asked: one of 50.
const REQUESTS: u64 = EVENTS.div_ceil(50);
/// Every entity of a view that is streamed, and the requests.
const LOOKUPS: u64 = ENTITIES + REQUESTS;
/// A row per event and streamed view, and the lookups.
const COMPARED: u64 = 3 * EVENTS + (EVENTS - WITHOUT_KEY) + LOOKUPS;

/// What is wrong with the report of a demo that ended well.
pub(crate) fn problem(text: &str) -> Option<String> {
    let expected = [
        ("events", EVENTS),
        ("views", 5),
        ("compared", COMPARED),
        ("differing", 0),
        ("lookups", LOOKUPS),
        ("failed", 0),
        ("versions", 2),
    ];
    let wrong = expected.into_iter().find_map(|(key, expected)| match number(text, key) {
        Some(found) if found == expected => None,
        Some(found) => Some(format!("`{key}` is {found} and must be {expected}")),
        None => Some(format!("`{key}` is missing")),
    });
    wrong.or_else(|| (number(text, "requests").unwrap_or(0) == 0).then(|| "no request saw the swap".to_owned()))
}

/// The number beside a key that stands in the text once.
fn number(text: &str, key: &str) -> Option<u64> {
    let (_, after) = text.split_once(&format!("\"{key}\""))?;
    let digits = after.trim_start().strip_prefix(':')?.trim_start();
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"events": 51955, "views": 5, "compared": 214254, "differing": 0, "lookups": 7035,
        "swap": {"requests": 412, "failed": 0, "versions": 2}}"#;

    #[test]
    fn a_good_report_has_no_problem() {
        assert_eq!(problem(GOOD), None);
    }

    #[test]
    fn every_figure_counts() {
        let changes = [
            ("51955", "51954"),
            ("\"views\": 5", "\"views\": 4"),
            ("214254", "0"),
            ("\"differing\": 0", "\"differing\": 1"),
            ("7035", "5"),
            ("412", "0"),
            ("\"failed\": 0", "\"failed\": 10"),
            ("2}", "1}"),
            ("\"lookups\"", "\"lookup\""),
        ];
        for (from, to) in changes {
            assert!(problem(&GOOD.replacen(from, to, 1)).is_some(), "{from} -> {to}");
        }
    }
}
