//! The threads of a backfill, and which of their errors counts.

use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::error::BackfillError;

/// Half of the usual 2 MiB is the guest's (see the sandbox). The rest is little for a deep plan in a build
/// without optimisation.
const STACK_BYTES: usize = 4 << 20;

type Outcome = Result<(), BackfillError>;

/// Starts a thread.
pub(crate) fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> Outcome + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, Outcome>, BackfillError> {
    Builder::new()
        .name("backfill".to_owned())
        .stack_size(STACK_BYTES)
        .spawn_scoped(scope, work)
        .map_err(BackfillError::io("start a thread of", "this process"))
}

/// Waits for a thread; its panic is one of this thread.
pub(crate) fn join(thread: ScopedJoinHandle<'_, Outcome>) -> Outcome {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The error that made the others stop.
pub(crate) fn first_error(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let mut errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| matches!(error, BackfillError::Interrupted));
    errors.into_iter().next().map_or(Ok(()), Err)
}
