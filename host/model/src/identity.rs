//! What identifies a component, an entity, a row's value and a view's stored state.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::view::{Field, ViewKind, ViewSpec};

macro_rules! hex_display {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }
    };
}

macro_rules! hex_parse {
    ($type:ident) => {
        impl FromStr for $type {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
                let mut bytes = Self(Default::default()).0;
                hex::decode_to_slice(text, &mut bytes)?;
                Ok($type(bytes))
            }
        }
    };
}

/// The identity of a component: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentDigest(pub [u8; 32]);

hex_display!(ComponentDigest);
hex_parse!(ComponentDigest);

impl ComponentDigest {
    /// The digest of a component's bytes.
    pub fn of(wasm: &[u8]) -> Self {
        ComponentDigest(Sha256::digest(wasm).into())
    }

    /// The first twelve hexadecimal digits, for tables and messages.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

/// An entity key: its fields in declared order, in the coding of canonical rows without a status byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityKey(pub Box<[u8]>);

hex_display!(EntityKey);

impl EntityKey {
    /// The BLAKE3 hash of the key's bytes, for sharding.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }
}

/// The digest of a row: the first 16 bytes of BLAKE3 over its canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowDigest(pub [u8; 16]);

hex_display!(RowDigest);
hex_parse!(RowDigest);

impl RowDigest {
    /// The digest of a row's canonical bytes.
    pub fn of(canonical: &[u8]) -> Self {
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(canonical).as_bytes()[..16]);
        RowDigest(digest)
    }
}

/// What computed an output: a component, under limits of one meaning. The first 16 bytes of BLAKE3 over both. For the
/// same input, outputs of one computation have the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComputationId(pub [u8; 16]);

hex_display!(ComputationId);

impl ComputationId {
    /// The computation of a component by a runtime; `semantics` names all that decides a verdict beside the component.
    pub fn of(component: &ComponentDigest, semantics: &str) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&component.0).update(semantics.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        ComputationId(id)
    }
}

/// What must be equal for two versions to share stored state: the first 16 bytes of BLAKE3 over a view's name,
/// kind, state version, entity fields, inputs, lateness and max-early; for a window view over its time to live,
/// windows, prepared columns, fold order and deduplication too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub [u8; 16]);

hex_display!(StateId);
hex_parse!(StateId);

impl StateId {
    /// The state id of a view.
    pub fn of(view: &ViewSpec) -> Self {
        let mut hash = blake3::Hasher::new();
        // Every part is followed by a byte that no name contains, so that no two lists of parts collide.
        let mut part = |text: &str| {
            hash.update(text.as_bytes());
            hash.update(&[0xFF]);
        };
        part("trifold-state-1");
        part(view.name.as_str());
        part(view.kind.name());
        part(&view.state_version.to_string());
        part(&view.lateness.map_or("unlimited".to_owned(), |span| span.micros().to_string()));
        part(&view.max_early.map_or("unlimited".to_owned(), |span| span.micros().to_string()));
        part(&view.entity.len().to_string());
        for name in &view.entity {
            part(name.as_str());
        }
        let field_parts = |field: &Field, part: &mut dyn FnMut(&str)| {
            part(field.name.as_str());
            part(field.ty.name());
            part(if field.nullable { "null" } else { "required" });
        };
        view.inputs.iter().for_each(|input| field_parts(input, &mut part));
        if let ViewKind::Window(spec) = &view.kind {
            part("windows");
            part(&view.ttl.map_or("for ever".to_owned(), |span| span.micros().to_string()));
            for window in &spec.windows {
                part(&window.length.micros().to_string());
                part(&window.hop.micros().to_string());
            }
            part(spec.order.name());
            part(if spec.deduplicate { "once" } else { "each" });
            spec.prepared.iter().for_each(|column| field_parts(column, &mut part));
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        StateId(id)
    }

    /// The id of how far the events of a log were partitioned anew by an entity.
    pub fn of_entity(fields: &[Field]) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(b"trifold-entity-1");
        for field in fields {
            hash.update(field.name.as_str().as_bytes()).update(&[0xFF]);
            hash.update(field.ty.name().as_bytes()).update(&[0xFF]);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        StateId(id)
    }
}
