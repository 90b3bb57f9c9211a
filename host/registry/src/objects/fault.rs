//! What a failure of an object store comes to. The client library keeps its own error with the answer's status to
//! itself, so that is read from the text; a test against a store holds it.

use object_store::client::{HttpError, HttpErrorKind};

use super::{chain, reason};

/// What the text of an answer that is none begins with, before the status and the body.
const ANSWERED: &str = "Server returned non-2xx status code: ";

/// The most of a store's own words that a message repeats.
const CHARS_MAX: usize = 300;

/// A request that came to nothing.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// The same for the same failure, so that those who watch can tell it once.
    pub(super) reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no such object.
    NoObject,
    /// There is no such bucket.
    NoBucket,
    /// The object is there already.
    Exists,
    /// Somebody else is writing the object, too.
    Conflict,
    /// There are no credentials.
    NoCredentials,
    /// The credentials are wrong, or do not allow it.
    Denied,
    /// The store cannot do what was asked for.
    Unable,
    /// The request did not come through.
    Unreached,
    /// The request may have been carried out or not.
    Lost,
    /// The same, and it took so long that it is not tried again.
    TimedOut,
    /// The request is wrong, or its answer cannot be understood.
    Refused,
}

impl Kind {
    /// Whether the same request may succeed soon.
    pub(super) fn passes(self) -> bool {
        matches!(self, Kind::Conflict | Kind::Unreached | Kind::Lost)
    }

    /// Whether it is not known if the request was carried out.
    pub(super) fn is_unclear(self) -> bool {
        matches!(self, Kind::Lost | Kind::TimedOut)
    }
}

impl Fault {
    pub(super) fn of(error: &object_store::Error) -> Self {
        let cause = reason(error);
        if let Some(http) = chain(error).find_map(|error| error.downcast_ref::<HttpError>()) {
            let kind = match http.kind() {
                HttpErrorKind::Connect => Kind::Unreached,
                HttpErrorKind::Timeout => Kind::TimedOut,
                _ => Kind::Lost,
            };
            return Fault { kind, reason: cause };
        }
        match cause.strip_prefix(ANSWERED) {
            Some(answer) => Fault::of_answer(answer),
            None => Fault { kind: Kind::Refused, reason: plain(&cause) },
        }
    }

    pub(super) fn of_credentials(error: &object_store::Error) -> Self {
        Fault { kind: Kind::NoCredentials, ..Fault::of(error) }
    }

    /// `404 Not Found: <Error><Code>NoSuchKey</Code><Message>...`
    fn of_answer(answer: &str) -> Self {
        let (status, body) = answer.split_once(": ").unwrap_or((answer, ""));
        let code = element(body, "Code");
        let kind = match status.get(..3).and_then(|status| status.parse::<u16>().ok()) {
            Some(404) if code == Some("NoSuchBucket") => Kind::NoBucket,
            Some(404) => Kind::NoObject,
            Some(304 | 412) => Kind::Exists,
            Some(409) => Kind::Conflict,
            Some(401 | 403) => Kind::Denied,
            Some(501) => Kind::Unable,
            Some(408 | 429) => Kind::Unreached,
            Some(500..) => Kind::Lost,
            _ => Kind::Refused,
        };
        let words = [code, element(body, "Message")].into_iter().flatten().collect::<Vec<_>>().join(": ");
        Fault { kind, reason: plain(if words.is_empty() { status } else { &words }) }
    }
}

/// The text of an element of XML. What else an answer holds differs from one to the next.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text).filter(|text| !text.is_empty())
}

/// Somebody else's words, fit for a line.
fn plain(text: &str) -> String {
    let words = text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_the_words_of_the_store() {
        let error =
            |code: &str| format!("<Error><Code>{code}</Code><Message>as\n it is</Message><Id>7</Id></Error>");
        for (status, body, kind, reason) in [
            ("404 Not Found", error("NoSuchKey"), Kind::NoObject, "NoSuchKey: as it is"),
            ("404 Not Found", error("NoSuchBucket"), Kind::NoBucket, "NoSuchBucket: as it is"),
            ("412 Precondition Failed", String::new(), Kind::Exists, "412 Precondition Failed"),
            ("304 Not Modified", String::new(), Kind::Exists, "304 Not Modified"),
            (
                "409 Conflict",
                error("ConditionalRequestConflict"),
                Kind::Conflict,
                "ConditionalRequestConflict: as it is",
            ),
            ("403 Forbidden", error("AccessDenied"), Kind::Denied, "AccessDenied: as it is"),
            ("501 Not Implemented", error("NotImplemented"), Kind::Unable, "NotImplemented: as it is"),
            ("503 Service Unavailable", error("SlowDown"), Kind::Lost, "SlowDown: as it is"),
            ("429 Too Many Requests", String::new(), Kind::Unreached, "429 Too Many Requests"),
            ("400 Bad Request", "<html>: no".to_owned(), Kind::Refused, "400 Bad Request"),
            ("301 Moved Permanently", String::new(), Kind::Refused, "301 Moved Permanently"),
        ] {
            let fault = Fault::of_answer(&format!("{status}: {body}"));
            assert_eq!((fault.kind, fault.reason.as_str()), (kind, reason), "{status}");
        }
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(plain(&"a\u{7} b ".repeat(400)).chars().count(), CHARS_MAX);
    }
}
