//! What tells a registry from others.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::error::RecordDamage;

/// Where the id is.
pub(crate) const ID_OBJECT: &str = "id";

/// The longest id.
const CHARS_MAX: usize = 64;

/// What a registry is known by, wherever it lies. It is made once, and a copy of the registry has the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryId(String);

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to {CHARS_MAX} letters, digits and dashes")]
pub struct NoId;

impl FromStr for RegistryId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let fits = (1..=CHARS_MAX).contains(&text.len());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits && is_plain { Ok(RegistryId(text.to_owned())) } else { Err(NoId) }
    }
}

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl RegistryId {
    pub(crate) fn to_file(&self) -> Bytes {
        format!("{self}\n").into()
    }

    pub(crate) fn from_file(bytes: &[u8]) -> Result<Self, RecordDamage> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let damage = |error: NoId| RecordDamage::Value {
            field: "id",
            value: text.chars().take(CHARS_MAX).collect(),
            reason: error.to_string(),
        };
        text.parse().map_err(damage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_its_file_says() {
        let id: RegistryId = "18c-2f".parse().unwrap();
        assert_eq!(RegistryId::from_file(&id.to_file()), Ok(id));
        for text in ["", "\n", "a b", "a\n\n", "\u{fc}", &"7".repeat(65)] {
            let error = RegistryId::from_file(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("field id") && error.contains("1 to 64"), "{error}");
        }
    }
}
