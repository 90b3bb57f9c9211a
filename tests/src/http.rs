//! A client of HTTP that sends whatever it is told to.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use serde_json::Value;
use serde_json::value::RawValue;
use trifold_eventlog::decode_json;
use trifold_model::{FeatureView, FieldType};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Answered {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends one request, and waits for the answer.
#[track_caller]
pub fn send(address: &str, method: &str, path: &str, body: &[u8]) -> Answered {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    let head = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    answered(&raw(address, &[head.as_bytes(), body].concat()))
}

/// Asks for features.
#[track_caller]
pub fn features(address: &str, request: &Value) -> Answered {
    send(address, "POST", "/v1/features", request.to_string().as_bytes())
}

/// Sends bytes, and reads until the server closes the connection.
#[track_caller]
pub fn raw(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server may answer and close before it has all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// An answer from its bytes; its body has its length, or ends with the connection.
#[track_caller]
pub fn answered(bytes: &[u8]) -> Answered {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    Answered { status, headers: lines.map(header).collect(), body: body.to_owned() }
}

/// The columns of one view's answer, as the view's outputs: numbers are read from their very text.
#[track_caller]
pub fn outputs(answer: &Answered, view: &FeatureView) -> RecordBatch {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        views: Vec<Of<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Of<'a> {
        view: &'a str,
        statuses: Vec<&'a str>,
        #[serde(borrow)]
        columns: BTreeMap<&'a str, Vec<&'a RawValue>>,
    }
    let body: Body<'_> = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    let of = body.views.iter().find(|of| view.name == *of.view).unwrap();
    let column = |name: &str| of.columns[name].iter().map(|value| value.get().to_owned()).collect();
    batch(view, of.statuses.len(), column)
}

/// The outputs of a view from JSON texts.
#[track_caller]
pub fn batch(view: &FeatureView, rows: usize, column: impl Fn(&str) -> Vec<String>) -> RecordBatch {
    let array = |name: &str, ty: FieldType| -> ArrayRef {
        let texts = column(name);
        let decoded = decode_json(&texts.iter().map(String::as_str).collect::<Vec<_>>(), ty);
        assert_eq!(decoded.bad, [], "{name}: {texts:?}");
        decoded.array
    };
    let arrays: Vec<_> = view.outputs.iter().map(|output| array(output.name.as_str(), output.ty)).collect();
    let field = |(output, array): (&trifold_model::Field, &ArrayRef)| {
        Field::new(output.name.as_str(), array.data_type().clone(), true)
    };
    let fields: Vec<_> = view.outputs.iter().zip(&arrays).map(field).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Schema::new(fields).into(), arrays, &options).unwrap()
}
