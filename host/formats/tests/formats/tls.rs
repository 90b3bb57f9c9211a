//! A registry behind TLS. The certificates were made for these tests; their authority's key is thrown away, and nobody
//! trusts it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use trifold_formats::{Decoder, Encoding, RegistrySettings, SchemaSource};

const SCHEMA: &str = r#"{"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}"}"#;

/// Starts a server, and returns its port.
fn start() -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(session, connection.unwrap());
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
                head.push(byte[0]);
            }
            // Who does not trust us has gone.
            let length = SCHEMA.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{SCHEMA}");
        }
    });
    port
}

fn decoded(url: &str, ca_file: Option<&Path>) -> Result<String, String> {
    let mut settings = RegistrySettings::new(url);
    settings.ca_file = ca_file.map(Path::to_owned);
    let encoding = Encoding::Avro { schema: SchemaSource::Registry(settings), reader: None };
    let mut out = Vec::new();
    let outcome = Decoder::new(encoding).unwrap().decode(&[0, 0, 0, 0, 7], &mut out);
    outcome.map(|()| String::from_utf8(out).unwrap()).map_err(|error| {
        assert!(error.is_transient(), "{error}");
        error.to_string()
    })
}

#[test]
fn a_registry_is_trusted_if_its_authority_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/tls");
    let port = start();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/api");
        assert_eq!(decoded(&url, Some(&folder.join("ca.pem"))), Ok("{}".to_owned()));
        let problem = decoded(&url, Some(&folder.join("server.pem"))).unwrap_err();
        assert!(problem.contains("cannot be reached") && problem.contains("certificate"), "{problem}");
    }
}
