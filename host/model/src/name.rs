//! Names of views and fields.

use std::fmt;
use std::str::FromStr;

/// The longest name of a view or a field, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A name that breaks the rule for names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a valid {what} name: use a lower-case letter followed by lower-case letters, digits \
     and underscores, at most {NAME_BYTES_MAX} in all"
)]
pub struct NameError {
    /// The name as given.
    pub name: String,
    /// What it was to name.
    pub what: &'static str,
}

fn is_valid(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.len() <= NAME_BYTES_MAX
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Box<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                if is_valid(name) {
                    Ok($type(name.into()))
                } else {
                    Err(NameError { name: name.to_owned(), what: $what })
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }
    };
}

name!(
    /// The name of a feature view.
    ViewName,
    "view"
);
name!(
    /// The name of a field of a feature view.
    FieldName,
    "field"
);

impl ViewName {
    /// The name of what is partitioned by some fields: `by_` and theirs, cut where that would be too long.
    pub fn by<'a>(fields: impl IntoIterator<Item = &'a FieldName>) -> Self {
        let mut name = "by".to_owned();
        fields.into_iter().for_each(|field| name.extend(["_", field.as_str()]));
        name.truncate(NAME_BYTES_MAX);
        ViewName(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_snake_case() {
        for good in ["a", "tail_number", "d2", &"a".repeat(NAME_BYTES_MAX)] {
            assert!(good.parse::<FieldName>().is_ok(), "{good}");
        }
        for bad in ["", "_x", "2x", "Tail", "a-b", "a.b", "é", &"a".repeat(NAME_BYTES_MAX + 1)] {
            assert!(bad.parse::<ViewName>().is_err(), "{bad}");
        }
    }
}
