//! `cargo xtask soak`.

use std::process::Command;
use std::time::Instant;

use crate::check::minutes;
use crate::error::Error;
use crate::workspace::{Workspace, run as run_command, say, shown};
use crate::{needs, servers};

/// Where the tests take the seed from.
const SEED: &str = "TRIFOLD_FAULTS_SEED";

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Soak {
    pub(crate) from: u64,
    pub(crate) seeds: u64,
    pub(crate) data: Vec<Data>,
    pub(crate) keeps_going: bool,
}

impl Default for Soak {
    fn default() -> Self {
        Soak { from: 1, seeds: 10, data: Data::ALL.into(), keeps_going: false }
    }
}

/// The events that a run is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Data {
    Payments,
    Flights,
}

impl Data {
    pub(crate) const ALL: [Data; 2] = [Data::Payments, Data::Flights];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Data::Payments => "payments",
            Data::Flights => "flights",
        }
    }

    /// The test that is the run.
    fn test(self) -> &'static str {
        match self {
            Data::Payments => "faults::each_payment_counts_once_whatever_fails",
            Data::Flights => "faults::each_flight_counts_once_whatever_fails",
        }
    }
}

impl Soak {
    /// Runs one seed after the other.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), Error> {
        needs::tools(&[&[&needs::C_COMPILER], needs::KAFKA_CLIENT.as_slice()].concat())?;
        needs::wasm_target(workspace)?;
        servers::prepare(workspace)?;
        // What compiles is not the runs' time, and a mistake there is no failure of a seed.
        run_command(workspace.cargo().args(["test", "--workspace", "--test", "kafka", "--no-run"]))?;
        let (mut ran, mut failed) = (0, 0);
        for seed in (self.from..).take(usize::try_from(self.seeds).unwrap_or(usize::MAX)) {
            for &data in &self.data {
                let begun = Instant::now();
                let passed = one(workspace, seed, data)?;
                let word = if passed { "passed" } else { "FAILED" };
                say(format!("{} {seed}: {word} after {} min", data.name(), minutes(begun.elapsed())));
                ran += 1;
                if !passed {
                    failed += 1;
                    say(format!("again: cargo xtask soak --seeds 1 --from {seed} --data {}", data.name()));
                    if !self.keeps_going {
                        return Err(Error::Runs { failed, of: ran });
                    }
                }
            }
        }
        if failed > 0 { Err(Error::Runs { failed, of: ran }) } else { Ok(()) }
    }
}

/// Whether a run passed; what it said, if it did not.
fn one(workspace: &Workspace, seed: u64, data: Data) -> Result<bool, Error> {
    let mut command = command(workspace, seed, data);
    let output = command.output().map_err(|source| Error::Start { program: shown(&command), source })?;
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    // A test that was renamed would pass as none at all.
    let has_run = texts[0].contains("1 passed");
    if !(output.status.success() && has_run) {
        texts.iter().for_each(say);
    }
    Ok(output.status.success() && has_run)
}

fn command(workspace: &Workspace, seed: u64, data: Data) -> Command {
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--test", "kafka", data.test(), "--", "--exact", "--nocapture"]);
    command.env(SEED, seed.to_string());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_are_tests_that_take_their_seed_from_outside() {
        let source = include_str!("../../tests/kafka/faults.rs");
        assert!(source.contains(SEED));
        for data in Data::ALL {
            let name = data.test().strip_prefix("faults::").unwrap();
            assert!(source.contains(&format!("fn {name}()")), "{name}");
        }
    }
}
