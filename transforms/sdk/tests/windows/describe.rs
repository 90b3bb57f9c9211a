//! The description of a window view, to the letter.

use trifold_sdk::prelude::*;
use trifold_sdk::rt::WindowGuest;

/// One departure.
#[derive(Input)]
struct Departure<'a> {
    /// From where.
    #[entity]
    origin: &'a str,
    dest: &'a str,
    delay: Option<f64>,
}

/// How busy an airport is.
#[window_view(
    event = Departure<'_>,
    windows = "15m, 1d/1h",
    name = "airport",
    ttl = "2d",
    lateness = "6h",
    max_early = "1m",
    deduplicate = false,
    state_version = 4,
    fuel = 1_000_000,
    memory = "8MiB"
)]
struct AirportLoad {
    /// Departures
    #[of(())]
    departures: Count,
    /// Minutes.
    #[of(event.delay)]
    delay: Moments,
    #[of(event . delay)]
    delay_max: Max<f64>,
    #[of(event.dest)]
    frequent: TopFrequent<2>,
}

#[test]
fn everything_that_is_said_is_described() {
    let output = |name: &str, ty: &str, nullable: bool, doc: &str| {
        format!(r#"{{"name":"{name}","type":"{ty}","nullable":{nullable},"doc":"{doc}"}}"#)
    };
    let outputs = [
        output("departures_15m", "int64", false, "Departures. Over 15m."),
        output("departures_1d", "int64", false, "Departures. Over 1d."),
        output("delay_mean_15m", "float64", true, "Minutes. The mean over 15m."),
        output("delay_deviation_15m", "float64", true, "Minutes. The deviation over 15m."),
        output("delay_mean_1d", "float64", true, "Minutes. The mean over 1d."),
        output("delay_deviation_1d", "float64", true, "Minutes. The deviation over 1d."),
        output("delay_max_15m", "float64", true, "Over 15m."),
        output("delay_max_1d", "float64", true, "Over 1d."),
        output("frequent_15m", "list<utf8>", false, "Over 15m."),
        output("frequent_1d", "list<utf8>", false, "Over 1d."),
    ];
    let expected = [
        r#"{"contract":1,"view":"airport","kind":"window","doc":"How busy an airport is.","entity":["origin"],"#,
        r#""inputs":[{"name":"origin","type":"utf8","nullable":false,"source":"event","doc":"From where."},"#,
        r#"{"name":"dest","type":"utf8","nullable":false,"source":"event","doc":""},"#,
        r#"{"name":"delay","type":"float64","nullable":true,"source":"event","doc":""}],"#,
        &format!(r#""outputs":[{}],"#, outputs.join(",")),
        r#""ttl-seconds":172800,"lateness-seconds":21600,"max-early-seconds":60,"#,
        r#""prepared":[{"name":"column_0","type":"float64","nullable":true,"doc":"event.delay"},"#,
        r#"{"name":"column_1","type":"utf8","nullable":true,"doc":"event.dest"}],"#,
        r#""windows":[{"seconds":900,"hop-seconds":10},{"seconds":86400,"hop-seconds":3600}],"#,
        r#""fold-order":"event-time","deduplicate":false,"#,
        r#""state-version":4,"limits":{"fuel":1000000,"memory-bytes":8388608},"sdk":"trifold-sdk 0.1.0"}"#,
    ];
    assert_eq!(TrifoldComponent::describe(), expected.concat());
}

mod bare {
    use super::*;

    #[derive(Input)]
    struct Row {
        #[entity]
        key: i64,
    }

    #[window_view(event = Row, windows = "1s")]
    struct HowMany {
        #[of(())]
        rows: Count,
    }

    #[test]
    fn what_is_not_said_is_left_out() {
        let expected = concat!(
            r#"{"contract":1,"view":"how_many","kind":"window","doc":"","entity":["key"],"#,
            r#""inputs":[{"name":"key","type":"int64","nullable":false,"source":"event","doc":""}],"#,
            r#""outputs":[{"name":"rows_1s","type":"int64","nullable":false,"doc":"Over 1s."}],"#,
            r#""prepared":[{"name":"column_0","type":"bool","nullable":false,"doc":"No column is needed."}],"#,
            r#""windows":[{"seconds":1,"hop-seconds":1}],"fold-order":"any","deduplicate":true,"#,
            r#""state-version":1,"sdk":"trifold-sdk 0.1.0"}"#,
        );
        assert_eq!(TrifoldComponent::describe(), expected);
    }
}

mod forced {
    use super::*;

    #[derive(Input)]
    struct Row {
        #[entity]
        key: i64,
    }

    #[window_view(event = Row, windows = "1s", order = "event-time")]
    struct Forced {
        #[of(())]
        rows: Count,
    }

    #[test]
    fn an_order_may_be_asked_for() {
        assert!(TrifoldComponent::describe().contains(r#""fold-order":"event-time""#));
    }
}
