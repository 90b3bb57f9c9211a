//! Why the registry refuses or cannot answer.

use trifold_model::{ComponentDigest, ViewName};

use crate::location::Location;
use crate::signature::{KeyId, NoKey};
use crate::trust::FoundSignature;

/// Why the registry refused or could not answer. Every place is a file, directory or object
/// that can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is no registry.
    #[error("there is no registry at {place}; push a component first, which creates it")]
    Missing {
        /// Where it was looked for.
        place: Location,
    },
    /// The registry's directory cannot be used.
    #[error("cannot open the registry {place}: {reason}")]
    Open {
        /// The directory.
        place: Location,
        /// What the file system says.
        reason: String,
    },
    /// Nothing may be written.
    #[error(
        "the registry is read-only: cannot write {place}: {reason}; change its permissions or use another directory"
    )]
    ReadOnly {
        /// What was to be written.
        place: Location,
        /// What the file system says.
        reason: String,
    },
    /// The file system failed.
    #[error("cannot {action} {place}: {reason}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or directory.
        place: Location,
        /// What the file system says.
        reason: String,
    },
    /// The settings of an object store are wrong.
    #[error("cannot use the registry {place}: {reason}")]
    Settings {
        /// The registry.
        place: Location,
        /// What is wrong.
        reason: String,
    },
    /// There is no such bucket.
    #[error("cannot find the registry {place}: {server} has no such bucket; make it first, or name another")]
    MissingBucket {
        /// The registry.
        place: Location,
        /// The object store.
        server: String,
    },
    /// There are no credentials for an object store.
    #[error(
        "no credentials for the registry {place}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and others \
         cannot be had: {reason}"
    )]
    NoCredentials {
        /// The registry.
        place: Location,
        /// Why there are none.
        reason: String,
    },
    /// The credentials are wrong, or do not allow something.
    #[error("may not {action} {place}: {reason}; look at the credentials, and at what they are allowed to do")]
    Denied {
        /// What was to be done.
        action: &'static str,
        /// The object.
        place: Location,
        /// What the object store says.
        reason: String,
    },
    /// An object store cannot be reached, or does not answer as it should. It may do so later.
    #[error("cannot {action} {place}: {server} is not available: {reason}")]
    Unavailable {
        /// What was to be done.
        action: &'static str,
        /// The object.
        place: Location,
        /// The object store.
        server: String,
        /// What became of the requests.
        reason: String,
    },
    /// An object store does not say whether it has written something.
    #[error(
        "cannot tell whether {place} was written: {server} is not available: {reason}; look whether it is there before \
         you try again"
    )]
    Unclear {
        /// The object.
        place: Location,
        /// The object store.
        server: String,
        /// What became of the requests.
        reason: String,
    },
    /// An object store may overwrite what is there.
    #[error(
        "no registry can be at {place}: {server} does not support conditional writes (PutObject with If-None-Match: *), \
         without which two releases could overwrite each other: {found}; use another object store"
    )]
    Unguarded {
        /// The registry.
        place: Location,
        /// The object store.
        server: String,
        /// How that was found.
        found: String,
    },
    /// A file is larger than its kind may be.
    #[error("{place} has {bytes} bytes, the most is {bytes_max}")]
    TooLarge {
        /// The file.
        place: Location,
        /// Its size.
        bytes: u64,
        /// The most that it may have.
        bytes_max: u64,
    },
    /// A component's bytes are not those that its name says.
    #[error("the component {place} is damaged: the SHA-256 of its bytes is {found}; push it again to restore it")]
    DamagedComponent {
        /// The file.
        place: Location,
        /// The digest of the bytes found.
        found: ComponentDigest,
    },
    /// A component is not there.
    #[error("there is no component {place}; push it to restore it")]
    MissingComponent {
        /// Where it would be.
        place: Location,
    },
    /// No trusted key has signed a component.
    #[error(
        "component {digest} of {view}@{version} may not run here: {}; sign it with `trifold sign {view}@{version} --key \
         FILE`, by a key that is trusted here",
        nobody_trusted(found)
    )]
    Untrusted {
        /// The view.
        view: ViewName,
        /// The version.
        version: u64,
        /// Its component.
        digest: ComponentDigest,
        /// The signatures that it has.
        found: Vec<FoundSignature>,
    },
    /// A signature is one of something else.
    #[error("the signature of key {key} is none of component {digest}: sign the bytes that are pushed")]
    WrongSignature {
        /// The component.
        digest: ComponentDigest,
        /// The key.
        key: KeyId,
    },
    /// The record of a version or a release, or a signature, cannot be used.
    #[error("the record {place} cannot be used: {damage}")]
    DamagedRecord {
        /// The file.
        place: Location,
        /// What is wrong with it.
        damage: RecordDamage,
    },
    /// A release that was in force is not recorded any more.
    #[error("the record {place} of the release in force is gone; restore it, or release again")]
    Vanished {
        /// The file that was there.
        place: Location,
    },
    /// There is no such view.
    #[error("there is no view {view}; {}", known_views(known))]
    UnknownView {
        /// The view asked for.
        view: ViewName,
        /// The views that there are.
        known: Vec<ViewName>,
    },
    /// There is no such version.
    #[error("view {view} has no version {version}; it has {}", known_versions(known))]
    UnknownVersion {
        /// The view.
        view: ViewName,
        /// The version asked for.
        version: u64,
        /// The versions that there are, ascending.
        known: Vec<u64>,
    },
    /// No version of a view was ever in force.
    #[error("view {view} was never released: there is nothing to take back")]
    NeverReleased {
        /// The view.
        view: ViewName,
    },
    /// Nothing was in force before what is in force.
    #[error(
        "view {view}: nothing was in force before version {version}; release another one with `trifold release {view}@N`"
    )]
    NothingBefore {
        /// The view.
        view: ViewName,
        /// The version in force.
        version: u64,
    },
    /// A version was to be tried out where none is in force.
    #[error(
        "view {view}: no version is in force beside which version {version} could be tried out; release one with \
         `trifold release {view}@N`"
    )]
    NothingBeside {
        /// The view.
        view: ViewName,
        /// The version that was to be tried out.
        version: u64,
    },
    /// A version was to be tried out that serves everybody.
    #[error("view {view}: version {version} is in force already; name another version to try out")]
    Serves {
        /// The view.
        view: ViewName,
        /// The version in force.
        version: u64,
    },
    /// A canary was to serve everybody.
    #[error(
        "view {view}: a canary leaves somebody to the version in force: release version {version} for everybody"
    )]
    Everybody {
        /// The view.
        view: ViewName,
        /// The version that was to be tried out.
        version: u64,
    },
    /// A version that serves, or may serve again, was to be retired.
    #[error("view {view}: version {version} cannot be retired: {usage}")]
    InUse {
        /// The view.
        view: ViewName,
        /// The version.
        version: u64,
        /// What uses it.
        usage: String,
    },
    /// A version that was retired was to be released.
    #[error("view {view}: version {version} was retired: push a version that does the same under another number")]
    Retired {
        /// The view.
        view: ViewName,
        /// The version.
        version: u64,
    },
    /// Somebody else released meanwhile.
    #[error(
        "view {view}: somebody else made release {seq} meanwhile: look at `trifold releases {view}`, and try again"
    )]
    Overtaken {
        /// The view.
        view: ViewName,
        /// The number of the release.
        seq: u64,
    },
    /// A component's description is not JSON.
    #[error("the description of view {view} is not JSON: {reason}")]
    Description {
        /// The view.
        view: ViewName,
        /// What is wrong with it.
        reason: String,
    },
    /// Others took every number that was tried.
    #[error("view {view}: others took the {attempts} numbers that were tried; try again")]
    Contended {
        /// The view.
        view: ViewName,
        /// How many numbers were tried.
        attempts: u64,
    },
}

