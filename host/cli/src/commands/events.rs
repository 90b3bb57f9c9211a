//! What commands over recorded events say when the events are not what they were taken for.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use trifold_eventlog::{AsideReason, FileLog, LogOptions};

use crate::exit::{Exit, Failure};

/// How many events were set aside because they could not be read as the view's.
pub fn unreadable(aside: impl IntoIterator<Item = (AsideReason, u64)>) -> u64 {
    const REASONS: [AsideReason; 4] =
        [AsideReason::Decode, AsideReason::NullInput, AsideReason::NullKey, AsideReason::NullTime];
    aside.into_iter().filter(|(reason, _)| REASONS.contains(reason)).map(|(_, count)| count).sum()
}

/// The failure of a run of which every event was set aside because it could not be read: the options name other columns
/// than the files have, or the files are another's. `aside` is the directory that holds the events with the reasons.
pub fn nothing_read(view: &str, events: u64, aside: &Path) -> Failure {
    let first = first_reason(aside).map_or_else(String::new, |reason| format!("; the first: {reason}"));
    let message = format!(
        "view {view}: not one of the {events} events could be read{first}; all of them with their reasons are in {}",
        aside.display()
    );
    Failure::new(Exit::Data, message)
}

/// What was wrong with the first event of a directory of those set aside.
fn first_reason(dir: &Path) -> Option<String> {
    let entries = fs::read_dir(dir).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let first = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).min()?;
    let mut line = String::new();
    BufReader::new(File::open(first).ok()?).read_line(&mut line).ok()?;
    let event: serde_json::Value = serde_json::from_str(&line).ok()?;
    Some(event["detail"].as_str()?.to_owned())
}

/// Warns of a last line without its end, which counts only once it has one. Whoever follows the log will read it then;
/// to others it looks lost.
pub fn warn_of_unfinished_line(events: &Path) {
    let unfinished = FileLog::open(events, LogOptions::default()).and_then(|log| log.unfinished_line());
    if let Ok(Some(file)) = unfinished {
        tracing::warn!(file = %file.display(), "the last line has no line end and is not read before it has one");
    }
}
