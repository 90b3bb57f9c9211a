//! Medians, with the baseline taken in turns in the same run.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Full,
    Quick,
}

impl Effort {
    /// One of two numbers.
    pub(crate) fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Effort::Full => full,
            Effort::Quick => quick,
        }
    }
}

/// How long one turn takes at least: short, so that most turns are not interrupted by other processes.
const TURN: Duration = Duration::from_millis(2);
const TURNS_FULL: usize = 301;
const TURNS_QUICK: usize = 31;

/// The median nanoseconds of one run of each of two pieces of work, which take turns.
pub(crate) fn in_turns(effort: Effort, mut value: impl FnMut(), mut baseline: impl FnMut()) -> (f64, f64) {
    let (value_runs, baseline_runs) = (runs_per_turn(&mut value), runs_per_turn(&mut baseline));
    let turns = effort.choose(TURNS_FULL, TURNS_QUICK);
    let (mut values, mut baselines) = (Vec::with_capacity(turns), Vec::with_capacity(turns));
    for turn in 0..turns {
        // Whoever goes first finds the caches as the other left them.
        if turn % 2 == 0 {
            values.push(time(&mut value, value_runs));
            baselines.push(time(&mut baseline, baseline_runs));
        } else {
            baselines.push(time(&mut baseline, baseline_runs));
            values.push(time(&mut value, value_runs));
        }
    }
    (median(values), median(baselines))
}

/// Also warms up.
fn runs_per_turn(work: &mut impl FnMut()) -> u32 {
    let mut runs = 1;
    while Duration::from_nanos((time(work, runs) * f64::from(runs)) as u64) < TURN {
        runs *= 2;
    }
    runs
}

fn time(work: &mut impl FnMut(), runs: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..runs {
        work();
    }
    start.elapsed().as_nanos() as f64 / f64::from(runs)
}

/// The ticks of processor time in a second, which is the same on all processors.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processor time that the process has used so far, all threads and the kernel's work for them included.
pub(crate) fn processor_seconds() -> anyhow::Result<f64> {
    let path = "/proc/self/stat";
    let stat = fs::read_to_string(path).with_context(|| format!("{path}: this is measured on Linux only"))?;
    // The second field is the program's name in brackets, which may have blanks in it.
    let (_, fields) = stat.rsplit_once(')').context("a line without a name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| Ok(ticks.parse::<f64>()?));
    Ok(ticks.sum::<anyhow::Result<f64>>()? / TICKS_PER_SECOND)
}

/// What a process has in memory, and the most that it ever had there.
pub(crate) const RESIDENT: &str = "VmRSS:";
pub(crate) const MOST_RESIDENT: &str = "VmHWM:";

/// One of these figures of a process, by its number or as `self`.
pub(crate) fn kibibytes(process: &str, figure: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("{path}: this is measured on Linux only"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(figure)).with_context(|| format!("no {figure}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// The middle value.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value below which a share of the values lies; NaN if there are none.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values = vec![5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(values.clone()), 3.0);
        assert_eq!(quantile(values, 0.99), 5.0);
        assert!(median(Vec::new()).is_nan());
    }
}
