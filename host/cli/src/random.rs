//! What nobody can guess, taken from the system here and nowhere below.

use crate::exit::{Exit, Failure, Outcome};

/// Random bytes for a secret.
pub fn secret() -> Outcome<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Internal, format!("the system has no random bytes: {error}")))?;
    Ok(bytes)
}
