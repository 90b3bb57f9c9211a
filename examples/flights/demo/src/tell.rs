//! What a person sees.

use std::fmt::Display;
use std::io::Write;
use std::time::Instant;

/// Prints a line.
pub(crate) fn line(text: impl Display) {
    let mut out = std::io::stdout();
    // Whoever reads the output may stop reading; that is no failure of ours.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// The steps of the demo as they happen.
pub(crate) struct Story {
    begun: Instant,
    steps: u32,
}

impl Story {
    pub(crate) fn begin() -> Story {
        Story { begun: Instant::now(), steps: 0 }
    }

    /// A new step.
    pub(crate) fn step(&mut self, text: &str) {
        self.steps += 1;
        line(format!("[{:>5.1} s] {}. {text}", self.begun.elapsed().as_secs_f64(), self.steps));
    }

    /// Something worth knowing about the step.
    pub(crate) fn detail(&self, text: impl Display) {
        line(format!("             {text}"));
    }
}

/// A number with commas.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let mut groups: Vec<&str> = if head.is_empty() { Vec::new() } else { vec![head] };
    groups.extend((0..tail.len()).step_by(3).map(|start| &tail[start..start + 3]));
    groups.join(",")
}

/// Counts by name: `1,000 value, 3 error`.
pub(crate) fn counts<'a>(counts: impl IntoIterator<Item = (&'a String, &'a u64)>) -> String {
    let counts = counts.into_iter().filter(|(_, count)| **count > 0);
    counts.map(|(name, count)| format!("{} {name}", grouped(*count))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        let grouped = [0, 7, 999, 1_000, 51_955, 1_000_000].map(grouped);
        assert_eq!(grouped, ["0", "7", "999", "1,000", "51,955", "1,000,000"]);
    }
}
