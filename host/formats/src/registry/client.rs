//! Questions to a registry.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring;
use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::{FormatError, RegistryError};
use crate::limits::ANSWER_BYTES_MAX;
use crate::settings::RegistrySettings;
use crate::text::shown;

/// The kind of the registry's answers.
const ACCEPT: &str = "application/vnd.schemaregistry.v1+json, application/json";

/// A registry that can be asked.
pub(crate) struct Client {
    agent: Agent,
    /// Without a slash at its end.
    url: String,
    authorization: Option<String>,
    timeout: Duration,
}

/// What a registry has of a schema.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) schema: String,
    #[serde(rename = "schemaType")]
    pub(super) kind: Option<String>,
    pub(super) references: Option<Vec<Reference>>,
}

/// Another schema that one refers to.
#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    /// What it is called by the schema that refers to it.
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) version: i32,
}

/// A refusal.
#[derive(Debug, Deserialize)]
struct Refusal {
    error_code: u32,
    message: Option<String>,
}

/// Without the password.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(settings: &RegistrySettings) -> Result<Client, FormatError> {
        let no = |problem| FormatError::Url { url: settings.url.clone(), problem };
        let (scheme, rest) = settings.url.split_once("://").ok_or_else(|| no("it has no http:// before it"))?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains('@') {
            // It would be shown with every error.
            return Err(FormatError::Url {
                url: format!("{scheme}://..."),
                problem: "it has a user in it, who is to be given apart",
            });
        }
        if host.is_empty() || rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return Err(no("it must be a host, and may have a port and a path"));
        }
        let roots = match scheme {
            "http" => Vec::new(),
            "https" => roots(settings)?,
            _ => return Err(no("it begins neither with http:// nor with https://")),
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(settings.timeout))
            // It would be taken from the environment.
            .proxy(None)
            .accept(ACCEPT)
            .user_agent("trifold")
            .build();
        let authorization = settings.credentials.as_ref().map(|credentials| {
            let pair = format!("{}:{}", credentials.user, credentials.password);
            format!("Basic {}", STANDARD.encode(pair))
        });
        Ok(Client {
            agent: config.new_agent(),
            url: settings.url.trim_end_matches('/').to_owned(),
            authorization,
            timeout: settings.timeout,
        })
    }

    /// The schema of an id, or why the registry has none.
    pub(super) fn schema(&self, id: u32) -> Result<Result<Answer, String>, RegistryError> {
        self.get(&format!("/schemas/ids/{id}"))
    }

    /// The schema of a version of a subject, be it deleted, or why the registry has none.
    pub(super) fn version(&self, reference: &Reference) -> Result<Result<Answer, String>, RegistryError> {
        self.get(&format!("/subjects/{}/versions/{}?deleted=true", escaped(&reference.subject), reference.version))
    }

    fn get(&self, path: &str) -> Result<Result<Answer, String>, RegistryError> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.get(&url);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let failed = |error| self.failed(&url, error);
        let mut response = request.call().map_err(failed)?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
        let status = response.status().as_u16();
        if status == 200 {
            let answer = serde_json::from_slice(&body);
            return answer.map(Ok).map_err(|error| RegistryError::Answer { url, problem: error.to_string() });
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
        match refusal {
            // The codes for subjects, versions and schemas that are not there. A path that is not there is another
            // matter: then this is no registry, or not its address.
            Some(Refusal { error_code: code @ 40401..=40403, message }) if status == 404 => {
                Ok(Err(shown(&message.unwrap_or_else(|| code.to_string()))))
            }
            Some(Refusal { error_code, message }) => {
                let answer = format!("{error_code} {}", shown(&message.unwrap_or_default()));
                Err(RegistryError::Status { url, status, answer })
            }
            None => {
                let answer = shown(String::from_utf8_lossy(&body).trim());
                Err(RegistryError::Status { url, status, answer })
            }
        }
    }

    fn failed(&self, url: &str, error: ureq::Error) -> RegistryError {
        let url = url.to_owned();
        match error {
            ureq::Error::Timeout(_) => RegistryError::Timeout { url, within: self.timeout },
            ureq::Error::BodyExceedsLimit(most) => {
                RegistryError::Answer { url, problem: format!("it has more than {most} bytes") }
            }
            other => RegistryError::Unreachable { url, problem: other.to_string() },
        }
    }
}

/// The certificates to trust.
fn roots(settings: &RegistrySettings) -> Result<Vec<Certificate<'static>>, FormatError> {
    let Some(path) = &settings.ca_file else {
        let found = rustls_native_certs::load_native_certs();
        let roots: Vec<_> = found.certs.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        if roots.is_empty() {
            let problems: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            let problem = if problems.is_empty() { "there are none".to_owned() } else { problems.join("; ") };
            return Err(FormatError::Certificates { place: "the system".to_owned(), problem });
        }
        return Ok(roots);
    };
    let pem = fs::read(path).map_err(|source| FormatError::Read { path: path.clone(), source })?;
    let no = |problem: String| FormatError::Certificates { place: path.display().to_string(), problem };
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(root) = item.map_err(|error| no(error.to_string()))? {
            roots.push(root);
        }
    }
    if roots.is_empty() { Err(no("there are none".to_owned())) } else { Ok(roots) }
}

/// A text as a part of a path.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(url: &str, expected: &str) {
        let error = Client::new(&RegistrySettings::new(url)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn an_address_is_a_host_and_a_path() {
        check_refused(
            "example.org:8081",
            "example.org:8081 is no address of a schema registry: it has no http://",
        );
        check_refused("ftp://example.org", "neither");
        check_refused("http://", "must be a host");
        check_refused("http://example.org/?a=b", "must be a host");
        for url in ["http://example.org:8081", "http://127.0.0.1/apis/ccompat/v7/"] {
            Client::new(&RegistrySettings::new(url)).unwrap();
        }
        let secret = format!("http://{}@example.org", "me:secret");
        check_refused(&secret, "given apart");
        assert!(!Client::new(&RegistrySettings::new(secret)).unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn a_subject_may_have_any_name() {
        assert_eq!(escaped("a-b.C_1~"), "a-b.C_1~");
        assert_eq!(escaped("a/b c?é"), "a%2Fb%20c%3F%C3%A9");
    }
}
