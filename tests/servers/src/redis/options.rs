//! How a Redis is started.

use std::ffi::OsString;

use crate::redis::certificate::Certificate;

/// What distinguishes a Redis from one that anybody may ask in plain. The default is that one.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    pub(crate) tls: bool,
    user: Option<User>,
    /// Names and values.
    settings: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct User {
    name: String,
    password: String,
}

impl RedisOptions {
    /// Listens behind TLS only, with a certificate for 127.0.0.1 of an authority of its own, and asks clients for none.
    pub fn tls(self) -> RedisOptions {
        RedisOptions { tls: true, ..self }
    }

    /// Lets only this user in, who may do everything.
    pub fn user(self, name: &str, password: &str) -> RedisOptions {
        RedisOptions { user: Some(User { name: name.to_owned(), password: password.to_owned() }), ..self }
    }

    /// A setting of `redis-server` by its name there, such as `maxmemory-policy`. It is stronger than what is set here
    /// by itself, and of two with one name the later one is.
    pub fn setting(mut self, name: &str, value: &str) -> RedisOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The program and its arguments. It writes nothing to disk, and has its port in plain if it has no certificate.
    pub(crate) fn line(&self, port: u16, certificate: Option<&Certificate>) -> Vec<OsString> {
        let port = port.to_string();
        let mut line: Vec<OsString> =
            ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(Into::into).to_vec();
        match certificate {
            None => line.extend(["--port", &port].map(Into::into)),
            Some(Certificate { authority, own, key }) => {
                line.extend(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"].map(Into::into));
                let files = [("--tls-ca-cert-file", authority), ("--tls-cert-file", own), ("--tls-key-file", key)];
                line.extend(files.into_iter().flat_map(|(name, path)| [name.into(), path.into()]));
            }
        }
        if let Some(User { name, password }) = &self.user {
            line.extend(["--user", "default", "off"].map(Into::into));
            line.extend(["--user", name, "on", &format!(">{password}"), "~*", "&*", "+@all"].map(Into::into));
        }
        line.extend(self.settings.iter().flat_map(|(name, value)| [format!("--{name}").into(), value.into()]));
        line
    }

    /// Where it is, as clients are told it.
    pub(crate) fn url(&self, address: &str) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let user =
            self.user.as_ref().map(|User { name, password }| format!("{}:{}@", escaped(name), escaped(password)));
        format!("{scheme}://{}{address}", user.unwrap_or_default())
    }
}

/// A text as it may stand anywhere in a URL.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &RedisOptions, scheme: &str, user: &str) {
        assert_eq!(options.url("127.0.0.1:6379"), format!("{scheme}://{user}127.0.0.1:6379"));
    }

    #[test]
    fn a_url_says_whether_to_speak_tls_and_as_whom() {
        let options = RedisOptions::default();
        check(&options, "redis", "");
        check(&options.clone().tls(), "rediss", "");
        check(&options.clone().user("me", "secret"), "redis", "me:secret@");
        check(&options.tls().user("m:e", "a/b@c ü"), "rediss", "m%3Ae:a%2Fb%40c%20%C3%BC@");
    }
}
