//! What a component must be before anything of it is compiled or run.

use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload, TypeBounds};

use crate::error::AdmissionError;

/// The one import with functions that a transform may have.
pub(crate) const DIAGNOSTICS: &str = "trifold:feature/diagnostics@1.0.0";
/// The contract's types. They hold no function, so importing their names gives a guest nothing.
const TYPES: [&str; 2] = ["trifold:feature/types@1.0.0", "trifold:feature/window-types@1.0.0"];

/// The export that says what the view is.
pub(crate) const DESCRIBE: &str = "describe";
/// The export that computes rows.
pub(crate) const APPLY: &str = "apply";
/// The export that prepares events for folding.
pub(crate) const PREPARE: &str = "prepare";
/// The export that folds events.
pub(crate) const ACCUMULATE: &str = "accumulate";
/// The export that merges states.
pub(crate) const MERGE: &str = "merge";
/// The export that turns the states of windows into rows.
pub(crate) const FINISH: &str = "finish";

/// A world of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    /// Rows to rows: row views and on-demand views.
    Row,
    /// Events to states to rows: window views.
    Window,
}

impl World {
    /// The functions that a component of the world exports.
    pub(crate) fn exports(self) -> &'static [&'static str] {
        match self {
            World::Row => &[DESCRIBE, APPLY],
            World::Window => &[DESCRIBE, PREPARE, ACCUMULATE, MERGE, FINISH],
        }
    }
}

const MAGIC: &[u8] = b"\0asm";

/// Checks size, format, imports and exports. Whether the component is valid is left to the compiler.
pub(crate) fn check(wasm: &[u8], bytes_max: usize) -> Result<World, AdmissionError> {
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
    check_imports(&names)?;
    let world = if names.functions.contains(&ACCUMULATE) { World::Window } else { World::Row };
    match world.exports().iter().find(|name| !names.functions.contains(name)) {
        Some(name) => Err(AdmissionError::MissingExport { name }),
        None => Ok(world),
    }
}

fn check_imports(names: &Names<'_>) -> Result<(), AdmissionError> {
    match names.imports.iter().find(|name| **name != DIAGNOSTICS && !TYPES.contains(name)) {
        Some(&name) => Err(AdmissionError::ForeignImport { name: name.to_owned(), allowed: DIAGNOSTICS }),
        None => Ok(()),
    }
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
