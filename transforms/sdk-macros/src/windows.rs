//! The windows of a view, as authors write them.

use syn::{Error, LitStr, Result};

use crate::units;

const WINDOWS: &str = "write windows as in \"15m, 1h, 1d/1h\"; what stands after the slash is the hop";
const COUNT_MAX: usize = 16;
/// The most tiles that cover a window, one per hop.
const TILES_MAX: u64 = 10_000;
/// The most seconds whose microseconds fit a signed 64-bit integer.
const SECONDS_MAX: u64 = i64::MAX as u64 / 1_000_000;
/// A default hop divides a window into no fewer tiles than this, unless it is a second.
const TILES_MIN: u64 = 48;
const DEFAULT_HOPS: [u64; 10] = [86_400, 21_600, 3_600, 900, 300, 60, 30, 10, 5, 1];

/// A window and the steps in which its older end moves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its length as the author wrote it.
    pub(crate) text: String,
    pub(crate) seconds: u64,
    pub(crate) hop_seconds: u64,
}

/// The windows of a text such as `"15m, 1h, 1d/1h"`.
pub(crate) fn windows(text: &LitStr) -> Result<Vec<Window>> {
    let refuse = |message: String| Error::new(text.span(), message);
    let mut windows: Vec<Window> = Vec::new();
    for part in text.value().split(',') {
        let window = window(part.trim()).map_err(refuse)?;
        if let Some(same) = windows.iter().find(|other| other.seconds == window.seconds) {
            return Err(refuse(format!("`{}` is as long as `{}`: leave one out", window.text, same.text)));
        }
        windows.push(window);
    }
    match windows.len() {
        0..=COUNT_MAX => Ok(windows),
        count => Err(refuse(format!("a view has at most {COUNT_MAX} windows, not {count}"))),
    }
}

fn window(text: &str) -> std::result::Result<Window, String> {
    let (length, hop) = text.split_once('/').map_or((text, None), |(length, hop)| (length, Some(hop)));
    let parse = |text: &str| units::duration(text).ok_or_else(|| format!("`{text}` is not a duration: {WINDOWS}"));
    let seconds = parse(length)?;
    if seconds == 0 {
        return Err(format!("`{length}` is no window: write at least 1s"));
    }
    if seconds > SECONDS_MAX {
        return Err(format!("`{length}` is too long: write at most {SECONDS_MAX}s"));
    }
    let hop_seconds = hop.map_or_else(|| Ok(default_hop(seconds)), parse)?;
    if hop_seconds == 0 {
        return Err(format!("`{text}` never hops: write a hop of at least 1s"));
    }
    if hop_seconds > seconds {
        return Err(format!("`{text}` is shorter than its hop"));
    }
    if !seconds.is_multiple_of(hop_seconds) {
        return Err(format!("`{text}` is not a whole number of hops"));
    }
    let tiles = seconds / hop_seconds;
    if tiles > TILES_MAX {
        return Err(format!(
            "`{text}` has {tiles} hops of {hop_seconds}s, of which {TILES_MAX} are allowed: write a longer hop, as \
             in \"1d/1h\""
        ));
    }
    Ok(Window { text: length.to_owned(), seconds, hop_seconds })
}

fn default_hop(seconds: u64) -> u64 {
    let fits = |hop: &u64| seconds.is_multiple_of(*hop) && *hop <= seconds / TILES_MIN;
    DEFAULT_HOPS.into_iter().find(fits).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn parse(text: &str) -> std::result::Result<Vec<(u64, u64)>, String> {
        let windows = windows(&LitStr::new(text, Span::call_site())).map_err(|error| error.to_string())?;
        Ok(windows.iter().map(|window| (window.seconds, window.hop_seconds)).collect())
    }

    #[test]
    fn a_window_has_a_hop() {
        assert_eq!(parse("1d/1h").unwrap(), [(86_400, 3_600)]);
        assert_eq!(parse(" 90s/45s ,1h").unwrap(), [(90, 45), (3_600, 60)]);
        let defaults =
            [("1s", 1), ("47s", 1), ("48s", 1), ("4m", 5), ("15m", 10), ("1h", 60), ("1d", 900), ("48d", 86_400)];
        for (text, hop) in defaults {
            assert_eq!(parse(text).unwrap()[0].1, hop, "{text}");
        }
        // Nothing but a second divides a prime number of them.
        assert_eq!(parse("9973s").unwrap(), [(9_973, 1)]);
    }

    #[test]
    fn the_limits_are_exact() {
        assert_eq!(parse("10000s/1s").unwrap(), [(10_000, 1)]);
        assert!(parse("10001s/1s").is_err());
        let longest = "9223372036854s";
        assert!(parse(&format!("{longest}/{longest}")).is_ok());
        assert!(parse("9223372036855s/9223372036855s").unwrap_err().contains("too long"));
        let windows = |count: u64| (1..=count).map(|n| format!("{n}m")).collect::<Vec<_>>().join(",");
        assert_eq!(parse(&windows(16)).unwrap().len(), 16);
        assert_eq!(parse(&windows(17)).unwrap_err(), "a view has at most 16 windows, not 17");
    }

    #[test]
    fn what_is_not_a_window_is_refused() {
        for text in
            ["", ",", "1h,", "0s", "1h/0s", "1h/2h", "1h/7m", "1h, 60m", "1h/", "/1m", "1h/1m/1s", "1w", "11d/1m"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
