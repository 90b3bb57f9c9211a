//! What stands where a registry should be, and fails as it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What is done with a question.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// A status and a body.
    Answer(u16, String),
    /// The connection is closed without a word.
    Close,
    /// An answer comes a byte at a time, and would take minutes.
    Drip,
    /// Nothing comes.
    Silence,
}

/// A server on this machine, which ends with the process.
pub(crate) struct Fake {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts a server that does with a question, whose head it is given, what it is told.
    pub(crate) fn start(then: impl Fn(&str) -> Then + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heads = asked.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let head = head(&mut connection);
                heads.lock().unwrap().push(head.clone());
                match then(&head) {
                    Then::Answer(status, body) => {
                        let length = body.len();
                        let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}");
                        // Who asked may have gone.
                        let _ = connection.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
                    }
                    Then::Close => {}
                    Then::Drip => {
                        thread::spawn(move || {
                            let _ = connection.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 9999\r\n\r\n");
                            // Byte by byte, until who asked has gone.
                            let pace = Some(Duration::from_millis(20));
                            connection.set_read_timeout(pace).unwrap();
                            while connection.write_all(b" ").is_ok() && !has_gone(&mut connection) {}
                        });
                    }
                    Then::Silence => {
                        thread::spawn(move || connection.read(&mut [0]));
                    }
                }
            }
        });
        Fake { url, asked }
    }

    /// The heads of the questions so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Waits whether the other side goes.
fn has_gone(connection: &mut TcpStream) -> bool {
    let timeouts = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
    match connection.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => !timeouts.contains(&error.kind()),
    }
}

fn head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|length| length == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}
