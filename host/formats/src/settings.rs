//! How values are encoded, and where their schemas are.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How the values of a topic are encoded.
#[derive(Debug, Clone)]
pub enum Encoding {
    /// JSON, which is passed on as it is.
    Json,
    /// Avro's binary encoding.
    Avro {
        /// Where the schema is with which a value was written.
        schema: SchemaSource,
        /// The file of a schema that values are read by, with Avro's rules of resolution: its fields, its aliases,
        /// and its defaults for what the writer does not have. Without it, values have the fields of their writer.
        reader: Option<PathBuf>,
    },
    /// Protobuf's binary encoding.
    Protobuf {
        /// Where the schema is.
        schema: SchemaSource,
        /// The full name of the message. With a file it may be left out if the file has one message. With a registry
        /// the value says which it is, and a value that is another is undecodable.
        message: Option<String>,
    },
}

/// Where schemas are.
#[derive(Debug, Clone)]
pub enum SchemaSource {
    /// A file: the values have nothing before them, and are all of that one schema. A `.proto` file finds what it
    /// imports in its own folder.
    File(PathBuf),
    /// A schema registry: each value begins with the id of its schema.
    Registry(RegistrySettings),
}

/// A schema registry with the API of Confluent's.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Its address, with the path that the API is below, if any.
    pub url: String,
    /// The user to log in as, by HTTP's basic authentication.
    pub credentials: Option<Credentials>,
    /// A file of PEM certificates, which are trusted and no others. Without it, those of the system are.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl RegistrySettings {
    /// A registry that asks for no password, has ten seconds to answer, and is known to the system if it uses TLS.
    pub fn new(url: impl Into<String>) -> RegistrySettings {
        RegistrySettings { url: url.into(), credentials: None, ca_file: None, timeout: Duration::from_secs(10) }
    }
}

/// A user and a password.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password, which nothing shows.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}
