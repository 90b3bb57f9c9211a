//! A value, by its plan.

use super::cursor::Cursor;
use super::decimal;
use super::plan::{Node, NodeId, Plan, Record};
use crate::error::{Bad, Reason};
use crate::limits::{DEPTH_MAX, STEPS_MAX, TEXT_BYTES_MAX};
use crate::{text, time};

/// Appends a value, all of it, as text.
pub(super) fn run(plan: &Plan, value: &[u8], out: &mut Vec<u8>) -> Result<(), Bad> {
    let mut run =
        Run { plan, cursor: Cursor(value), out_bytes_max: out.len() + TEXT_BYTES_MAX, out, depth: 0, steps: 0 };
    run.node(plan.root)?;
    match run.cursor.0.len() {
        0 => Ok(()),
        bytes => Err(Reason::LeftOver { bytes }.into()),
    }
}

struct Run<'p, 'v, 'o> {
    plan: &'p Plan,
    cursor: Cursor<'v>,
    out: &'o mut Vec<u8>,
    out_bytes_max: usize,
    depth: u32,
    steps: u32,
}

impl<'p> Run<'p, '_, '_> {
    fn node(&mut self, id: NodeId) -> Result<(), Bad> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Reason::TooMany.into());
        }
        if self.out.len() > self.out_bytes_max {
            return Err(Reason::TooLarge.into());
        }
        match &self.plan.nodes[id] {
            Node::Array(items) => self.nested(|run| run.list(*items)),
            Node::Map(values) => self.nested(|run| run.map(*values)),
            Node::Union(members) => self.nested(|run| run.union(members)),
            Node::Record(record) => self.nested(|run| run.record(record)),
            leaf => self.leaf(leaf).map_err(Bad::from),
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<(), Bad>) -> Result<(), Bad> {
        if self.depth == DEPTH_MAX {
            return Err(Reason::TooDeep.into());
        }
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn leaf(&mut self, node: &Node) -> Result<(), Reason> {
        let Run { cursor, out, .. } = self;
        match node {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Boolean => match cursor.array()? {
                [0] => out.extend_from_slice(b"false"),
                [1] => out.extend_from_slice(b"true"),
                [other] => return Err(Reason::Bool(other)),
            },
            Node::Int => text::write(&cursor.int()?, out),
            Node::Long => text::write(&cursor.long()?, out),
            Node::Float => text::write_float(f64::from(f32::from_le_bytes(cursor.array()?)), out),
            Node::Double => text::write_float(f64::from_le_bytes(cursor.array()?), out),
            Node::Bytes => text::write_base64(cursor.counted()?, out),
            Node::Text => text::write_utf8(cursor.counted()?, out)?,
            Node::Fixed(size) => text::write_base64(cursor.take(*size)?, out),
            Node::Uuid(size) => {
                let bytes = cursor.sized(*size)?;
                write_uuid(bytes, out)?;
            }
            Node::Decimal { scale, size } => {
                let bytes = cursor.sized(*size)?;
                decimal::write(bytes, *scale, out)?;
            }
            Node::BigDecimal => decimal::write_big(cursor.counted()?, out)?,
            Node::Time(time::Unit::Days) => time::write(cursor.int()?.into(), time::Unit::Days, out),
            Node::Time(unit) => time::write(cursor.long()?, *unit, out),
            Node::Enum(symbols) => match member(cursor.int()?.into(), symbols)? {
                Ok(symbol) => out.extend_from_slice(symbol),
                Err(problem) => return Err(Reason::Unreadable(problem.clone())),
            },
            Node::Unreadable(problem) => return Err(Reason::Unreadable(problem.clone())),
            Node::Array(_) | Node::Map(_) | Node::Union(_) | Node::Record(_) => {}
        }
        Ok(())
    }

    fn list(&mut self, items: NodeId) -> Result<(), Bad> {
        self.out.push(b'[');
        let mut index = 0_u64;
        loop {
            let count = self.cursor.items()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                text::separate(self.out);
                self.node(items).map_err(|bad| bad.in_item(index))?;
                index += 1;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, values: NodeId) -> Result<(), Bad> {
        self.out.push(b'{');
        loop {
            let count = self.cursor.items()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                text::separate(self.out);
                let key = std::str::from_utf8(self.cursor.counted()?).map_err(|_| Reason::Utf8)?;
                text::write(key, self.out);
                self.out.push(b':');
                self.node(values).map_err(|bad| bad.in_item(text::shown(key)))?;
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn union(&mut self, members: &[Result<NodeId, String>]) -> Result<(), Bad> {
        match member(self.cursor.long()?, members)? {
            Ok(node) => self.node(*node),
            Err(problem) => Err(Reason::Unreadable(problem.clone()).into()),
        }
    }

    fn record(&mut self, record: &'p Record) -> Result<(), Bad> {
        self.out.push(b'{');
        for field in &record.fields {
            let begin = self.out.len();
            if let Some(key) = &field.key {
                text::separate(self.out);
                self.out.extend_from_slice(key);
            }
            self.node(field.node).map_err(|bad| bad.in_field(&field.name))?;
            if field.key.is_none() {
                self.out.truncate(begin);
            }
        }
        if !record.defaults.is_empty() {
            text::separate(self.out);
            self.out.extend_from_slice(&record.defaults);
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// The member of a number.
fn member<T>(index: i64, members: &[T]) -> Result<&T, Reason> {
    let member = usize::try_from(index).ok().and_then(|index| members.get(index));
    member.ok_or(Reason::Member { index, count: members.len() })
}

fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    if bytes.len() != 16 {
        return Err(Reason::Uuid(bytes.len()));
    }
    out.push(b'"');
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
        out.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    out.push(b'"');
    Ok(())
}
