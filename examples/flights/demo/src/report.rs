//! The end of the demo: a table for people and a report for scripts.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::digests::Compared;
use crate::error::DemoError;
use crate::swap::Tally;
use crate::tell::{grouped, line};

/// The comparisons of one view.
pub(crate) struct ViewResult {
    pub(crate) view: String,
    /// Emitted rows and the backfill at each event's position; none of an on-demand view.
    pub(crate) stream: Option<Compared>,
    /// Answers of the server and the backfill at the same times and position.
    pub(crate) online: Compared,
    /// Entities or requests that were looked up.
    pub(crate) lookups: u64,
}

/// `report.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    events: u64,
    views: u64,
    compared: u64,
    differing: u64,
    lookups: u64,
    swap: SwapReport,
}

#[derive(Debug, Serialize)]
struct SwapReport {
    requests: u64,
    failed: u64,
    /// How many versions answered.
    versions: u64,
}

/// The process's exit code for what the demo came to.
pub(crate) fn exit_code(outcome: &Result<Report, DemoError>) -> u8 {
    match outcome {
        Ok(report) => u8::from(!report.is_good()),
        Err(DemoError::Usage(_)) => 64,
        Err(_) => 1,
    }
}

impl Report {
    pub(crate) fn new(events: u64, views: &[ViewResult], swap: &Tally) -> Report {
        let sides = || views.iter().flat_map(|view| view.stream.into_iter().chain([view.online]));
        Report {
            events,
            views: views.len() as u64,
            compared: sides().map(|side| side.compared).sum(),
            differing: sides().map(|side| side.differing).sum(),
            lookups: views.iter().map(|view| view.lookups).sum(),
            swap: SwapReport {
                requests: swap.requests,
                failed: swap.failed,
                versions: swap.versions.len() as u64,
            },
        }
    }

    /// Whether everything agreed and nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.differing == 0 && self.swap.failed == 0 && self.swap.versions == 2
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), DemoError> {
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| DemoError::Unexpected(format!("the report is no JSON: {error}")))?;
        fs::write(path, text + "\n").map_err(DemoError::file("write", path))
    }

    /// Prints the table.
    pub(crate) fn tell(&self, views: &[ViewResult], swap: &Tally) {
        let row = |name: &str, left: &str, right: &str| {
            line(format!("  {name:<38}{left:>14}{right:>14}").trim_end());
        };
        line("");
        row(&format!("{} departures", grouped(self.events)), "rows compared", "differing");
        for view in views {
            let stream = view.stream.map(|side| ("stream = backfill", side));
            for (name, side) in stream.into_iter().chain([("online = backfill", view.online)]) {
                let name = format!("{:<18}{name}", view.view);
                row(&name, &grouped(side.compared), &grouped(side.differing));
            }
        }
        row("total", &grouped(self.compared), &grouped(self.differing));
        line("");
        row("a release under load", "requests", "failed");
        row("all", &grouped(swap.requests), &grouped(swap.failed));
        for (version, count) in &swap.versions {
            row(&format!("answered by version {version}"), &grouped(*count), "");
        }
        if let Some(problem) = &swap.first_failure {
            line(format!("  the first that failed: {problem}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(differing: u64, failed: u64, versions: &[u64]) -> Report {
        let side = Compared { compared: 10, differing };
        let view = ViewResult { view: "v".to_owned(), stream: Some(side), online: side, lookups: 4 };
        let on_demand = ViewResult { view: "w".to_owned(), stream: None, online: side, lookups: 3 };
        let versions = versions.iter().map(|version| (*version, 3)).collect();
        Report::new(7, &[view, on_demand], &Tally { requests: 6, failed, versions, first_failure: None })
    }

    #[test]
    fn the_report_has_the_promised_keys() {
        let json = serde_json::to_value(report(0, 0, &[1, 2])).unwrap();
        let expected = serde_json::json!({
            "events": 7, "views": 2, "compared": 30, "differing": 0, "lookups": 7,
            "swap": {"requests": 6, "failed": 0, "versions": 2}
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn whatever_differs_or_failed_is_seen_in_the_exit_code() {
        assert_eq!(exit_code(&Ok(report(0, 0, &[1, 2]))), 0);
        for bad in [report(1, 0, &[1, 2]), report(0, 1, &[1, 2]), report(0, 0, &[2])] {
            assert_eq!(exit_code(&Ok(bad)), 1);
        }
        assert_eq!(exit_code(&Err(DemoError::Interrupted)), 1);
        assert_eq!(exit_code(&Err(DemoError::Usage(String::new()))), 64);
    }
}
