//! How an object store with the interface of S3 is reached.

use std::fmt;

/// How an object store with the interface of S3 is reached, and with which credentials.
#[derive(Clone, Default)]
pub struct S3Settings {
    /// Its address; `None` for what the environment says, or Amazon's.
    pub endpoint: Option<String>,
    /// The region; `None` for what the environment says, or `us-east-1`.
    pub region: Option<String>,
    /// Whether it may be asked without TLS.
    pub allow_http: bool,
    /// Whether the bucket is part of the host's name, instead of the path.
    pub virtual_hosted_style: bool,
    /// The variables of the environment that begin with `AWS_`, with their values: credentials, or where to get
    /// them, and what is not said above.
    pub environment: Vec<(String, String)>,
}

/// Values of the environment are secrets.
impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("S3Settings")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("allow_http", &self.allow_http)
            .field("virtual_hosted_style", &self.virtual_hosted_style)
            .field("environment", &names)
            .finish()
    }
}
