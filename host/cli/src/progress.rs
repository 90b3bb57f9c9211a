//! Progress bars on standard error, for long work that a person watches.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over a number of rows. It draws only on a terminal.
pub fn rows(what: &str, total: u64) -> ProgressBar {
    let bar = bar(total, "{msg} {wide_bar} {human_pos}/{human_len} rows {per_sec} eta {eta}");
    bar.set_message(what.to_owned());
    bar
}

/// A bar over a load that takes about so long; its position is in milliseconds.
pub fn requests(takes: Duration) -> ProgressBar {
    bar(u64::try_from(takes.as_millis()).unwrap_or(u64::MAX), "{elapsed} {bar:20} {wide_msg}")
}

fn bar(total: u64, template: &str) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
