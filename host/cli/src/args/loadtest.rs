//! What `trifold loadtest` takes.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Server, at_least_one};

const KEYS: &str = "Keys";
const LOAD: &str = "Load";

/// What the help ends with.
pub(super) const EXAMPLES: &str = "Examples:
  trifold loadtest card_load --key 'card=c-{0..99999}' --rate 2000 --duration 30s
  trifold loadtest card_load.count_1h --key 'card=c-{1..500}' --distribution zipf:1.1 --batch 50 --svg load.svg
  trifold loadtest flight_profile --keys entities.csv --rate 500 --arrivals poisson --warmup 5s --format json

The load is open: a request leaves when the schedule says so, whether or not earlier ones came back, as requests of
independent callers do; and its latency counts from that moment. So a server that stands still for a second shows in the
latency of every request of that second, and not in that of one request which the others politely waited for.

What the report has:
  sent, not sent   the schedule's requests; one is not sent if --in-flight-max are on their way, and never sent later
  latency          of requests that were answered, and of those that were given up after --timeout, as long as they took
  failed           requests by gRPC code; other failures than timeouts have no part in the latencies
  generator lag    how long after their time requests left. If one of a hundred left more than 10 ms late, the generator
                   did not keep its schedule: the latencies tell of this machine, and the exit code is 1
  questions        tells which keys were asked in which order: equal seeds have equal ones, as far as both ask

Ctrl-C ends the load, and the report is of what was measured. The exit code is 69 if the server went away meanwhile.

Lines of --keys FILE are written as `get --key` takes them: FIELD=VALUE,... or a JSON object of texts. A file that is named
*.jsonl or *.parquet has the fields as its columns, and so has a *.csv file, which begins with a line of their names; other
columns are passed over. Braces stand in quotes, since shells read them, too.";

/// `trifold loadtest`.
#[derive(Debug, Args)]
pub struct Loadtest {
    /// `view` for all features of a view, `view.feature` for one
    #[arg(required = true, value_name = "VIEW[.FEATURE]")]
    pub features: Vec<String>,
    /// The keys, or request fields, that are asked for, with ranges of numbers in braces, both ends included: as in
    /// 'card=c-{0..99999}' or 'carrier=UA,flight={1..999}'; may be repeated
    #[arg(long = "key", help_heading = KEYS, value_name = "FIELD=VALUE,...", required_unless_present = "file")]
    pub keys: Vec<String>,
    /// A file of the keys that are asked for
    #[arg(id = "file", long = "keys", help_heading = KEYS, value_name = "FILE", conflicts_with = "keys")]
    pub file: Option<PathBuf>,
    /// Which keys are asked how often: `uniform`, `sequential` (one after the other, and from the beginning again), or
    /// `zipf` with an exponent as in `zipf:1.1`: the key in place k is asked in proportion to 1/k^1.1, the first most
    #[arg(long, help_heading = KEYS, default_value = "uniform", value_name = "NAME")]
    pub distribution: Distribution,
    /// What keys and Poisson arrivals are drawn from: the same seed asks the same keys in the same order
    #[arg(long, help_heading = KEYS, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// The rows of one request
    #[arg(long, help_heading = KEYS, default_value_t = 1, value_name = "N", value_parser = at_least_one)]
    pub batch: usize,
    /// Requests a second
    #[arg(long, help_heading = LOAD, default_value = "100", value_name = "N", value_parser = rate)]
    pub rate: f64,
    /// How requests follow each other: constant, or poisson as those of many independent callers
    #[arg(long, help_heading = LOAD, value_enum, default_value_t = Arrivals::Constant)]
    pub arrivals: Arrivals,
    /// How long to measure, as in 500ms, 30s or 5m [default: 10s, unless --requests is given]
    #[arg(long, help_heading = LOAD, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How many requests to measure
    #[arg(long, help_heading = LOAD, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// How long to send requests before that are not measured, as in 5s
    #[arg(long, help_heading = LOAD, value_name = "TIME", value_parser = duration)]
    pub warmup: Option<Duration>,
    /// The connections that share the requests
    #[arg(long, help_heading = LOAD, default_value_t = 4, value_name = "N", value_parser = at_least_one)]
    pub connections: usize,
    /// The most requests that are on their way at once; one beyond them is counted as not sent
    #[arg(long, help_heading = LOAD, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub in_flight_max: u32,
    /// After how long a request is given up, as in 500ms
    #[arg(long, help_heading = LOAD, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
    /// The time that is asked for: RFC 3339, or microseconds since 1970 [default: the server's clock]
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// Draw the latencies, by percentile and over time
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// The server
    #[command(flatten)]
    pub server: Server,
}

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// The same time after each other.
    Constant,
    /// Times of a Poisson process.
    Poisson,
}

/// Which keys are asked how often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    /// Every key as often as every other.
    Uniform,
    /// The key in place k in proportion to 1/k^exponent.
    Zipf(f64),
    /// One after the other.
    Sequential,
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is none of uniform, sequential, zipf and zipf:EXPONENT, as in zipf:1.1");
        match text {
            "uniform" => Ok(Distribution::Uniform),
            "sequential" => Ok(Distribution::Sequential),
            "zipf" => Ok(Distribution::Zipf(1.0)),
            _ => {
                let exponent = text.strip_prefix("zipf:").ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
                match (0.0..=100.0).contains(&exponent) {
                    true => Ok(Distribution::Zipf(exponent)),
                    false => Err(format!("the exponent {exponent} is not between 0 and 100")),
                }
            }
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "it is no number of requests a second".to_owned())?;
    match rate.is_finite() && rate > 0.0 {
        true => Ok(rate),
        false => Err("it must be more than 0 requests a second".to_owned()),
    }
}

/// The units of a time, the longer names first.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "it is no time: write it as in 500ms, 30s, 5m or 1h".to_owned();
    let unit = UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, unit) = unit.ok_or_else(wrong)?;
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let time = Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
    match time.is_zero() {
        true => Err("it must be more than nothing".to_owned()),
        false => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("1.5s", 1_500), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1d", "NaNs", "0s", "0ms"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_and_distributions_say_what_is_wrong() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["0", "-1", "inf", "NaN"] {
            assert!(rate(text).is_err_and(|problem| problem.contains("more than 0")), "{text}");
        }
        assert_eq!("zipf".parse(), Ok(Distribution::Zipf(1.0)));
        assert_eq!("zipf:0.7".parse(), Ok(Distribution::Zipf(0.7)));
        for (text, part) in
            [("zipf:", "zipf:EXPONENT"), ("normal", "none of uniform"), ("zipf:-1", "between 0 and 100")]
        {
            assert!(text.parse::<Distribution>().is_err_and(|problem| problem.contains(part)), "{text}");
        }
    }
}
