//! A bucket of an object store with the interface of S3.

use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider, S3ConditionalPut};
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};
use tokio::sync::OnceCell;

use super::fault::{Fault, Kind};
use super::{Listing, Read, read, reason};
use crate::error::RegistryError;
use crate::id::{ID_OBJECT, RegistryId};
use crate::location::Location;
use crate::registry::{COMPONENT_BYTES_MAX, RECORD_BYTES_MAX};
use crate::s3::S3Settings;

/// How long is waited before a request that failed is tried again. The client library, which would do so too, does
/// not tell whether it did: then an object that the first attempt wrote would be taken for somebody else's.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];

/// The objects below a prefix of a bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: PrefixStore<AmazonS3>,
    credentials: AwsCredentialProvider,
    root: Location,
    /// Where the store is, for messages.
    server: String,
    /// The id of a registry that is made if there is none.
    new: Option<RegistryId>,
    /// Whether the store was found to leave alone what is there.
    guarded: OnceCell<()>,
}

/// What a put of an object that should not be there yet came to.
enum Put {
    Written,
    Exists,
    /// It exists, and an attempt whose answer was lost may have written it.
    Unclear,
}

impl Bucket {
    pub(super) fn open(
        bucket: &str,
        prefix: &str,
        settings: &S3Settings,
        new: Option<RegistryId>,
    ) -> Result<Self, RegistryError> {
        let root = Location::S3 { bucket: bucket.into(), key: prefix.into() };
        let wrong = |reason: String| RegistryError::Settings { place: root.clone(), reason };
        let builder = builder(bucket, settings);
        let server = server(&builder).map_err(wrong)?;
        let store = builder.build().map_err(|error| wrong(reason(&error)))?;
        Ok(Bucket {
            credentials: store.credentials().clone(),
            store: PrefixStore::new(store, ObjectPath::from(prefix)),
            root,
            server,
            new,
            guarded: OnceCell::new(),
        })
    }

    pub(super) fn place(&self, object: &str) -> Location {
        self.root.join(object)
    }

    pub(super) async fn get(&self, object: &str, bytes_max: u64) -> Result<Option<Read>, RegistryError> {
        match self.ask(|| read(&self.store, object, bytes_max)).await {
            Ok(read) => Ok(Some(read)),
            Err(Fault { kind: Kind::NoObject, .. }) => Ok(None),
            Err(fault) => Err(self.failed("read", object, fault)),
        }
    }

    pub(super) async fn create(&self, object: &str, bytes: Bytes) -> Result<bool, RegistryError> {
        self.guarded.get_or_try_init(|| self.find_guarded()).await?;
        match self.put_new(object, &bytes).await.map_err(|fault| self.failed("write", object, fault))? {
            Put::Written => Ok(true),
            Put::Exists => Ok(false),
            Put::Unclear => match self.get(object, COMPONENT_BYTES_MAX).await? {
                Some(Read::Whole(found)) => Ok(found == bytes),
                _ => Ok(false),
            },
        }
    }

    pub(super) async fn replace(&self, object: &str, bytes: Bytes) -> Result<(), RegistryError> {
        let put = self.ask(|| self.put(object, bytes.clone(), PutMode::Overwrite)).await;
        put.map_err(|fault| self.failed("write", object, fault))
    }

