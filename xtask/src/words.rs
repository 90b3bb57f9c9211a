//! The words and their help.

use crate::check::Stage;
use crate::cross;
use crate::error::Error;
use crate::soak::{Data, Soak};

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// A text to print.
    Help(String),
    /// A word to carry out.
    Run(Word),
}

/// A word with what followed it.
#[derive(Debug, PartialEq)]
pub(crate) enum Word {
    /// Run the demo; the arguments are its own.
    Demo { arguments: Vec<String> },
    /// Check everything, or one stage; the arguments are those of `cargo test`.
    Test { only: Option<Stage>, arguments: Vec<String> },
    /// Run what must hold on every processor on another one; the arguments are those of `cargo test`.
    Cross { arguments: Vec<String> },
    /// Run the fault runs of the tests with many seeds.
    Soak(Soak),
    /// Run the benchmarks; the arguments are their own.
    Bench { arguments: Vec<String> },
}

const HELP: &str = "\
cargo xtask WORD

  demo    stream, look up, backfill and audit 51,955 real departures, and swap a version under load
  test    check everything, as continuous integration does
          with --cross: hold the published vectors and the NaN oracle on another processor
  soak    kill, freeze and cut off workers on Kafka in ever new ways, until something is lost
  bench   measure against baselines, in release mode
  help    this text

`cargo xtask WORD --help` tells more. What a word needs and does not find, it installs or names.

Exit codes: 0 success, 1 a check failed, 64 wrong command line, 69 something is not installed.";

const DEMO: &str = "\
cargo xtask demo [-- ARGUMENTS]

Builds `trifold` and the demo in the dev profile and runs it: it builds the components of examples/flights, pushes
and releases them, streams every departure, looks every entity up over gRPC, backfills the same departures, compares
the three digest by digest, and releases a second version while lookups run.

Everything goes to target/demo; target/demo/report.json has the figures. Exit code 1 if anything differs or failed.
ARGUMENTS go to the demo: `cargo xtask demo -- --help`.";

const BENCH: &str = "\
cargo xtask bench [ARGUMENTS]

Builds the benchmarks in release mode, runs them and writes target/bench/report.json. ARGUMENTS go to the benchmarks.";

const SOAK: &str = "\
cargo xtask soak [--seeds N] [--from SEED] [--data payments|flights] [--keep-going]

Runs the fault runs of `cargo xtask test` (tests/kafka/faults.rs) with one seed after the other: workers, a broker, a Redis
and its feeders die, freeze, leave and are cut off in an order that the seed says, under payments or departures that it
says too, and what came of it is compared with a backfill. It is no part of `cargo xtask test`, which takes one seed.

  --seeds N      so many seeds [10]
  --from SEED    the first of them [1]
  --data DATA    payments or flights only
  --keep-going   go on after a seed that failed

Prints what became of each seed and how long it took, and for one that failed its output and the command that runs it again.
A run takes two to three minutes. Exit code 1 if one failed.";

/// Understands a command line.
pub(crate) fn parse(arguments: &[String]) -> Result<Request, Error> {
    let Some((word, rest)) = arguments.split_first() else {
        return Err(Error::Usage(format!("say a word\n\n{HELP}")));
    };
    let asks_for_help = rest.first().is_some_and(|first| ["--help", "-h"].contains(&first.as_str()));
    match word.as_str() {
        "help" | "--help" | "-h" => Ok(Request::Help(HELP.to_owned())),
        "demo" if asks_for_help => Ok(Request::Help(DEMO.to_owned())),
        "test" if asks_for_help => Ok(Request::Help(test_help())),
        "soak" if asks_for_help => Ok(Request::Help(SOAK.to_owned())),
        "bench" if asks_for_help => Ok(Request::Help(BENCH.to_owned())),
        "demo" => Ok(Request::Run(Word::Demo { arguments: passed_through(rest).to_vec() })),
        "bench" => Ok(Request::Run(Word::Bench { arguments: passed_through(rest).to_vec() })),
        "soak" => soak(rest).map(|soak| Request::Run(Word::Soak(soak))),
        "test" => test(rest).map(Request::Run),
        other => Err(Error::Usage(format!("`{other}` is no word\n\n{HELP}"))),
    }
}

fn passed_through(arguments: &[String]) -> &[String] {
    match arguments.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => arguments,
    }
}

fn soak(arguments: &[String]) -> Result<Soak, Error> {
    let mut soak = Soak::default();
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let usage = |problem: String| Error::Usage(format!("{problem}\n\n{SOAK}"));
        if flag == "--keep-going" {
            soak.keeps_going = true;
            continue;
        }
        let value = rest.next().map_or("", String::as_str);
        let number = || value.parse().map_err(|_| usage(format!("`{flag} {value}` is no number")));
        match flag.as_str() {
            "--seeds" => soak.seeds = number()?,
            "--from" => soak.from = number()?,
            "--data" => {
                let data = Data::ALL.into_iter().find(|data| data.name() == value);
                soak.data =
                    vec![data.ok_or_else(|| usage(format!("`--data {value}` is neither payments nor flights")))?];
            }
            other => return Err(usage(format!("`{other}` is no flag of `cargo xtask soak`"))),
        }
    }
    Ok(soak)
}

