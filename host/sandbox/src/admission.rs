//! What a component must be before anything of it is compiled or run.

use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload, TypeBounds};

use crate::error::AdmissionError;

/// The one import with functions that a transform may have.
pub(crate) const DIAGNOSTICS: &str = "trifold:feature/diagnostics@1.0.0";
/// The contract's types. They hold no function, so importing their names gives a guest nothing.
const TYPES: &str = "trifold:feature/types@1.0.0";

/// The export that says what the view is.
pub(crate) const DESCRIBE: &str = "describe";
/// The export that computes rows.
pub(crate) const APPLY: &str = "apply";
/// An export by which the other world is known.
const ACCUMULATE: &str = "accumulate";

const MAGIC: &[u8] = b"\0asm";

/// Checks size, format, imports and exports. Whether the component is valid is left to the compiler.
pub(crate) fn check(wasm: &[u8], bytes_max: usize) -> Result<(), AdmissionError> {
    if wasm.len() > bytes_max {
        return Err(AdmissionError::TooLarge { bytes: wasm.len(), max: bytes_max });
    }
    if !wasm.starts_with(MAGIC) {
        return Err(AdmissionError::NotWasm);
    }
    if Parser::is_core_wasm(wasm) {
        return Err(AdmissionError::CoreModule);
    }
    let names = Names::read(wasm).map_err(|error| AdmissionError::Invalid {
        offset: error.offset(),
        message: error.message().to_owned(),
    })?;
    check_world(&names)?;
    check_imports(&names)?;
    match [DESCRIBE, APPLY].into_iter().find(|name| !names.functions.contains(name)) {
        Some(name) => Err(AdmissionError::MissingExport { name }),
        None => Ok(()),
    }
}

fn check_imports(names: &Names<'_>) -> Result<(), AdmissionError> {
    match names.imports.iter().find(|name| ![DIAGNOSTICS, TYPES].contains(name)) {
        Some(&name) => Err(AdmissionError::ForeignImport { name: name.to_owned(), allowed: DIAGNOSTICS }),
        None => Ok(()),
    }
}

/// The other world is told apart first: what it imports and lacks says less than what it is.
fn check_world(names: &Names<'_>) -> Result<(), AdmissionError> {
    if names.functions.contains(&ACCUMULATE) && !names.functions.contains(&APPLY) {
        let what = "a component of the world `window-transform`".to_owned();
        return Err(AdmissionError::Unsupported { what, capability: "sliding windows" });
    }
    Ok(())
}

/// The outermost imports and exported functions of a component.
#[derive(Default)]
struct Names<'a> {
    imports: Vec<&'a str>,
    functions: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn read(wasm: &'a [u8]) -> wasmparser::Result<Names<'a>> {
        let mut names = Names::default();
        // The parser goes into nested modules and components, whose imports their parent satisfies.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        let import = import?;
                        if !is_type_name(import.ty) {
                            names.imports.push(import.name.name);
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        let export = export?;
                        if export.kind == ComponentExternalKind::Func {
                            names.functions.push(export.name.name);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }
}

/// A world's `use` becomes an import that only gives a name to a type.
fn is_type_name(ty: ComponentTypeRef) -> bool {
    matches!(ty, ComponentTypeRef::Type(TypeBounds::Eq(_)))
}
