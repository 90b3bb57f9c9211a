//! Keys and signatures of components: what is signed, by which key, and whether it holds.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use trifold_model::ComponentDigest;

/// What a signed message begins with, so that a signature of something else that the key signs is none of a component.
const DOMAIN: &[u8] = b"trifold-component-1\xFF";

const PUBLIC: &str = "ed25519:";
const PRIVATE: &str = "ed25519-private:";

/// A text that is no key or no signature. It is not repeated: it may be a secret that stands in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// No public key.
    #[error(
        "it is no public key: that is `{PUBLIC}` and 64 hexadecimal digits, as `trifold key show FILE` prints it"
    )]
    Public,
    /// A private key where a public one is wanted.
    #[error(
        "it is a private key, which nobody else may have: the public key is wanted, which `trifold key show FILE` prints"
    )]
    Secret,
    /// No private key.
    #[error(
        "it holds no private key: that is `{PRIVATE}` and 64 hexadecimal digits, as `trifold key new FILE` writes it"
    )]
    Private,
    /// A public key where a private one is wanted.
    #[error(
        "it holds a public key, with which nothing can be signed: name the file that `trifold key new FILE` wrote"
    )]
    NotSecret,
    /// No signature.
    #[error("it is no signature: that is a public key, a colon and 128 hexadecimal digits")]
    Signature,
}

/// The key that signatures are checked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// What a key is called: the first 16 bytes of the SHA-256 of the public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; 16]);

/// The key that signs.
pub struct PrivateKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

/// A signature of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Whose it is.
    pub key: PublicKey,
    bytes: [u8; 64],
}

impl PublicKey {
    /// What the key is called.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 16];
        id.copy_from_slice(&digest(&SHA256, &self.0).as_ref()[..16]);
        KeyId(id)
    }
}

impl PrivateKey {
    /// The key of a seed, which must be random.
    pub fn of_seed(seed: [u8; 32]) -> Result<Self, NoKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NoKey::Private)?;
        Ok(PrivateKey { seed, pair })
    }

    /// The key that its signatures are checked by.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(public)
    }

    /// Signs a component. The same key signs the same component with the same bytes.
    pub fn sign(&self, component: &ComponentDigest) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(&message(component)).as_ref());
        Signature { key: self.public(), bytes }
    }

    /// The text of the file that the key is kept in.
    pub fn to_file(&self) -> String {
        format!("{PRIVATE}{}\n", hex::encode(self.seed))
    }
}

impl Signature {
    /// Whether it is one of this component.
    pub fn holds_for(&self, component: &ComponentDigest) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key.0).verify(&message(component), &self.bytes).is_ok()
    }

    /// The text of the object that it is kept in.
    pub(crate) fn to_file(self) -> String {
        format!("{self}\n")
    }
}

/// What is signed of a component: nothing but which bytes it has, for its view stands in them.
fn message(component: &ComponentDigest) -> Vec<u8> {
    [DOMAIN, &component.0].concat()
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl FromStr for PublicKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        if text.starts_with(PRIVATE) {
            return Err(NoKey::Secret);
        }
        text.strip_prefix(PUBLIC).and_then(bytes).map(PublicKey).ok_or(NoKey::Public)
    }
}

impl FromStr for KeyId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id)?;
        Ok(KeyId(id))
    }
}

/// The text of its file.
impl FromStr for PrivateKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let text = text.trim_end();
        if text.starts_with(PUBLIC) {
            return Err(NoKey::NotSecret);
        }
        PrivateKey::of_seed(text.strip_prefix(PRIVATE).and_then(bytes).ok_or(NoKey::Private)?)
    }
}

impl FromStr for Signature {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let (key, signature) = text.rsplit_once(':').ok_or(NoKey::Signature)?;
        let key = key.parse().map_err(|_| NoKey::Signature)?;
        Ok(Signature { key, bytes: bytes(signature).ok_or(NoKey::Signature)? })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex::encode(self.0))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Without the secret.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().id())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, hex::encode(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::of_seed([seed; 32]).unwrap()
    }

    #[test]
    fn a_signature_holds_for_its_component_and_its_key_alone() {
        let [one, two] = [b"one", b"two"].map(|wasm| ComponentDigest::of(wasm));
        let signature = key(1).sign(&one);
        assert!(signature.holds_for(&one) && !signature.holds_for(&two));
        assert!(!Signature { key: key(2).public(), ..signature }.holds_for(&one));
        for bit in 0..512 {
            let mut bytes = signature.bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!Signature { bytes, ..signature }.holds_for(&one), "bit {bit}");
        }
        // The bare digest, signed for some other purpose.
        let mut bytes = [0; 64];
        bytes.copy_from_slice(key(1).pair.sign(&one.0).as_ref());
        assert!(!Signature { bytes, ..signature }.holds_for(&one));
    }

    /// The first vector of RFC 8032, so that a key is what others take for the same key.
    #[test]
    fn a_seed_is_the_key_of_the_standard() {
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(PrivateKey::of_seed(seed).unwrap().public().to_string(), format!("ed25519:{public}"));
    }

    #[test]
    fn texts_are_read_as_they_are_written() {
        let key = key(7);
        let read: PrivateKey = key.to_file().parse().unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        assert_eq!(key.public().id().to_string().parse(), Ok(key.public().id()));
        let signature = key.sign(&ComponentDigest::of(b"one"));
        assert_eq!(signature.to_string().parse(), Ok(signature));
        assert!(!format!("{key:?}").contains(&hex::encode([7; 32])), "{key:?}");
    }

    #[test]
    fn texts_that_are_something_else_are_refused() {
        let key = key(7);
        let public = key.public().to_string();
        assert_eq!(key.to_file().parse::<PublicKey>(), Err(NoKey::Secret));
        assert_eq!(public.parse::<PrivateKey>().unwrap_err(), NoKey::NotSecret);
        for text in
            ["", "ed25519:", &public[..70], &public[8..], &format!("{public}00"), &public.replace(':', " ")]
        {
            assert_eq!(text.parse::<PublicKey>(), Err(NoKey::Public), "{text}");
            assert!(text.parse::<PrivateKey>().is_err(), "{text}");
            assert_eq!(text.parse::<Signature>(), Err(NoKey::Signature), "{text}");
        }
    }
}
