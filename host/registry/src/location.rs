//! Where a registry is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const SCHEME: &str = "s3://";

/// Where a registry is, or one of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this machine.
    Path(PathBuf),
    /// In an object store with the interface of S3.
    S3 {
        /// The bucket.
        bucket: Box<str>,
        /// The name of an object, or what the names of all objects of a registry begin with, without a slash at
        /// the end; may be empty.
        key: Box<str>,
    },
}

/// A text that says no place of a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no registry can be at `{text}`: {reason}; name a directory, or s3://BUCKET/PREFIX")]
pub struct NoLocation {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Location {
    /// Where one of the registry's files is.
    pub(crate) fn join(&self, object: &str) -> Location {
        match self {
            Location::Path(path) => Location::Path(path.join(object)),
            Location::S3 { bucket, key } => {
                let key = if key.is_empty() { object.into() } else { format!("{key}/{object}").into() };
                Location::S3 { bucket: bucket.clone(), key }
            }
        }
    }
}

/// `s3://BUCKET/PREFIX`; what has no scheme is a path.
impl FromStr for Location {
    type Err = NoLocation;

    fn from_str(text: &str) -> Result<Self, NoLocation> {
        let wrong = |reason: String| NoLocation { text: text.to_owned(), reason };
        let Some(place) = text.strip_prefix(SCHEME) else {
            return match text.split_once("://") {
                Some((scheme, _)) => Err(wrong(format!("`{scheme}` is not supported"))),
                None => Ok(Location::Path(text.into())),
            };
        };
        let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(wrong("it names no bucket".to_owned()));
        }
        let key = key.trim_end_matches('/');
        let parts = [bucket].into_iter().chain(key.split('/').filter(|_| !key.is_empty()));
        for part in parts {
            let is_plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=+".contains(&byte));
            if !is_plain || ["", ".", ".."].contains(&part) {
                return Err(wrong(format!("`{part}` is not made of letters, digits and - _ . = +")));
            }
        }
        Ok(Location::S3 { bucket: bucket.into(), key: key.into() })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Path(path) => path.display().fmt(f),
            Location::S3 { bucket, key } if key.is_empty() => write!(f, "{SCHEME}{bucket}"),
            Location::S3 { bucket, key } => write!(f, "{SCHEME}{bucket}/{key}"),
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Location::Path(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_scheme_is_a_path() {
        for text in ["registry", "/srv/registry", "s3:/bucket", "a:b", "./s3", "Registry of mine"] {
            assert_eq!(text.parse(), Ok(Location::Path(text.into())));
        }
    }

    #[test]
    fn a_bucket_and_a_prefix_are_told_apart() {
        for (text, bucket, key, shown) in [
            ("s3://models", "models", "", "s3://models"),
            ("s3://models/", "models", "", "s3://models"),
            ("s3://models/a/b_1=2/", "models", "a/b_1=2", "s3://models/a/b_1=2"),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!(location, Location::S3 { bucket: bucket.into(), key: key.into() });
            assert_eq!(location.to_string(), shown);
        }
        let below = |text: &str| text.parse::<Location>().unwrap().join("views/a").to_string();
        assert_eq!(
            [below("s3://m"), below("s3://m/p"), below("d")],
            ["s3://m/views/a", "s3://m/p/views/a", "d/views/a"]
        );
    }

    #[test]
    fn what_is_no_place_is_refused_with_its_reason() {
        for (text, reason) in [
            ("s3://", "it names no bucket"),
            ("s3:///prefix", "it names no bucket"),
            ("s3://my bucket", "`my bucket`"),
            ("s3://b/a//b", "`` is not made"),
            ("s3://b/../a", "`..` is not made"),
            ("s3://b/a?x", "`a?x` is not made"),
            ("gs://b/a", "`gs` is not supported"),
            ("file:///srv", "`file` is not supported"),
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(text) && error.contains("s3://BUCKET"), "{error}");
        }
    }
}
