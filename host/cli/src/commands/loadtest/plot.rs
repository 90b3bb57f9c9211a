//! The latencies as a drawing: by percentile, and over time.

mod panel;

use hdrhistogram::Histogram;

use self::panel::{Axis, Panel, Series, escaped};
use super::report::{Report, heading};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 860.0;

/// Colours that people tell apart who see few.
const BLUE: &str = "#0072b2";
const ORANGE: &str = "#d55e00";
const GREEN: &str = "#009e73";

const STYLE: &str = "text{font-family:sans-serif;font-size:13px;fill:#222}.title{font-size:17px;font-weight:bold}\
    .note{fill:#555;font-size:12px}.grid{stroke:#e0e0e0}.axis{stroke:#222}.series{fill:none;stroke-width:1.8;stroke-linejoin:round}";

/// What fits into a line: many features do not.
const LINE_CHARS: usize = 135;

/// How many points the line by percentile has for each factor of ten.
const POINTS: u32 = 60;

/// Draws a report.
pub(super) fn svg(report: &Report, latency: &Histogram<u64>) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n\
         <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let text = |y: f64, class: &str, text: &str| {
        let shown: String = text.chars().take(LINE_CHARS).collect();
        let cut = if shown.len() < text.len() { "…" } else { "" };
        format!("<text x=\"70\" y=\"{y}\" class=\"{class}\">{}{cut}</text>\n", escaped(&shown))
    };
    svg.push_str(&text(30.0, "title", "Latency of lookups, from the time at which each was due"));
    svg.push_str(&text(52.0, "note", &heading(report)));
    svg.push_str(&text(70.0, "note", &outcome(report)));
    let lowest = latency.value_at_quantile(0.0).max(1) as f64 / 1000.0;
    let highest = latency.max().max(1) as f64 / 1000.0;
    let millis = Axis::latencies(lowest, highest);
    svg.push_str(&by_percentile(latency, &millis));
    svg.push_str(&over_time(report, &millis));
    svg.push_str("</svg>\n");
    svg
}

fn outcome(report: &Report) -> String {
    let lag = if report.kept_schedule { "" } else { "; THE GENERATOR DID NOT KEEP ITS SCHEDULE" };
    format!(
        "achieved {:.1} requests/s over {:.1} s: {} sent, {} answered, {} failed, {} not sent{lag}",
        report.achieved_rate,
        report.measured_seconds,
        report.sent,
        report.answered,
        report.failed,
        report.not_sent
    )
}

/// As diagrams of HdrHistogram have it: each factor of ten on the axis leaves a tenth of the requests to its right.
fn by_percentile(latency: &Histogram<u64>, millis: &Axis) -> String {
    let decades = (latency.len().max(10) as f64).log10().ceil();
    let steps = decades as u32 * POINTS;
    let points = (0..=steps).map(|step| {
        let beyond = f64::from(step) / f64::from(POINTS);
        let quantile = 1.0 - 10_f64.powf(-beyond);
        (beyond, latency.value_at_quantile(quantile).clamp(1, latency.max().max(1)) as f64 / 1000.0)
    });
    let series = [Series { name: "latency", colour: BLUE, points: points.collect() }];
    let tick = |decade: u32| {
        let percent = 100.0 - 100.0 / 10_f64.powi(decade as i32);
        (f64::from(decade), format!("{percent:.*}%", decade.saturating_sub(2) as usize))
    };
    let mut ticks = vec![(2_f64.log10(), "50%".to_owned())];
    ticks.extend((0..=decades as u32).map(tick));
    let x = Axis { low: 0.0, high: decades, ticks, title: "percentile of requests", is_logarithmic: false };
    Panel { title: "Latency by percentile", top: 100.0, x: &x, y: millis, series: &series }.draw()
}

fn over_time(report: &Report, millis: &Axis) -> String {
    let line = |name, colour, of: fn(&super::report::Part) -> u64| Series {
        name,
        colour,
        points: report.over_time.iter().map(|part| (part.from_seconds, of(part).max(1) as f64 / 1000.0)).collect(),
    };
    let series = [
        line("p50", GREEN, |part| part.p50_us),
        line("p99", BLUE, |part| part.p99_us),
        line("max", ORANGE, |part| part.max_us),
    ];
    let last = report.over_time.last().map_or(0.0, |part| part.from_seconds);
    let x = Axis::seconds(last.max(report.measured_seconds));
    Panel { title: "Latency over time, by when requests were due", top: 480.0, x: &x, y: millis, series: &series }
        .draw()
}
