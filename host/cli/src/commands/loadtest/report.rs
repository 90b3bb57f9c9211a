//! What a load came to, for people and scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::tally::{Failed, Tally};
use crate::args::{Arrivals, Distribution, Loadtest};
use crate::output;

/// The percentiles that are told.
const PERCENTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// A generator of which one request in a hundred left later than this did not keep its schedule.
const LAG_MAX_US: u64 = 10_000;

/// What was asked.
pub(super) struct Asked {
    pub(super) server: String,
    /// How many keys there are.
    pub(super) keys: u64,
    /// The digest of which keys were asked in which order.
    pub(super) questions: u64,
    pub(super) interrupted: bool,
}

/// What was asked for, and what came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    pub(super) server: String,
    pub(super) features: Vec<String>,
    pub(super) rate: f64,
    pub(super) arrivals: &'static str,
    pub(super) batch: usize,
    pub(super) distribution: String,
    pub(super) keys: u64,
    pub(super) seed: u64,
    /// Tells which keys were asked in which order.
    pub(super) questions: String,
    pub(super) connections: usize,
    pub(super) interrupted: bool,
    /// Requests that were not measured.
    pub(super) warmup_requests: u64,
    /// How long was measured, until the last request left.
    pub(super) measured_seconds: f64,
    /// Requests that left, a second.
    pub(super) achieved_rate: f64,
    pub(super) sent: u64,
    pub(super) not_sent: u64,
    pub(super) answered: u64,
    pub(super) unfinished: u64,
    pub(super) failed: u64,
    /// By gRPC code.
    pub(super) failures: BTreeMap<&'static str, Failures>,
    /// By view and status.
    pub(super) rows: BTreeMap<String, BTreeMap<&'static str, u64>>,
    pub(super) latency_us: Times,
    pub(super) generator_lag_us: Times,
    /// Whether requests left on time.
    pub(super) kept_schedule: bool,
    /// Seconds into the measured part when the server gave its last answer before it went away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_gone_seconds: Option<f64>,
    pub(super) over_time: Vec<Part>,
}

/// Requests that failed alike.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Failures {
    pub(super) count: u64,
    /// What the first of them said.
    pub(super) first: String,
}

/// Times in microseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) percentiles: BTreeMap<&'static str, u64>,
    pub(super) max: u64,
}

/// The latencies of the requests that were due in a part of the time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Part {
    pub(super) from_seconds: f64,
    pub(super) count: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) max_us: u64,
}

impl Times {
    fn new(of: &Histogram<u64>) -> Self {
        let percentile =
            |(name, quantile): (&'static str, f64)| (name, of.value_at_quantile(quantile).min(of.max()));
        Times {
            count: of.len(),
            mean: of.mean(),
            percentiles: PERCENTILES.into_iter().map(percentile).collect(),
            max: of.max(),
        }
    }
}

impl Report {
    pub(super) fn new(asked: Asked, args: &Loadtest, tally: &Tally) -> Self {
        let Asked { server, keys, questions, interrupted } = asked;
        let warmup = args.warmup.unwrap_or_default();
        let measured = tally.last_due.saturating_sub(warmup).as_secs_f64();
        let lag = Times::new(&tally.lag);
        let failure = |(code, failed): (&&'static str, &Failed)| {
            (*code, Failures { count: failed.count, first: failed.message.clone() })
        };
        let parts = tally.parts.iter().enumerate().filter(|(_, part)| !part.is_empty());
        Report {
            server,
            features: args.features.clone(),
            rate: args.rate,
            arrivals: match args.arrivals {
                Arrivals::Constant => "constant",
                Arrivals::Poisson => "poisson",
            },
            batch: args.batch,
            distribution: match args.distribution {
                Distribution::Uniform => "uniform".to_owned(),
                Distribution::Sequential => "sequential".to_owned(),
                Distribution::Zipf(exponent) => format!("zipf:{exponent}"),
            },
            keys,
            seed: args.seed,
            questions: format!("{questions:016x}"),
            connections: args.connections,
            interrupted,
            warmup_requests: tally.warmup_requests,
            measured_seconds: measured,
            // The first of them left when the measured time began.
            achieved_rate: tally.sent as f64 / (measured + 1.0 / args.rate),
            sent: tally.sent,
            not_sent: tally.not_sent,
            answered: tally.answered,
            unfinished: tally.unfinished,
            failed: tally.failures(),
            failures: tally.failed.iter().map(failure).collect(),
            rows: tally.rows.clone(),
            latency_us: Times::new(&tally.latency),
            kept_schedule: lag.percentiles["p99"] <= LAG_MAX_US,
            generator_lag_us: lag,
            server_gone_seconds: (tally.without_server > 0)
                .then(|| tally.last_answer.unwrap_or_default().as_secs_f64()),
            over_time: parts.map(|(place, part)| over_time(tally.part, place, part)).collect(),
        }
    }

