//! The section that says what made a component. It is the same for the same compiler and SDK, which shape the code
//! too.

use wasm_encoder::{ProducersField, ProducersSection};
use wasmparser::{BinaryReaderError, KnownCustom, Parser, Payload};

use crate::package::SDK;

const SDK_FIELD: &str = "sdk";

/// What the compiler says of itself in its module, and the SDK.
pub(super) fn producers(module: &[u8], sdk: Option<&str>) -> Result<ProducersSection, BinaryReaderError> {
    let mut producers = ProducersSection::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Producers(fields) = section.as_known() else { continue };
        for field in fields {
            let field = field?;
            // Which SDK it was, the dependencies say.
            if field.name == SDK_FIELD {
                continue;
            }
            let mut values = ProducersField::new();
            for value in field.values {
                let value = value?;
                values.value(value.name, value.version);
            }
            producers.field(field.name, &values);
        }
    }
    if let Some(version) = sdk {
        producers.field(SDK_FIELD, ProducersField::new().value(SDK, version));
    }
    Ok(producers)
}
