//! The JSON in which a component says what it is.

use std::fmt::Write;

use crate::run::Rows;
use crate::value::{Input, InputField, Output, OutputField};

/// What the attribute of a view says.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The name.
    pub name: &'static str,
    /// The function's documentation; without any, the output struct's stands for it.
    pub doc: &'static str,
    /// How long a value lives.
    pub ttl_seconds: Option<u64>,
    /// How late an event may arrive.
    pub lateness_seconds: Option<u64>,
    /// How far an event may lie ahead of its arrival.
    pub max_early_seconds: Option<u64>,
    /// Raised when stored state changes its meaning.
    pub state_version: u32,
    /// The fuel of one row.
    pub fuel: Option<u64>,
    /// The memory of one row.
    pub memory_bytes: Option<u64>,
}

/// The description of a row view whose function takes `I` and returns `R`.
pub fn describe<'a, I: Input<'a>, R: Rows>(view: &View) -> String {
    let mut json = Json(String::from("{"));
    json.key("contract").raw("1");
    json.key("view").text(view.name);
    json.key("kind").text("row");
    json.key("doc").text(if view.doc.is_empty() { R::Output::DOC } else { view.doc });
    json.key("entity").list(I::FIELDS.iter().filter(|field| field.is_entity), |json, field| json.text(field.name));
    json.key("inputs").list(I::FIELDS, input);
    json.key("outputs").list(R::Output::FIELDS, output);
    json.number("ttl-seconds", view.ttl_seconds);
    json.number("lateness-seconds", view.lateness_seconds);
    json.number("max-early-seconds", view.max_early_seconds);
    json.key("windows").raw("[]");
    json.number("state-version", Some(view.state_version.into()));
    if view.fuel.is_some() || view.memory_bytes.is_some() {
        json.key("limits").raw("{");
        json.number("fuel", view.fuel);
        json.number("memory-bytes", view.memory_bytes);
        json.raw("}");
    }
    json.key("sdk").text(concat!("trifold-sdk ", env!("CARGO_PKG_VERSION")));
    json.raw("}");
    json.0
}

fn input(json: &mut Json, field: &InputField) {
    json.raw("{");
    json.key("name").text(field.name);
    json.key("type").text(field.ty);
    json.key("nullable").raw(if field.nullable { "true" } else { "false" });
    json.key("source").text("event");
    json.key("doc").text(field.doc);
    json.raw("}");
}

fn output(json: &mut Json, field: &OutputField) {
    json.raw("{");
    json.key("name").text(field.name);
    json.key("type").text(field.ty);
    json.key("nullable").raw(if field.nullable { "true" } else { "false" });
    json.key("doc").text(field.doc);
    json.raw("}");
}

struct Json(String);

impl Json {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Separates a member from the one before, if there is one.
    fn next(&mut self) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
    }

    /// Keys are literals of this file and need no escapes.
    fn key(&mut self, name: &str) -> &mut Self {
        self.next();
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self
    }

    fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.key(name).raw(&value.to_string());
        }
    }

    fn text(&mut self, text: &str) {
        self.0.push('"');
        for character in text.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                // Writing to a string cannot fail.
                control if control < ' ' => drop(write!(self.0, "\\u{:04x}", control as u32)),
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }

    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Json, T)) {
        self.0.push('[');
        for item in items {
            self.next();
            write(self, item);
        }
        self.0.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut json = Json(String::new());
        json.text("a \"b\" \\ c\n\td\u{1} é \u{1F6EB}");
        assert_eq!(json.0, r#""a \"b\" \\ c\n\u0009d\u0001 é 🛫""#);
    }
}