    /// Why the latencies are not the server's, if they are not.
    pub(super) fn late(&self) -> Option<String> {
        let Times { percentiles, max, .. } = &self.generator_lag_us;
        (!self.kept_schedule).then(|| {
            format!(
                "the generator did not keep its schedule: one request of a hundred left {} late or more, and the latest \
                 {}; so the latencies tell of this machine, and not of the server: lower the rate, or spread the load \
                 over several machines",
                millis(percentiles["p99"]),
                millis(*max)
            )
        })
    }
}

fn over_time(length: Duration, place: usize, part: &Histogram<u64>) -> Part {
    Part {
        from_seconds: length.as_secs_f64() * place as f64,
        count: part.len(),
        p50_us: part.value_at_quantile(0.5).min(part.max()),
        p99_us: part.value_at_quantile(0.99).min(part.max()),
        max_us: part.max(),
    }
}

/// Microseconds as milliseconds.
pub(super) fn millis(micros: u64) -> String {
    format!("{:.3} ms", micros as f64 / 1000.0)
}

/// What was asked for, in one line.
pub(super) fn heading(report: &Report) -> String {
    let Report { server, rate, arrivals, batch, distribution, keys, seed, .. } = report;
    let rows = if *batch == 1 { "row" } else { "rows" };
    format!(
        "{} at {server}: {rate} requests/s ({arrivals}) of {batch} {rows}, {distribution} over {keys} keys, seed {seed}",
        report.features.join(", ")
    )
}

pub(super) fn text(report: &Report) -> String {
    let mut lines = vec![
        vec!["sent".to_owned(), format!("{} requests in {:.1} s", report.sent, report.measured_seconds)],
        vec!["achieved".to_owned(), format!("{:.1} of {} requests/s", report.achieved_rate, report.rate)],
        vec!["questions".to_owned(), report.questions.clone()],
        vec!["answered".to_owned(), report.answered.to_string()],
    ];
    let mut line = |name: &str, count: u64| {
        if count > 0 {
            lines.push(vec![name.to_owned(), count.to_string()]);
        }
    };
    line("failed", report.failed);
    line("not sent", report.not_sent);
    line("unfinished", report.unfinished);
    line("warm-up", report.warmup_requests);
    for (code, failures) in &report.failures {
        lines.push(vec![code.to_string(), format!("{}, the first: {}", failures.count, failures.first)]);
    }
    for (view, statuses) in &report.rows {
        lines.push(vec!["rows".to_owned(), format!("{view}: {}", output::counts(statuses))]);
    }
    let mut text = format!("{}\n\n{}\n", heading(report), output::table(&lines));
    text.push_str(&times_table(report));
    if report.interrupted {
        text.push_str("\ninterrupted: this is what was measured until then\n");
    }
    text
}

fn times_table(report: &Report) -> String {
    let times = [&report.latency_us, &report.generator_lag_us];
    let mut rows = vec![["", "latency", "generator lag"].map(str::to_owned).to_vec()];
    for (name, _) in PERCENTILES {
        let cells = times.map(|times| millis(times.percentiles[name]));
        rows.push([vec![name.to_owned()], cells.to_vec()].concat());
    }
    rows.push([vec!["max".to_owned()], times.map(|times| millis(times.max)).to_vec()].concat());
    rows.push([vec!["mean".to_owned()], times.map(|times| millis(times.mean.round() as u64)).to_vec()].concat());
    output::table(&rows)
}
