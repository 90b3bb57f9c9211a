//! The implementation in Python, which shares nothing with the one in Rust but the text of the contract.

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use trifold_model::{CanonicalRows, RowStatus};

use crate::random::Random;
use crate::values::{batch, fields};
use crate::vectors::values_of;
use crate::wit;

const SEED: u64 = 20_130_101;
const ROWS: usize = 1_000;

/// Runs `check.py` and returns whether it was content, and what it printed.
fn check_py(arguments: [&Path; 2]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/check.py");
    let output = match Command::new("python3").arg(script).args(arguments).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("there is no python3 on the PATH: install Python 3.8 or newer (no packages are needed)")
        }
        output => output.unwrap(),
    };
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn python_agrees_with_the_vectors_and_examples() {
    let (content, printed) = check_py([Path::new("vectors"), &wit("")]);
    assert!(content, "{printed}");
}

/// A random row with the bytes and the digest that Rust gives it, as one line of JSON.
fn line(random: &mut Random) -> String {
    let described = random.fields();
    let mut row = random.row(&described);
    let fields = fields(&described);
    let code = row["code"].as_u64().map(|code| code as u16);
    let status = RowStatus::from_parts(row["status"].as_str().unwrap(), code).unwrap();
    let (fields, values) = values_of(&fields, &row);
    let columns = batch(&fields, &[&values]);
    let mut bytes = Vec::new();
    let digest = CanonicalRows::new(&columns).unwrap().digest(status, 0, &mut bytes);
    row["fields"] = described;
    row["digest"] = Value::from(digest.to_string());
    row["bytes"] = Value::from(hex::encode(bytes));
    row.to_string()
}

#[test]
fn python_agrees_on_a_thousand_random_rows() {
    let mut random = Random(SEED);
    let mut lines = String::new();
    for _ in 0..ROWS {
        writeln!(lines, "{}", line(&mut random)).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.jsonl");
    std::fs::write(&file, lines).unwrap();
    let (content, printed) = check_py([Path::new("rows"), &file]);
    assert!(content, "seed {SEED}:\n{printed}");
    assert_eq!(printed.lines().last(), Some("1000 of 1000 agreed"), "seed {SEED}");
}

#[test]
fn a_wrong_byte_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.jsonl");
    let good = line(&mut Random(SEED));
    let bad = good.replace("\"digest\":\"", "\"digest\":\"0");
    std::fs::write(&file, format!("{good}\n{bad}\n")).unwrap();
    let (content, printed) = check_py([Path::new("rows"), &file]);
    assert!(!content && printed.ends_with("1 of 2 agreed\n"), "{printed}");
}