impl RegistryError {
    /// Whether what is stored is damaged, so that trying again does not help.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            RegistryError::DamagedComponent { .. }
                | RegistryError::DamagedRecord { .. }
                | RegistryError::MissingComponent { .. }
                | RegistryError::TooLarge { .. }
                | RegistryError::Vanished { .. }
        )
    }

    /// Whether the same may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            RegistryError::Unavailable { .. } | RegistryError::Unclear { .. } | RegistryError::Overtaken { .. }
        )
    }

    /// Whether something was asked for that does not exist.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            RegistryError::UnknownView { .. }
                | RegistryError::UnknownVersion { .. }
                | RegistryError::NeverReleased { .. }
                | RegistryError::NothingBefore { .. }
        )
    }
}

/// What is wrong with the record of a version or a release, or with a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordDamage {
    /// It is not JSON, a field is missing, or there is one that is not known.
    #[error("{0}; if a newer version of trifold wrote it, use that version")]
    Json(String),
    /// A field has a value that it cannot have.
    #[error("field {field} is `{value}`: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why that is wrong.
        reason: String,
    },
    /// The record is not the one that its path says.
    #[error("field {field} is `{found}`, but the path says `{expected}`")]
    Misplaced {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What the path says.
        expected: String,
    },
    /// The text of a signature is something else.
    #[error("{reason}; sign again to restore it")]
    Signature {
        /// What is wrong with it.
        reason: NoKey,
    },
    /// The signature is not one of the component that it lies beside.
    #[error("it is no signature of the component; sign again to restore it")]
    OtherComponent,
}

fn nobody_trusted(found: &[FoundSignature]) -> String {
    if found.is_empty() {
        return "nobody has signed it".to_owned();
    }
    let found = found.iter().map(|FoundSignature { key, problem }| match problem {
        None => format!("the signature of key {key}, which is not trusted here"),
        Some(problem) => format!("one of key {key} that does not hold: {problem}"),
    });
    format!("it has no signature of a trusted key, but {}", found.collect::<Vec<_>>().join(", and "))
}

fn known_views(known: &[ViewName]) -> String {
    match known {
        [] => "nothing was pushed yet".to_owned(),
        known => format!("the views are {}", join(known)),
    }
}

fn known_versions(known: &[u64]) -> String {
    match known {
        [first, .., last] if is_run(known) => format!("{first} to {last}"),
        known => join(known),
    }
}

fn is_run(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]))
}

fn join(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
