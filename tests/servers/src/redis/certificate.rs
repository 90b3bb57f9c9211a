//! A certificate for this machine, of an authority of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::ServerError;
use crate::tool;

/// What openssl is told instead of the settings of the system, which may be any. Clients take no certificate for that of
/// an authority that does not say so, and look for the host among the alternative names only.
const SETTINGS: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
";

/// What makes a key and asks for a certificate. Of the keys that every client takes, those are made fastest.
const REQUEST: &str = "req -config settings -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -pkeyopt ec_param_enc:named_curve -nodes";

/// What makes an authority, then a key with a request, then what the authority says to it.
const ISSUE: [&str; 3] = [
    "-x509 -extensions authority -days 2 -subj /CN=trifold-test-authority -keyout authority.key -out authority.pem",
    "-new -subj /CN=trifold-test-server -keyout server.key -out server.request",
    "x509 -req -in server.request -CA authority.pem -CAkey authority.key -CAcreateserial \
     -extfile settings -extensions server -days 2 -out server.pem",
];

/// A certificate for 127.0.0.1, in files.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The certificate of the authority that signed it.
    pub(crate) authority: PathBuf,
    pub(crate) own: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes an authority and a certificate, in a folder.
    pub(crate) fn make(folder: &Path) -> Result<Certificate, ServerError> {
        let settings = folder.join("settings");
        fs::write(&settings, SETTINGS).map_err(ServerError::io(format!("write {}", settings.display())))?;
        let [authority, request, certificate] = ISSUE;
        for line in [format!("{REQUEST} {authority}"), format!("{REQUEST} {request}"), certificate.to_owned()] {
            tool::run("openssl", Command::new("openssl").args(line.split_whitespace()).current_dir(folder))?;
        }
        let [authority, own, key] = ["authority.pem", "server.pem", "server.key"].map(|name| folder.join(name));
        Ok(Certificate { authority, own, key })
    }
}
