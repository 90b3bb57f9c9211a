//! An object store with the interface of S3.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::control::Control;
use crate::error::ServerError;
use crate::jars::S3PROXY;
use crate::ports;
use crate::server::{self, Plan, Server};

/// Small, and compiled no better than takes little time: a store of a test lives for seconds.
const JAVA: [&str; 5] = ["java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// An S3 (S3Proxy over a directory), which puts objects on condition as Amazon's does: of several that create the
/// same one at once, one does. It keeps what it has when it is stopped or killed.
#[derive(Debug)]
pub struct S3 {
    endpoint: String,
    data: PathBuf,
    server: Server,
}

impl S3 {
    /// The id of the key that requests are signed with.
    pub const ACCESS_KEY_ID: &str = "AKIATRIFOLDTESTS";
    /// The key.
    pub const SECRET_ACCESS_KEY: &str = "none/of/anybodys/business";

    /// Starts an S3, and waits until it answers.
    pub fn start() -> Result<S3, ServerError> {
        S3::start_with(&format!(
            "s3proxy.authorization=aws-v4\ns3proxy.identity={}\ns3proxy.credential={}\n",
            S3::ACCESS_KEY_ID,
            S3::SECRET_ACCESS_KEY
        ))
    }

    /// Starts an S3 that looks at no signature, so that somebody between it and its clients can change requests.
    pub fn start_unsigned() -> Result<S3, ServerError> {
        S3::start_with("s3proxy.authorization=none\n")
    }

    fn start_with(authorization: &str) -> Result<S3, ServerError> {
        let program = S3PROXY.folder()?;
        let program = program.join(format!("s3proxy-{}-jar-with-dependencies.jar", S3PROXY.version()));
        let dir = server::directory()?;
        let (settings, data) = (dir.path().join("settings"), dir.path().join("data"));
        let address = format!("127.0.0.1:{}", ports::free()?);
        let endpoint = format!("http://{address}");
        let text = format!(
            "s3proxy.endpoint={endpoint}\n{authorization}\
             jclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={}\n\
             # Whoever these are: a directory asks nobody.\njclouds.identity=x\njclouds.credential=x\n",
            data.display()
        );
        fs::write(&settings, text).map_err(ServerError::io(format!("write {}", settings.display())))?;
        make_directory(&data)?;
        let mut line: Vec<OsString> = JAVA.into_iter().map(OsString::from).collect();
        line.extend(["-jar".into(), program.into(), "--properties".into(), settings.into()]);
        let plan = Plan { name: S3PROXY.server, address, line, is_up, up_within: Duration::from_secs(60) };
        Ok(S3 { endpoint, data, server: Server::start(plan, dir)? })
    }

    /// Its address, as clients are told it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Host and port, for a proxy.
    pub fn address(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }

    /// Makes a bucket, if there is none of the name: the directory in which its objects are files, for those who
    /// want to look or to break something.
    pub fn bucket(&self, name: &str) -> Result<PathBuf, ServerError> {
        let directory = self.data.join(name);
        make_directory(&directory).map(|()| directory)
    }
}

impl Control for S3 {
    fn server(&mut self) -> Result<&mut Server, ServerError> {
        Ok(&mut self.server)
    }
}

fn make_directory(path: &Path) -> Result<(), ServerError> {
    fs::create_dir_all(path).map_err(ServerError::io(format!("make {}", path.display())))
}

fn is_up(address: &str, _log: &Path) -> bool {
    let Ok(mut connection) = TcpStream::connect(address) else { return false };
    let question = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 9];
    let asked = connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| connection.write_all(question.as_bytes()))
        .and_then(|()| connection.read_exact(&mut answer));
    // What it says to a request without a signature does not matter.
    asked.is_ok() && answer == *b"HTTP/1.1 "
}
