//! The steps of a canary, as they are written.

use std::str::FromStr;

use trifold_model::Share;
use trifold_registry::{Step, Steps, Trial};

/// The units of how long a step is held.
const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// Shares one after the other, each but the last with how long it is held, as in `10%:10m,50%:1h,100%`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanarySteps {
    first: Share,
    rest: Steps,
}

impl CanarySteps {
    /// A share that is held until somebody decides.
    pub fn of_share(share: Share) -> Result<Self, String> {
        if share == Share::ALL {
            return Err("100% is a release for everybody: leave --canary out".to_owned());
        }
        Ok(CanarySteps { first: share, rest: Steps::default() })
    }

    /// The trial that begins with the first step.
    pub fn trial(&self) -> Trial {
        Trial::Canary { share: self.first, steps: self.rest.clone() }
    }
}

impl FromStr for CanarySteps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let steps: Vec<Step> = text.split(',').map(step).collect::<Result<_, _>>()?;
        let Some((last, held)) = steps.split_last() else { return Err("there are no steps".to_owned()) };
        if last.hold.is_some() {
            return Err(format!("nothing comes after {}, so that it is not held for a time", last.share));
        }
        if let Some(step) = held.iter().find(|step| step.hold.is_none()) {
            return Err(format!("for how long is {} held? Write it as in `{}:10m`", step.share, step.share));
        }
        if let Some(pair) = steps.windows(2).find(|pair| pair[0].share >= pair[1].share) {
            return Err(format!("shares grow, and {} does not come after {}", pair[1].share, pair[0].share));
        }
        let [first, next @ ..] = &steps[..] else { return Err("there are no steps".to_owned()) };
        CanarySteps::of_share(first.share)?;
        Ok(CanarySteps { first: first.share, rest: Steps { hold: first.hold, next: next.to_vec() } })
    }
}

fn step(text: &str) -> Result<Step, String> {
    let (share, hold) = text.split_once(':').map_or((text, None), |(share, hold)| (share, Some(hold)));
    let share = share.trim().parse().map_err(|error: trifold_model::NoShare| error.to_string())?;
    Ok(Step { share, hold: hold.map(seconds).transpose()? })
}

fn seconds(text: &str) -> Result<u64, String> {
    let problem = || format!("`{text}` is no time to hold a step: write it as in 30s, 10m, 2h or 1d");
    let unit = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit)).ok_or_else(problem)?;
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| problem())?;
    count.checked_mul(unit.1).filter(|seconds| *seconds > 0).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        text.parse::<CanarySteps>().unwrap_err()
    }

    #[test]
    fn steps_grow_and_are_held() {
        let steps: CanarySteps = "10%:10m,50%:2h,100%".parse().unwrap();
        let Trial::Canary { share, steps } = steps.trial() else { panic!() };
        assert_eq!((share.to_string(), steps.hold), ("10%".to_owned(), Some(600)));
        let next: Vec<_> = steps.next.iter().map(|step| (step.share.to_string(), step.hold)).collect();
        assert_eq!(next, [("50%".to_owned(), Some(7_200)), ("100%".to_owned(), None)]);
        assert!("0.5%".parse::<CanarySteps>().is_ok());
    }

    #[test]
    fn wrong_steps_say_what_is_wrong() {
        for (text, part) in [
            ("", "is no share"),
            ("10", "is no share"),
            ("10%:10m", "nothing comes after 10%"),
            ("10%,50%", "for how long is 10% held?"),
            ("50%:1m,10%", "10% does not come after 50%"),
            ("100%", "release for everybody"),
            ("10%:10,100%", "`10` is no time"),
            ("10%:0m,100%", "`0m` is no time"),
            ("10%:xm,100%", "`xm` is no time"),
        ] {
            assert!(problem(text).contains(part), "{text}: {}", problem(text));
        }
    }
}
