//! From the compiler's module to a component: what it must not contain is refused, what nobody needs is taken
//! out, and the rest is wrapped.

mod callers;
mod producers;
mod strip;

use wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::ComponentEncoder;

use crate::error::BuildError;

/// Custom sections in which wit-bindgen leaves the world that a module was bound to.
const COMPONENT_TYPE: &str = "component-type";

/// All imports of a transform are of this package.
const IMPORTS: &str = "trifold:feature/";

/// Checks, strips and wraps the module of a package that was written against a version of the SDK.
pub(crate) fn componentize(package: &str, sdk: Option<&str>, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let unreadable = |source| BuildError::Module { package: package.to_owned(), source };
    let surface = Surface::read(module).map_err(unreadable)?;
    let package_name = || package.to_owned();
    if !surface.has_view {
        return Err(BuildError::NoView { package: package_name() });
    }
    if !surface.foreign.is_empty() {
        return Err(BuildError::ForeignImport { package: package_name(), imports: surface.foreign });
    }
    let names = callers::Names::read(module).map_err(unreadable)?;
    if names.is_empty() {
        return Err(BuildError::NoNames { package: package_name() });
    }
    if let Some(random) = names.random_state() {
        let callers = callers::callers(module, &names, random).map_err(unreadable)?;
        return Err(BuildError::RandomState { package: package_name(), callers });
    }
    let producers = producers::producers(module, sdk).map_err(unreadable)?;
    let stripped = strip::strip(module, &producers).map_err(unreadable)?;
    encode(&stripped).map_err(|message| BuildError::Component { package: package_name(), message })
}

fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let encoder = ComponentEncoder::default().module(module).map_err(|error| format!("{error:#}"))?;
    encoder.validate(true).encode().map_err(|error| format!("{error:#}"))
}

/// What a module shows to the outside.
struct Surface {
    /// Imports that no host gives, as `module.name`.
    foreign: Vec<String>,
    /// Whether it was bound to a world and exports the description of a view.
    has_view: bool,
}

impl Surface {
    fn read(module: &[u8]) -> Result<Surface, BinaryReaderError> {
        let mut foreign = Vec::new();
        let (mut has_world, mut has_describe) = (false, false);
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        if !import.module.starts_with(IMPORTS) {
                            foreign.push(format!("{}.{}", import.module, import.name));
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        has_describe |= export?.name == "describe";
                    }
                }
                Payload::CustomSection(section) => has_world |= section.name().starts_with(COMPONENT_TYPE),
                _ => {}
            }
        }
        Ok(Surface { foreign, has_view: has_world && has_describe })
    }
}

#[cfg(test)]
mod tests;
