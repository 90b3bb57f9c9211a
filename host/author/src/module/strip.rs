//! Takes names and other notes out of a module. They do not shape what it computes, but they would shape its
//! digest.

use wasm_encoder::{Module, ProducersSection, RawSection};
use wasmparser::{BinaryReaderError, Parser, Payload};

use super::COMPONENT_TYPE;

/// The module with no custom sections but those that say what world it was bound to, and what made it.
pub(crate) fn strip(module: &[u8], producers: &ProducersSection) -> Result<Vec<u8>, BinaryReaderError> {
    let mut stripped = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload
            && !section.name().starts_with(COMPONENT_TYPE)
        {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            stripped.section(&RawSection { id, data: &module[range] });
        }
    }
    stripped.section(producers);
    Ok(stripped.finish())
}
