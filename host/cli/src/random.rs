//! What nobody can guess, taken from the system here and nowhere below.

use crate::exit::{Exit, Failure, Outcome};

/// A seed of what may be guessed.
pub fn seed() -> Outcome<u64> {
    let [a, b, c, d, e, f, g, h, ..] = secret()?;
    Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// Random bytes for a secret.
pub fn secret() -> Outcome<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Internal, format!("the system has no random bytes: {error}")))?;
    Ok(bytes)
}
