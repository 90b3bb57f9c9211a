//! Questions to a Redis, in its own protocol.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Long, as machines of tests may be busy; one that is paused never answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Sends a command as one would type it, and returns the answer: the text alone if it is a bulk string, else the line
/// with the sign in front that says of what kind it is.
pub(crate) fn ask(address: &str, command: &str) -> io::Result<String> {
    let mut answers = BufReader::new(send(address, command)?);
    let mut line = String::new();
    if answers.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let Some(length) = line.strip_prefix('$').and_then(|length| length.parse().ok()) else {
        return Ok(line.to_owned());
    };
    let mut text = String::new();
    answers.take(length).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether it answers. One that wants a password first is up; one that still loads its data is not.
pub(crate) fn answers(address: &str) -> bool {
    ask(address, "PING").is_ok_and(|answer| answer == "+PONG" || answer.starts_with("-NOAUTH "))
}

/// Whether it turns away who does not speak TLS, which shows that somebody is there who does.
pub(crate) fn speaks_tls(address: &str) -> bool {
    let read = send(address, "PING").and_then(|mut connection| connection.read(&mut [0]));
    read.map_or_else(|error| error.kind() == io::ErrorKind::ConnectionReset, |_| true)
}

fn send(address: &str, command: &str) -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(ANSWERS_WITHIN))?;
    connection.write_all(format!("{command}\r\n").as_bytes())?;
    Ok(connection)
}