fn test(arguments: &[String]) -> Result<Word, Error> {
    let (mut only, mut cross) = (None, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--" => break,
            "--cross" => cross = true,
            "--only" => {
                let name = rest.next().map_or("", String::as_str);
                let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name);
                let names = Stage::ALL.map(Stage::name).join(", ");
                let unknown = || Error::Usage(format!("`--only {name}` names no stage; the stages are {names}"));
                only = Some(stage.ok_or_else(unknown)?);
            }
            other => {
                let message =
                    format!("`{other}` is no flag of `cargo xtask test`; flags for cargo test go after `--`");
                return Err(Error::Usage(format!("{message}\n\n{}", test_help())));
            }
        }
    }
    let arguments = rest.cloned().collect();
    match (cross, only) {
        (false, only) => Ok(Word::Test { only, arguments }),
        (true, None) => Ok(Word::Cross { arguments }),
        (true, Some(_)) => Err(Error::Usage(format!("`--cross` has no stages\n\n{}", test_help()))),
    }
}

fn test_help() -> String {
    let stages = Stage::ALL.map(|stage| format!("  {:<8}{}\n", stage.name(), stage.about()));
    format!(
        "cargo xtask test [--only STAGE] [-- ARGUMENTS OF CARGO TEST]\n\
         cargo xtask test --cross [-- ARGUMENTS OF CARGO TEST]\n\n\
         Checks everything in stages, stops at the first that fails, and prints the minutes of each:\n\n{}\n\
         One package: cargo xtask test --only test -- -p trifold-model\n\n\
         With --cross, none of these, but on another processor what must hold on every one. All tests of\n{}\n\
         are compiled for {} and run one program at a time under user-mode emulation, on Linux: they hold the\n\
         published vectors there, and the digests over all that the programs of the NaN oracle leave. Takes some\n\
         minutes and 5 GB of memory. For fewer: cargo xtask test --cross -- --test guests",
        stages.concat(),
        cross::PACKAGES.join(", "),
        cross::PROCESSOR
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, Error> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn words_take_what_follows_them() {
        let run = |word| Request::Run(word);
        assert_eq!(parsed("demo").unwrap(), run(Word::Demo { arguments: vec![] }));
        assert_eq!(parsed("bench -- --quick").unwrap(), run(Word::Bench { arguments: words("--quick") }));
        assert_eq!(parsed("bench online").unwrap(), run(Word::Bench { arguments: words("online") }));
        let only = run(Word::Test { only: Some(Stage::Test), arguments: words("-p trifold-model keys") });
        assert_eq!(parsed("test --only test -- -p trifold-model keys").unwrap(), only);
        assert_eq!(parsed("soak").unwrap(), run(Word::Soak(Soak::default())));
        let soak = Soak { from: 7, seeds: 2, data: vec![Data::Flights], keeps_going: true };
        let line = "soak --from 7 --data flights --keep-going --seeds 2";
        assert_eq!(parsed(line).unwrap(), run(Word::Soak(soak)));
        assert_eq!(parsed("test --cross").unwrap(), run(Word::Cross { arguments: vec![] }));
        let cross = run(Word::Cross { arguments: words("--test guests hostile") });
        assert_eq!(parsed("test --cross -- --test guests hostile").unwrap(), cross);
        // Behind the dashes the flag is cargo's.
        let test = run(Word::Test { only: None, arguments: words("--cross") });
        assert_eq!(parsed("test -- --cross").unwrap(), test);
    }

    #[test]
    fn help_is_no_error() {
        for line in ["help", "--help", "demo --help", "test -h", "soak --help", "bench --help"] {
            assert!(matches!(parsed(line).unwrap(), Request::Help(_)), "{line}");
        }
        for stage in Stage::ALL {
            assert!(test_help().contains(stage.name()));
        }
        assert!(test_help().contains("--cross") && HELP.contains("--cross"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let lines = [
            ("tset", "tset"),
            ("test -p x", "-p"),
            ("test --only", "--only"),
            ("test --only all", "all"),
            ("test --cross --only test", "--cross"),
            ("test --only test --cross", "--cross"),
            ("soak --seeds", "--seeds"),
            ("soak --seeds many", "many"),
            ("soak --data refunds", "refunds"),
            ("soak 7", "`7`"),
        ];
        for (line, named) in lines {
            let error = parsed(line).unwrap_err();
            assert!(matches!(&error, Error::Usage(message) if message.contains(named)), "{line}: {error}");
        }
        assert!(matches!(parsed(""), Err(Error::Usage(_))));
    }
}
