//! Signing the components of a registry, and running none that nobody trusted has signed.

use std::collections::BTreeMap;

use trifold_model::{ComponentDigest, ViewName};

use crate::error::{RecordDamage, RegistryError};
use crate::registry::{RECORD_BYTES_MAX, Registry};
use crate::signature::{KeyId, PublicKey, Signature};

/// The keys whose signatures count. Without any, every component may run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys(BTreeMap<KeyId, PublicKey>);

impl FromIterator<PublicKey> for TrustedKeys {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        TrustedKeys(keys.into_iter().map(|key| (key.id(), key)).collect())
    }
}

impl TrustedKeys {
    /// Whether every component may run.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this key is trusted.
    pub fn contains(&self, key: &KeyId) -> bool {
        self.0.contains_key(key)
    }
}

/// A signature that lies beside a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSignature {
    /// Whose it is, or would be.
    pub key: KeyId,
    /// Why it is none.
    pub problem: Option<RegistryError>,
}

impl Registry {
    /// The registry for somebody who runs what these keys have signed, and nothing else.
    pub fn trusting(self, trusted: TrustedKeys) -> Self {
        Registry { trusted: trusted.into(), ..self }
    }

    /// The keys whose signatures count here.
    pub fn trusted(&self) -> &TrustedKeys {
        &self.trusted
    }

    /// Puts a signature beside a component, and returns whether it was not there yet. One that is damaged is replaced.
    pub async fn sign(&self, component: &ComponentDigest, signature: &Signature) -> Result<bool, RegistryError> {
        let key = signature.key.id();
        if !signature.holds_for(component) {
            return Err(RegistryError::WrongSignature { digest: *component, key });
        }
        let (object, text) = (signature_object(component, &key), signature.to_file());
        if self.objects.create(&object, text.clone().into()).await? {
            return Ok(true);
        }
        match self.signature(component, &key).await {
            Err(error) if error.is_damage() => self.objects.replace(&object, text.into()).await.map(|()| true),
            found => found.map(|_| false),
        }
    }

    /// The signatures that lie beside a component, by key.
    pub async fn signatures(&self, component: &ComponentDigest) -> Result<Vec<FoundSignature>, RegistryError> {
        let listing = self.objects.list(&signatures_directory(component)).await?;
        let mut found = Vec::new();
        for key in listing.files.iter().filter_map(|file| file.parse().ok()) {
            match self.signature(component, &key).await {
                Ok(signature) => found.extend(signature.map(|_| FoundSignature { key, problem: None })),
                Err(error) if error.is_damage() => found.push(FoundSignature { key, problem: Some(error) }),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The component of a version, if it may run here: its bytes are those of its digest, and where keys are trusted, one
    /// of them has signed it.
    pub async fn runnable(
        &self,
        view: &ViewName,
        version: u64,
        digest: &ComponentDigest,
    ) -> Result<Vec<u8>, RegistryError> {
        if !self.is_trusted(digest).await? {
            let (view, digest) = (view.clone(), *digest);
            let found = self.signatures(&digest).await?;
            return Err(RegistryError::Untrusted { view, version, digest, found });
        }
        self.component(digest).await
    }

    /// Whether a trusted key has signed a component, or none has to.
    async fn is_trusted(&self, component: &ComponentDigest) -> Result<bool, RegistryError> {
        for key in self.trusted.0.keys() {
            match self.signature(component, key).await {
                Ok(None) => {}
                // Another key may have signed it, too.
                Err(error) if error.is_damage() => {}
                found => return found.map(|_| true),
            }
        }
        Ok(self.trusted.is_empty())
    }

    /// A key's signature of a component, if there is one. What is there and does not hold is damage.
    async fn signature(
        &self,
        component: &ComponentDigest,
        key: &KeyId,
    ) -> Result<Option<Signature>, RegistryError> {
        let object = signature_object(component, key);
        let Some(text) = self.objects.get(&object, RECORD_BYTES_MAX).await? else { return Ok(None) };
        match read(&text, component, key) {
            Ok(signature) => Ok(Some(signature)),
            Err(damage) => Err(RegistryError::DamagedRecord { place: self.objects.place(&object), damage }),
        }
    }
}

fn read(text: &[u8], component: &ComponentDigest, key: &KeyId) -> Result<Signature, RecordDamage> {
    let text = String::from_utf8_lossy(text);
    let signature: Signature = text.trim_end().parse().map_err(|reason| RecordDamage::Signature { reason })?;
    let found = signature.key.id();
    if found != *key {
        let (found, expected) = (found.to_string(), key.to_string());
        return Err(RecordDamage::Misplaced { field: "key", found, expected });
    }
    match signature.holds_for(component) {
        true => Ok(signature),
        false => Err(RecordDamage::OtherComponent),
    }
}

fn signatures_directory(component: &ComponentDigest) -> String {
    format!("components/sha256/{component}/signatures")
}

fn signature_object(component: &ComponentDigest, key: &KeyId) -> String {
    format!("{}/{key}", signatures_directory(component))
}
