//! What made a component, as its `producers` sections say. Nothing of the computation depends on it, so that what
//! cannot be read is passed over.

use std::collections::BTreeSet;

use trifold_model::{Tool, ToolRole};
use wasmparser::{KnownCustom, Parser, Payload, ProducersSectionReader};

/// The most tools that are kept of a component, which could name thousands.
const TOOLS_MAX: usize = 32;
/// The longest name, and the longest version, of a tool that is kept.
const TEXT_BYTES_MAX: usize = 128;

/// The tools that a component and its modules name, each once, by role and name.
pub(crate) fn tools(wasm: &[u8]) -> Vec<Tool> {
    let mut tools = BTreeSet::new();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        if let Payload::CustomSection(section) = payload
            && let KnownCustom::Producers(fields) = section.as_known()
        {
            read(fields, &mut tools);
        }
    }
    tools.into_iter().take(TOOLS_MAX).collect()
}

fn read(fields: ProducersSectionReader<'_>, tools: &mut BTreeSet<Tool>) {
    for field in fields.into_iter().map_while(Result::ok) {
        let Some(role) = ToolRole::from_name(field.name) else { continue };
        let values = field.values.into_iter().map_while(Result::ok);
        let plain = values.filter(|value| is_plain(value.name) && is_plain(value.version));
        tools.extend(plain.map(|value| Tool {
            role,
            name: value.name.to_owned(),
            version: value.version.to_owned(),
        }));
    }
}

/// Whether a text may stand in records and on terminals.
fn is_plain(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{Component, CustomSection, Module, ModuleSection, ProducersField, ProducersSection};

    use super::*;

    fn producers(fields: &[(&str, &str, &str)]) -> ProducersSection {
        let mut section = ProducersSection::new();
        for (field, name, version) in fields {
            section.field(field, ProducersField::new().value(name, version));
        }
        section
    }

    #[test]
    fn modules_and_component_name_each_tool_once() {
        let mut module = Module::new();
        module.section(&producers(&[("sdk", "kit", "1"), ("processed-by", "wrapper", "2")]));
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        component.section(&producers(&[("processed-by", "wrapper", "2"), ("language", "Rust", "")]));
        let text: Vec<_> = tools(&component.finish())
            .into_iter()
            .map(|Tool { role, name, version }| format!("{} {name} {version}", role.name()))
            .collect();
        assert_eq!(text, ["language Rust ", "processed-by wrapper 2", "sdk kit 1"]);
    }

    #[test]
    fn what_is_no_plain_text_is_passed_over() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let mut component = Component::new();
        component.section(&producers(&[("sdk", "kit", "\u{1b}[2J"), ("language", &long, "")]));
        component.section(&producers(&[("unheard-of", "a", "b")]));
        component.section(&CustomSection { name: "producers".into(), data: (&[0xFF]).into() });
        component.section(&producers(&[("sdk", "kit", "3")]));
        let found = tools(&component.finish());
        assert_eq!(found, [Tool { role: ToolRole::Sdk, name: "kit".to_owned(), version: "3".to_owned() }]);
    }
}
