//! Entities that are named by other things than numbers and words.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use trifold_model::types::UTC;
use trifold_model::{RowDigest, RowStatus};
use trifold_pipeline::Outcome;
use trifold_server::client::{Client, model_fields};

use crate::rig::{Online, echo, open, put, records, version, views};

type Key = (bool, &'static [u8], i64);

fn columns(keys: &[Key]) -> [(&'static str, ArrayRef); 3] {
    let flags: BooleanArray = keys.iter().map(|(flag, ..)| Some(*flag)).collect();
    let blobs: BinaryArray = keys.iter().map(|(_, blob, _)| Some(*blob)).collect();
    let moments: TimestampMicrosecondArray = keys.iter().map(|(.., moment)| Some(*moment)).collect();
    [("flag", Arc::new(flags)), ("blob", Arc::new(blobs)), ("moment", Arc::new(moments.with_timezone(UTC)))]
}

#[tokio::test]
async fn an_entity_is_named_by_a_bool_bytes_and_a_moment() {
    const KNOWN: [Key; 3] = [(true, b"", -1), (false, b"\0\xff", 0), (true, b"\0\xff", i64::MAX)];
    const UNKNOWN: [Key; 3] = [(false, b"", -1), (false, b"\0\xfe", 0), (true, b"\0\xff", i64::MAX - 1)];
    let dir = tempfile::tempdir().unwrap();
    let names = ["blob", "flag", "moment"];
    let inputs = [("flag", "bool"), ("blob", "binary"), ("moment", "timestamp")];
    let version = version(1, &echo("odd", &inputs, |view| view["entity"] = names.into_iter().collect()));
    let store = Arc::new(open(dir.path()));
    let known: Vec<ArrayRef> = columns(&KNOWN).into_iter().map(|(_, column)| column).collect();
    let inputs = RecordBatch::try_new(version.view().input_schema().clone(), known).unwrap();
    put(&*store, &version, records(&version, &inputs, &[0; 3])).await;
    let server = Online::start(store, views(&[version])).await;
    let listed = Client::connect(&server.url).await.unwrap().views().await.unwrap();
    let fields = model_fields(&listed[0].entity).unwrap();
    assert_eq!(fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), names);
    // The order of the columns is the caller's.
    let asked = RecordBatch::try_from_iter(columns(&[KNOWN, UNKNOWN].concat())).unwrap();
    let answer = server.get(&["odd"], &asked, None).await;
    let rows = &answer.views[0];
    let outcomes = [[RowStatus::Value; 3], [RowStatus::Empty; 3]].concat();
    assert_eq!(rows.rows.outcomes(), outcomes.into_iter().map(Outcome::Known).collect::<Vec<_>>());
    let outputs = rows.rows.outputs().slice(0, 3);
    for (output, input) in outputs.columns().iter().zip(inputs.columns()) {
        assert_eq!(output, input);
    }
    let canonical = rows.rows.canonical().unwrap();
    assert_eq!(canonical[0].as_deref().map(RowDigest::of), rows.digests[0]);
}
