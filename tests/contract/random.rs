//! Seeded random schemas and rows in the JSON form of the vectors.

use serde_json::{Value, json};
use trifold_model::FieldType;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One to twelve fields.
    pub(crate) fn fields(&mut self) -> Value {
        let count = 1 + self.below(12);
        let field = |index| {
            let ty = self.one_of(&FieldType::ALL).name();
            json!({"name": format!("f{index}"), "type": ty, "nullable": self.below(2) == 0})
        };
        (0..count).map(field).collect()
    }

    /// A row with a status and, where it has them, values or a code.
    pub(crate) fn row(&mut self, fields: &Value) -> Value {
        match self.below(20) {
            0 => json!({"status": "empty"}),
            3 => json!({"status": "empty", "values": self.values(fields)}),
            1 => json!({"status": "expired"}),
            2 => json!({"status": "error", "code": self.next() as u16}),
            _ => json!({"status": "value", "values": self.values(fields)}),
        }
    }

    fn values(&mut self, fields: &Value) -> Value {
        fields.as_array().into_iter().flatten().map(|field| self.field(field)).collect()
    }

    fn field(&mut self, field: &Value) -> Value {
        if field["nullable"] == true && self.below(4) == 0 {
            return Value::Null;
        }
        self.value(field["type"].as_str().unwrap())
    }

    fn value(&mut self, ty: &str) -> Value {
        if let Some(item) = ty.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>')) {
            let count = self.length();
            return (0..count).map(|_| self.value(item)).collect();
        }
        match ty {
            "bool" => Value::from(self.below(2) == 0),
            "int64" | "timestamp" => Value::from(self.integer().to_string()),
            "float64" => Value::from(format!("{:016x}", self.float_64())),
            "float32" => Value::from(format!("{:08x}", self.float_32())),
            "utf8" => Value::from(self.text()),
            _ => Value::from((0..self.length()).map(|_| format!("{:02x}", self.next() as u8)).collect::<String>()),
        }
    }

    /// Mostly short, now and then long enough for a row of several hash chunks.
    fn length(&mut self) -> usize {
        match self.below(40) {
            0 => self.below(400),
            _ => self.below(6),
        }
    }

    fn integer(&mut self) -> i64 {
        let (small, anything) = (self.below(1_000) as i64 - 500, self.next() as i64);
        self.one_of(&[0, -1, i64::MIN, i64::MAX, small, anything])
    }

    /// Bits of any kind: ordinary numbers, zeros, infinities, subnormals and NaNs of any payload and sign.
    fn float_64(&mut self) -> u64 {
        let bits = self.next();
        let number = (bits as f64 / 1e12).to_bits();
        self.one_of(&[0, 1 << 63, 0x7ff << 52, 0xfff << 52, bits >> 13, bits | (0x7ff << 52), bits, number])
    }

    fn float_32(&mut self) -> u32 {
        let bits = self.next() as u32;
        let number = (bits as f32 / 1e3).to_bits();
        self.one_of(&[0, 1 << 31, 0xff << 23, 0x1ff << 23, bits >> 10, bits | (0xff << 23), bits, number])
    }

    fn text(&mut self) -> String {
        let characters = ['a', 'Z', '7', ' ', '"', '\\', '\0', '\n', 'é', '\u{301}', '\u{2028}', '東', '🛫'];
        (0..self.length()).map(|_| self.one_of(&characters)).collect()
    }
}
