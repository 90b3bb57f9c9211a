use trifold_model::{Difference, Field, FieldType, ItemType, first_difference};

use crate::random::{Random, field, fields, row, value};

const SEED: u64 = 0xd1ff;

fn with_status(status: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    [&[status], fields.concat().as_slice()].concat()
}

#[test]
fn the_first_field_that_differs_is_named() {
    let mut random = Random(SEED);
    let mut differing = 0;
    for round in 0..2_000 {
        let fields = fields(&mut random);
        let left = row(&mut random, &fields);
        let mut right = left.clone();
        for _ in 0..1 + random.below(2) {
            let changed = random.below(fields.len());
            right[changed] = value(&mut random, &fields[changed]);
        }
        let expected = (0..fields.len()).find(|&index| left[index] != right[index]);
        let found = first_difference(&fields, &with_status(0, &left), &with_status(0, &right));
        let expected = expected.map(|index| fields[index].name.to_string());
        assert_eq!(found.as_ref().map(|found| found.field.clone()), expected, "seed {SEED}, round {round}");
        if let Some(found) = found {
            differing += 1;
            assert_ne!(found.left, found.right, "seed {SEED}, round {round}, field {}", found.field);
        }
    }
    assert!(differing > 1_000, "only {differing} pairs differed");
}

#[track_caller]
fn check(fields: &[Field], left: &[u8], right: &[u8], expected: &str) {
    let found = first_difference(fields, left, right).as_ref().map(Difference::to_string);
    assert_eq!(found.as_deref(), Some(expected));
}

#[test]
fn both_sides_are_readable() {
    let required = [field("delay", FieldType::Float64, false)];
    let one = [0, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
    let minus_zero = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0x80];
    check(&required, &one, &minus_zero, "delay: 1.0 (0x3ff0000000000000) against -0.0 (0x8000000000000000)");
    // An empty row has nulls in required fields.
    check(&required, &one, &[1, 0], "status: value against empty");
    check(&required, &[2], &[1, 0], "status: expired against empty");
    check(&required, &[3, 7, 0], &[3, 1, 0xff], "status: error 7 against error 65281 (fuel limit)");
    check(&required, &[0, 0], &one, "delay: null against 1.0 (0x3ff0000000000000)");
    let text = [field("text", FieldType::Utf8, true)];
    check(&text, &[0, 1, 1, 0, 0, 0, b'a'], &[0, 0], "text: \"a\" against null");
    let bytes = [field("raw", FieldType::Binary, true)];
    check(&bytes, &[0, 1, 1, 0, 0, 0, 0xab], &[0, 1, 0, 0, 0, 0], "raw: 0xab against 0x");
}

#[test]
fn lists_name_the_item() {
    let fields = [field("embedding", FieldType::List(ItemType::Float32), true)];
    let list = |items: &[f32]| {
        let items: Vec<u8> = items.iter().flat_map(|item| item.to_le_bytes()).collect();
        let count = (items.len() / 4) as u32;
        [&[0, 1], count.to_le_bytes().as_slice(), &items].concat()
    };
    let expected = "embedding: item 1 of 3: 2.0 (0x40000000) against item 1 of 2: 2.5 (0x40200000)";
    check(&fields, &list(&[1.0, 2.0, 3.0]), &list(&[1.0, 2.5]), expected);
    check(&fields, &list(&[1.0]), &list(&[]), "embedding: 1 items against 0 items");
    check(&fields, &list(&[1.0]), &[0, 0], "embedding: 1 items against null");
}

#[test]
fn damaged_rows_are_shown_and_never_panic() {
    let fields = [field("flag", FieldType::Bool, true)];
    check(&fields, &[0, 1, 1], &[], "status: value against no bytes");
    check(&fields, &[0, 1, 1], &[9], "status: value against malformed row of 1 bytes");
    let expected = "status: value against malformed (row 0: field flag has byte 3 where 0 or 1 must stand)";
    check(&fields, &[0, 1, 1], &[0, 3], expected);
    check(&fields, &[8], &[9], "status: malformed row of 1 bytes 0x08 against malformed row of 1 bytes 0x09");
    assert_eq!(first_difference(&fields, &[9], &[9]), None);
}