    /// An empty listing is one of a registry that is there: of a prefix that is not, it would be empty, too.
    pub(super) async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        let path = ObjectPath::from(prefix);
        let listed = self.ask(|| self.store.list_with_delimiter(Some(&path))).await;
        let listing = Listing::from(listed.map_err(|fault| self.failed("list", prefix, fault))?);
        let is_empty = listing.directories.is_empty() && listing.files.is_empty();
        if is_empty && self.get(ID_OBJECT, RECORD_BYTES_MAX).await?.is_none() {
            return Err(RegistryError::Missing { place: self.root.clone() });
        }
        Ok(listing)
    }

    /// Finds out whether the store leaves alone what is there. One that passes over the condition, and says
    /// nothing of it, would let two releases overwrite each other. It is tried with the id, which every registry
    /// has: put once more as it is, it is the same whatever the store makes of it.
    async fn find_guarded(&self) -> Result<(), RegistryError> {
        let failed = |fault| self.failed("write", ID_OBJECT, fault);
        let mut made = false;
        let id = loop {
            match self.get(ID_OBJECT, RECORD_BYTES_MAX).await? {
                Some(Read::Whole(id)) => break id,
                Some(Read::TooLarge { bytes }) => {
                    let (place, bytes_max) = (self.place(ID_OBJECT), RECORD_BYTES_MAX);
                    return Err(RegistryError::TooLarge { place, bytes, bytes_max });
                }
                None => {}
            }
            let new = self.new.as_ref().ok_or_else(|| RegistryError::Missing { place: self.root.clone() })?;
            made = matches!(self.put_new(ID_OBJECT, &new.to_file()).await.map_err(failed)?, Put::Written);
        };
        match self.put_new(ID_OBJECT, &id).await.map_err(failed)? {
            Put::Exists | Put::Unclear => Ok(()),
            Put::Written => {
                if made {
                    // Nothing can be done if that does not work, and it does no harm.
                    let _ = self.store.delete(&ObjectPath::from(ID_OBJECT)).await;
                }
                Err(self.unguarded("it overwrote an object that it was told to leave alone"))
            }
        }
    }

    /// Puts an object if there is none.
    async fn put_new(&self, object: &str, bytes: &Bytes) -> Result<Put, Fault> {
        let mut pauses = PAUSES.into_iter();
        let mut unclear = false;
        loop {
            let put = self.ask_once(self.put(object, bytes.clone(), PutMode::Create)).await;
            let Err(mut fault) = put else { return Ok(Put::Written) };
            // Some stores say so of what exists, and others only of what is being written.
            let exists = match fault.kind {
                Kind::Exists => true,
                Kind::Conflict => self.ask_once(self.store.head(&ObjectPath::from(object))).await.is_ok(),
                _ => false,
            };
            if exists {
                return Ok(if unclear { Put::Unclear } else { Put::Exists });
            }
            unclear |= fault.kind.is_unclear();
            match pauses.next().filter(|_| fault.kind.passes()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => {
                    fault.kind = if unclear { Kind::Lost } else { fault.kind };
                    return Err(fault);
                }
            }
        }
    }

    async fn put(&self, object: &str, bytes: Bytes, mode: PutMode) -> object_store::Result<()> {
        let options = PutOptions { mode, ..Default::default() };
        self.store.put_opts(&ObjectPath::from(object), bytes.into(), options).await.map(drop)
    }

    /// Asks the store, and again where that may help.
    async fn ask<T, F>(&self, question: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let mut pauses = PAUSES.into_iter();
        loop {
            let fault = match self.ask_once(question()).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            match pauses.next().filter(|_| fault.kind.passes()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(fault),
            }
        }
    }

    async fn ask_once<T>(&self, question: impl Future<Output = object_store::Result<T>>) -> Result<T, Fault> {
        // They are kept until they expire. Asked for by themselves, a failure to get any is told from the store's
        // own.
        self.credentials.get_credential().await.map_err(|error| Fault::of_credentials(&error))?;
        question.await.map_err(|error| Fault::of(&error))
    }

    fn failed(&self, action: &'static str, object: &str, fault: Fault) -> RegistryError {
        let (place, server, reason) = (self.place(object), self.server.clone(), fault.reason);
        match fault.kind {
            Kind::NoBucket => RegistryError::MissingBucket { place: self.root.clone(), server },
            Kind::NoCredentials => RegistryError::NoCredentials { place: self.root.clone(), reason },
            Kind::Denied => RegistryError::Denied { action, place, reason },
            Kind::Unable if action == "write" => self.unguarded(&format!("it answered `{reason}`")),
            Kind::Lost | Kind::TimedOut if action == "write" => RegistryError::Unclear { place, server, reason },
            Kind::Unreached | Kind::Conflict | Kind::Lost | Kind::TimedOut => {
                RegistryError::Unavailable { action, place, server, reason }
            }
            Kind::NoObject | Kind::Exists | Kind::Unable | Kind::Refused => {
                RegistryError::Io { action, place, reason }
            }
        }
    }

    fn unguarded(&self, found: &str) -> RegistryError {
        RegistryError::Unguarded { place: self.root.clone(), server: self.server.clone(), found: found.to_owned() }
    }
}

/// Where the store is, if the client library can make an address of what it was told: it panics otherwise.
fn server(builder: &AmazonS3Builder) -> Result<String, String> {
    let said = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
    let consists_of = |text: &str, others: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    };
    let region = said(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
    if !consists_of(&region, b"-") {
        return Err(format!("`{region}` is no region, as in us-east-1"));
    }
    let endpoint = said(AmazonS3ConfigKey::S3Endpoint).or_else(|| said(AmazonS3ConfigKey::Endpoint));
    let Some(endpoint) = endpoint else { return Ok(format!("S3 in {region}")) };
    let (scheme, rest) = endpoint.split_once("://").unwrap_or_default();
    if !["http", "https"].contains(&scheme) || rest.starts_with('/') || !consists_of(rest, b"-._:/[]") {
        return Err(format!("`{endpoint}` is no address of an object store, as in https://example.org:9000"));
    }
    let allow_http = said(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    if scheme == "http" && allow_http.as_deref() != Some("true") {
        return Err(format!("{endpoint} is without TLS, which has to be allowed: `allow-http = true` in [s3]"));
    }
    Ok(endpoint)
}

fn builder(bucket: &str, settings: &S3Settings) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in &settings.environment {
        // The environment has other variables of Amazon's tools, too.
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if settings.allow_http {
        builder = builder.with_allow_http(true);
    }
    if settings.virtual_hosted_style {
        builder = builder.with_virtual_hosted_style_request(true);
    }
    builder
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
}
