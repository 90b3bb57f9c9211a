//! Files that are no store, and stores that are damaged.

use std::fs;
use std::path::Path;

use futures::FutureExt;
use redb::{Database, TableDefinition};
use trifold_model::StateId;
use trifold_store::{Damage, EmbeddedStore, OnlineStore, Snapshot, StateStore, StoreError};

use crate::fixtures::{STATE, commit, holder, keys, marker, open, place, record};

const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
const MARKERS: TableDefinition<'static, [u8; 16], &'static [u8]> = TableDefinition::new("markers");
const RECORDS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("records");
const SWITCHES: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("switches");

fn refused(path: &Path) -> StoreError {
    EmbeddedStore::open(path, &holder("a test")).unwrap_err()
}

/// A store with three records, closed.
fn filled(path: &Path) {
    open(path).commit(vec![commit(STATE, &keys(3), 4)]).now_or_never().unwrap().unwrap();
}

fn read(path: &Path, state: StateId) -> Result<Snapshot, StoreError> {
    open(path).read(state, &keys(3)).now_or_never().unwrap()
}

#[test]
fn a_store_of_another_format_is_refused() {
    let (_dir, path) = place();
    filled(&path);
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = refused(&path);
    assert_eq!(error, StoreError::Format { path, found: 1, known: 4 });
    assert!(error.to_string().contains("has format 1, this version of trifold reads format 4"));
}

#[test]
fn a_store_that_lacks_nothing_but_tables_is_completed() {
    let (_dir, path) = place();
    filled(&path);
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", 3).unwrap();
    assert!(transaction.delete_table(SWITCHES).unwrap());
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(read(&path, STATE).unwrap().records, vec![Some(record(4)); 3]);
    assert_eq!(open(&path).switches(STATE).now_or_never().unwrap(), Ok(Vec::new()));
}

#[test]
fn the_database_of_somebody_else_is_refused_and_left_alone() {
    let (_dir, path) = place();
    let other: TableDefinition<'static, u64, u64> = TableDefinition::new("other");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(other).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(refused(&path), StoreError::Format { path: path.clone(), found: 0, known: 4 });
    let database = Database::create(&path).unwrap();
    let names = redb::ReadableDatabase::begin_read(&database).unwrap();
    assert_eq!(names.list_tables().unwrap().count(), 1);
}

#[test]
fn files_that_are_no_store_are_named_and_left_alone() {
    let (dir, path) = place();
    filled(&path);
    let whole = fs::read(&path).unwrap();
    for bytes in [&b"event_time,carrier\n"[..], &[0; 10_000], &whole[..100], &whole[..5_000]] {
        fs::write(&path, bytes).unwrap();
        match refused(&path) {
            StoreError::Open { path: named, .. } => assert_eq!(named, path),
            other => panic!("{} bytes: {other:?}", bytes.len()),
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    let nowhere = dir.path().join("missing/online.redb");
    assert!(matches!(refused(&nowhere), StoreError::Open { path, .. } if path == nowhere));
    fs::write(&path, b"").unwrap();
    open(&path);
}

#[test]
fn damaged_records_and_markers_name_state_and_key() {
    let (_dir, path) = place();
    filled(&path);
    let place = [&STATE.0, &*keys(3)[1].0].concat();
    let write = |state: StateId, marker: Option<&[u8]>, record: Option<&[u8]>| {
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        if let Some(marker) = marker {
            transaction.open_table(MARKERS).unwrap().insert(state.0, marker).unwrap();
        }
        if let Some(record) = record {
            transaction.open_table(RECORDS).unwrap().insert(place.as_slice(), record).unwrap();
        }
        transaction.commit().unwrap();
    };
    write(STATE, None, Some(&[9]));
    let damage = Damage::Format(9);
    let expected = StoreError::DamagedRecord { state: STATE, key: keys(3)[1].clone(), damage };
    assert_eq!(read(&path, STATE), Err(expected.clone()));
    assert!(expected.is_damage());
    let key = "656e746974792030303031";
    let state = "07".repeat(16);
    assert!(expected.to_string().contains(&format!("the record of state {state}, key {key}: byte 0")));
    // The neighbours can be read, and clearing is the way out.
    let neighbours = open(&path).read(STATE, &[keys(3)[0].clone(), keys(3)[2].clone()]).now_or_never().unwrap();
    assert_eq!(neighbours.unwrap().records, [Some(record(4)), Some(record(4))]);
    open(&path).clear(STATE).now_or_never().unwrap().unwrap();
    assert_eq!(read(&path, STATE), Ok(Snapshot { records: vec![None; 3], ..Snapshot::default() }));

    write(STATE, Some(&[]), None);
    let damage = Damage::Truncated { what: "the format", bytes: 0 };
    let expected = StoreError::DamagedMarker { state: STATE, damage };
    assert_eq!(read(&path, STATE), Err(expected.clone()));
    let store = open(&path);
    assert_eq!(store.commit(vec![commit(STATE, &keys(1), 9)]).now_or_never().unwrap(), Err(expected));
    store.clear(STATE).now_or_never().unwrap().unwrap();
    store.commit(vec![commit(STATE, &keys(1), 9)]).now_or_never().unwrap().unwrap();
    assert_eq!(store.marker(STATE).now_or_never().unwrap(), Ok(Some(marker(10))));
}

/// Flips every byte of one stored record in the file itself. A page's own checksum is looked at after a crash
/// only, so that the reader sees the flipped byte.
#[test]
fn a_flipped_byte_of_a_record_gives_an_error_or_another_value() {
    let (_dir, path) = place();
    open(&path).commit(vec![commit(STATE, &keys(1), 4)]).now_or_never().unwrap().unwrap();
    let whole = fs::read(&path).unwrap();
    let fields = record(4).fields;
    let at = whole.windows(fields.len()).position(|window| window == fields).unwrap();
    let size = record(4).encoded_bytes();
    let mut errors = 0;
    for byte in at + fields.len() - size..at + fields.len() {
        let mut flipped = whole.clone();
        flipped[byte] ^= 0xFF;
        fs::write(&path, flipped).unwrap();
        match open(&path).read(STATE, &keys(1)).now_or_never().unwrap() {
            Ok(snapshot) => assert_ne!(snapshot.records, [Some(record(4))], "byte {byte}"),
            Err(StoreError::DamagedRecord { .. }) => errors += 1,
            Err(other) => panic!("byte {byte}: {other}"),
        }
    }
    // The format, two lengths, and the id's ASCII.
    assert_eq!(errors, 1 + 4 + 4 + record(4).event_id.len());
}

/// Bytes anywhere in the file, those of the database's own pages too.
#[test]
fn a_flipped_bit_of_the_file_ends_no_process() {
    const FLIPS: u64 = 200;
    let (_dir, path) = place();
    let entities = keys(300);
    open(&path).commit(vec![commit(STATE, &entities, 4)]).now_or_never().unwrap().unwrap();
    let whole = fs::read(&path).unwrap();
    let used: Vec<_> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
    let mut errors = 0;
    for seed in 0..FLIPS {
        // Multiplied by the golden ratio, the seeds spread over the file.
        let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let at = used[(spread >> 32) as usize % used.len()];
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (spread & 7);
        fs::write(&path, flipped).unwrap();
        let scanned = EmbeddedStore::open(&path, &holder("a test"))
            .and_then(|store| store.scan(STATE, None, usize::MAX).now_or_never().unwrap());
        errors += u64::from(scanned.is_err());
    }
    assert!((1..FLIPS).contains(&errors), "{errors} errors");
}
