//! One call on behalf of some rows, under what one row may use.
//!
//! Each call gets what *one* row may use, and a call that fails or uses more than half of it is repeated in halves,
//! down to one row, whose verdict counts: so no row lives on its neighbours' allowance. A call of several rows is
//! therefore stopped at half: what lies beyond is never accepted.

use trifold_model::ErrorCode;

use crate::applied::{Cause, Verdict};
use crate::budget::Budget;
use crate::call::{Allowance, Instance, Stop, Usage};
use crate::pace::Pace;
use crate::transform::Transform;

/// The part of a row's limits that a call of several rows may use.
const SHARE: u64 = 2;

/// Calls a transform's guest on somebody's budget.
pub(crate) struct Caller<'a> {
    pub(crate) transform: &'a Transform,
    budget: &'a mut Budget,
    /// The instance that calls share, for the publish gate alone; otherwise every call has a fresh one.
    kept: Option<&'a mut Option<Instance>>,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(
        transform: &'a Transform,
        budget: &'a mut Budget,
        kept: Option<&'a mut Option<Instance>>,
    ) -> Self {
        Caller { transform, budget, kept }
    }

    /// Makes one call for so many rows. An error of several rows says nothing of any of them; see [`is_final`].
    pub(crate) fn call<T>(
        &mut self,
        rows: usize,
        pace: &Pace,
        call: impl FnOnce(&mut Instance) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        if !self.budget.is_wanted() {
            return Err(Stop::unavailable(Cause::Unwanted, "nobody waits for the answer any more".to_owned()));
        }
        let allowance = self.allowance(rows);
        if allowance.fuel == 0 {
            return Err(self.over_budget());
        }
        let (result, usage) = self.call_instance(rows, allowance, call);
        self.budget.spend(usage.fuel);
        let answer = result.map_err(|stop| match stop.verdict {
            Verdict::Error(ErrorCode::FUEL) if allowance.fuel < self.row_fuel(rows) => self.over_budget(),
            _ => stop,
        })?;
        // Fuel is checked at loops and calls, so that the last stretch may use up the rest and still return.
        if rows > 1 && usage.fuel == allowance.fuel {
            return Err(Stop::error(ErrorCode::FUEL, String::new()));
        }
        pace.learn(rows, usage);
        Ok(answer)
    }

    fn call_instance<T>(
        &mut self,
        rows: usize,
        allowance: Allowance,
        call: impl FnOnce(&mut Instance) -> Result<T, Stop>,
    ) -> (Result<T, Stop>, Usage) {
        let mut instance = match self.instance(rows, allowance) {
            Ok(instance) => instance,
            Err((stop, usage)) => return (Err(stop), usage),
        };
        let result = call(&mut instance);
        let usage = instance.usage();
        if let (Some(kept), Ok(_)) = (&mut self.kept, &result) {
            **kept = Some(instance);
        }
        (result, usage)
    }

    /// The kept instance while it leaves the call room, or a fresh one.
    fn instance(&mut self, rows: usize, allowance: Allowance) -> Result<Instance, (Stop, Usage)> {
        let Some(kept) = &mut self.kept else { return self.transform.instance(rows, allowance) };
        match kept.take() {
            Some(mut instance) if instance.usage().memory_bytes <= self.transform.memory_bytes() / 2 => {
                let begun = instance.begin(allowance);
                let usage = instance.usage();
                begun.map(|()| instance).map_err(|stop| (stop, usage))
            }
            _ => self.transform.warm_instance(allowance),
        }
    }

    fn allowance(&self, rows: usize) -> Allowance {
        let share = if rows > 1 { SHARE } else { 1 };
        // The limits are checked to fit the pool's memories.
        let memory_bytes = self.transform.memory_bytes() / share as usize;
        Allowance { fuel: self.row_fuel(rows).min(self.budget.left()), memory_bytes }
    }

    fn row_fuel(&self, rows: usize) -> u64 {
        self.transform.view().limits.fuel / if rows > 1 { SHARE } else { 1 }
    }

    fn over_budget(&self) -> Stop {
        Stop::unavailable(Cause::Budget, self.budget.exhausted())
    }
}

/// Whether a call of several rows is not to be repeated in halves. A spent budget, an engine without memory or
/// a caller that is gone would stop the halves too.
pub(crate) fn is_final(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Error(_) | Verdict::Unavailable(Cause::NativeStack))
}
