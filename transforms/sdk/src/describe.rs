//! The JSON in which a component says what it is.

use std::fmt::Write;

use crate::aggregate::FoldOrder;
use crate::run::Rows;
use crate::value::{Input, InputField, Output, OutputField, Request, RequestField};
use crate::window::WindowView;

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

/// What the attribute of a window view says beside that.
#[derive(Debug, Clone, Copy)]
pub struct WindowFold {
    /// The windows in declared order.
    pub windows: &'static [Window],
    /// The order in which events are folded.
    pub order: FoldOrder,
    /// Whether copies of an event count once.
    pub deduplicate: bool,
}

/// One of a view's windows.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Its length.
    pub seconds: u64,
    /// The steps in which its older end moves.
    pub hop_seconds: u64,
}

/// The description of a row view whose function takes `I` and returns `R`.
pub fn describe<'a, I: Input<'a>, R: Rows>(view: &View) -> String {
    let mut json = head::<I, R::Output>(view, "row");
    json.key("windows").raw("[]");
    tail(json, view)
}

/// The description of an on-demand view whose function takes `I` and returns `R`.
pub fn describe_on_demand<'a, I: Request<'a>, R: Rows>(view: &View) -> String {
    let mut json = Json(String::from("{"));
    opening::<R::Output>(&mut json, view, "on-demand");
    json.key("inputs").list(I::FIELDS, |json, field| {
        let RequestField { name, ty, nullable, feature, doc } = *field;
        described(json, name, ty, nullable, doc, |json| match feature {
            None => json.text("request"),
            Some((view, output)) => {
                json.raw("{");
                json.key("view").text(view);
                json.key("feature").text(output);
                json.raw("}");
            }
        });
    });
    json.key("outputs").fields::<R::Output>();
    tail(json, view)
}

/// The description of a window view.
pub fn describe_window<V: WindowView>(view: &View, fold: &WindowFold) -> String {
    let mut json = head::<V::Event<'_>, V::Features>(view, "window");
    json.key("prepared").fields::<V::Prepared<'_>>();
    json.key("windows").list(fold.windows, |json, window| {
        json.raw("{");
        json.number("seconds", Some(window.seconds));
        json.number("hop-seconds", Some(window.hop_seconds));
        json.raw("}");
    });
    json.key("fold-order").text(match fold.order {
        FoldOrder::Any => "any",
        FoldOrder::EventTime => "event-time",
    });
    json.key("deduplicate").raw(boolean(fold.deduplicate));
    tail(json, view)
}

fn head<'a, I: Input<'a>, O: Output>(view: &View, kind: &str) -> Json {
    let mut json = Json(String::from("{"));
    opening::<O>(&mut json, view, kind);
    json.key("entity").list(I::FIELDS.iter().filter(|field| field.is_entity), |json, field| json.text(field.name));
    json.key("inputs").list(I::FIELDS, input);
    json.key("outputs").fields::<O>();
    json.number("ttl-seconds", view.ttl_seconds);
    json.number("lateness-seconds", view.lateness_seconds);
    json.number("max-early-seconds", view.max_early_seconds);
    json
}

/// What every description begins with.
fn opening<O: Output>(json: &mut Json, view: &View, kind: &str) {
    json.key("contract").raw("1");
    json.key("view").text(view.name);
    json.key("kind").text(kind);
    json.key("doc").text(if view.doc.is_empty() { O::DOC } else { view.doc });
}

fn tail(mut json: Json, view: &View) -> String {
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
    described(json, field.name, field.ty, field.nullable, field.doc, |json| json.text("event"));
}

fn described(json: &mut Json, name: &str, ty: &str, nullable: bool, doc: &str, source: impl FnOnce(&mut Json)) {
    json.raw("{");
    json.key("name").text(name);
    json.key("type").text(ty);
    json.key("nullable").raw(boolean(nullable));
    source(json.key("source"));
    json.key("doc").text(doc);
    json.raw("}");
}

fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
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

    /// The list of what a struct writes.
    fn fields<O: Output>(&mut self) {
        self.0.push('[');
        O::fields(&mut |OutputField { name, ty, nullable, doc }| {
            self.next();
            self.raw("{");
            self.key("name").text(name);
            self.key("type").text(ty);
            self.key("nullable").raw(boolean(nullable));
            self.key("doc").text(doc);
            self.raw("}");
        });
        self.0.push(']');
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
