//! Random schemas and random canonical rows. The bytes are written here from the contract's text, not by the
//! code under test.

use trifold_model::{Field, FieldType, ItemType};

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

pub(crate) fn field(name: &str, ty: FieldType, nullable: bool) -> Field {
    Field { name: name.parse().unwrap(), ty, nullable, doc: String::new() }
}

/// One to eight fields.
pub(crate) fn fields(random: &mut Random) -> Vec<Field> {
    (0..1 + random.below(8))
        .map(|index| field(&format!("f{index}"), random.one_of(&FieldType::ALL), random.below(2) == 0))
        .collect()
}

/// A row as one piece of canonical bytes per field, so that tests can exchange single fields.
pub(crate) fn row(random: &mut Random, fields: &[Field]) -> Vec<Vec<u8>> {
    fields.iter().map(|field| value(random, field)).collect()
}

/// The presence byte and the value of one field.
pub(crate) fn value(random: &mut Random, field: &Field) -> Vec<u8> {
    if field.nullable && random.below(4) == 0 {
        return vec![0];
    }
    let mut out = vec![1];
    match field.ty {
        FieldType::Bool => out.push(random.below(2) as u8),
        FieldType::Int64 | FieldType::Timestamp => out.extend(integer(random)),
        FieldType::Float64 => out.extend(float_64(random)),
        FieldType::Float32 => out.extend(float_32(random)),
        FieldType::Utf8 => out.extend(sized(text(random).as_bytes())),
        FieldType::Binary => {
            let bytes: Vec<u8> = (0..random.below(20)).map(|_| random.next() as u8).collect();
            out.extend(sized(&bytes));
        }
        FieldType::List(item) => {
            let count = random.below(5);
            out.extend((count as u32).to_le_bytes());
            (0..count).for_each(|_| out.extend(list_item(random, item)));
        }
    }
    out
}

fn list_item(random: &mut Random, item: ItemType) -> Vec<u8> {
    match item {
        ItemType::Float32 => float_32(random).to_vec(),
        ItemType::Float64 => float_64(random).to_vec(),
        ItemType::Int64 => integer(random).to_vec(),
        ItemType::Utf8 => sized(text(random).as_bytes()),
    }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

fn integer(random: &mut Random) -> [u8; 8] {
    let anything = random.next() as i64;
    random.one_of(&[0, 1, -1, i64::MIN, i64::MAX, anything]).to_le_bytes()
}

fn float_64(random: &mut Random) -> [u8; 8] {
    let bits = random.next();
    let special = [0, 1 << 63, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 1, 0x7ff8_0000_0000_0000];
    let anything = if f64::from_bits(bits).is_nan() { 0 } else { bits };
    (if random.below(3) == 0 { random.one_of(&special) } else { anything }).to_le_bytes()
}

fn float_32(random: &mut Random) -> [u8; 4] {
    let bits = random.next() as u32;
    let anything = if f32::from_bits(bits).is_nan() { 0 } else { bits };
    let special = [0, 1 << 31, 0x7f80_0000, 0xff80_0000, 1, 0x7fc0_0000];
    (if random.below(3) == 0 { random.one_of(&special) } else { anything }).to_le_bytes()
}

fn text(random: &mut Random) -> String {
    let characters = ['a', 'Z', '0', ' ', '\0', 'é', '\u{301}', '東', '🛫', '\u{feff}'];
    (0..random.below(12)).map(|_| random.one_of(&characters)).collect()
}
