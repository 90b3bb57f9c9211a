//! Speaks to a Redis in its own protocol, as anybody may.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// What a Redis answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A word, a number or a text; nothing is an empty one.
    Text(Vec<u8>),
    /// Several answers.
    Several(Vec<Answer>),
    /// It refused.
    Error(String),
}

/// Sends a command on a connection of its own.
#[track_caller]
pub(crate) fn ask(address: &str, command: &[&[u8]]) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    let mut line = format!("*{}\r\n", command.len()).into_bytes();
    for part in command {
        line.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        line.extend_from_slice(part);
        line.extend_from_slice(b"\r\n");
    }
    connection.write_all(&line).unwrap();
    read(&mut BufReader::new(connection))
}

/// Sends a command of words that is not refused.
#[track_caller]
pub(crate) fn tell(address: &str, command: &str) -> Answer {
    let words: Vec<_> = command.split(' ').map(str::as_bytes).collect();
    let answer = ask(address, &words);
    assert!(!matches!(answer, Answer::Error(_)), "{command}: {answer:?}");
    answer
}

/// Runs a script with one argument.
#[track_caller]
pub(crate) fn run(address: &str, script: &str, argument: &str) {
    let answer = ask(address, &[b"EVAL", script.as_bytes(), b"0", argument.as_bytes()]);
    assert!(!matches!(answer, Answer::Error(_)), "{script}: {answer:?}");
}

impl Answer {
    #[track_caller]
    pub(crate) fn text(self) -> String {
        match self {
            Answer::Text(text) => String::from_utf8(text).unwrap(),
            other => panic!("no text: {other:?}"),
        }
    }
}

fn read(connection: &mut impl BufRead) -> Answer {
    let mut line = String::new();
    connection.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    match kind {
        "-" => Answer::Error(rest.to_owned()),
        "$" => {
            // A length of -1 is nothing.
            let Ok(length) = rest.parse::<usize>() else { return Answer::Text(Vec::new()) };
            let mut text = vec![0; length + 2];
            connection.read_exact(&mut text).unwrap();
            text.truncate(length);
            Answer::Text(text)
        }
        "*" => Answer::Several((0..rest.parse().unwrap_or(0)).map(|_| read(connection)).collect()),
        _ => Answer::Text(rest.as_bytes().to_vec()),
    }
}
