//! Finds std's RandomState in a module by the names of its functions, and who uses it.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{BinaryReaderError, KnownCustom, Name, Operator, Parser, Payload, TypeRef};

/// The function that makes the seed of a `RandomState`. It is linked only if something makes one.
const SEED: &str = "hashmap_random_keys";

/// How many callers an error names.
const CALLERS_MAX: usize = 3;

/// The names of a module's functions by their index.
pub(crate) struct Names<'a>(BTreeMap<u32, &'a str>);

impl<'a> Names<'a> {
    pub(crate) fn read(module: &'a [u8]) -> Result<Names<'a>, BinaryReaderError> {
        let mut names = BTreeMap::new();
        for payload in Parser::new(0).parse_all(module) {
            let Payload::CustomSection(section) = payload? else { continue };
            let KnownCustom::Name(subsections) = section.as_known() else { continue };
            for subsection in subsections {
                let Name::Function(map) = subsection? else { continue };
                for naming in map {
                    let naming = naming?;
                    names.insert(naming.index, naming.name);
                }
            }
        }
        Ok(Names(names))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The index of the function that seeds a `RandomState`.
    pub(crate) fn random_state(&self) -> Option<u32> {
        self.0.iter().find(|(_, name)| name.contains(SEED)).map(|(index, _)| *index)
    }

    /// The readable name of a function, unless it belongs to Rust's own libraries.
    fn of_author(&self, function: u32) -> Option<String> {
        let name = format!("{:#}", rustc_demangle::demangle(self.0.get(&function)?));
        let start = name.trim_start_matches(['<', '&', '[', '(']);
        let own = ["std::", "core::", "alloc::", "hashbrown::"];
        (!own.iter().any(|library| start.starts_with(library))).then_some(name)
    }
}

/// The functions outside Rust's own libraries through which a function is reached, nearest first. Calls through
/// pointers are not followed, so there may be none.
pub(crate) fn callers(module: &[u8], names: &Names<'_>, function: u32) -> Result<Vec<String>, BinaryReaderError> {
    let calls = calls(module)?;
    let mut seen = BTreeSet::from([function]);
    let mut edge = vec![function];
    let mut found = Vec::new();
    while !edge.is_empty() && found.len() < CALLERS_MAX {
        let mut next = Vec::new();
        for caller in edge.iter().filter_map(|callee| calls.get(callee)).flatten() {
            if seen.insert(*caller) {
                match names.of_author(*caller) {
                    Some(name) => found.push(name),
                    None => next.push(*caller),
                }
            }
        }
        edge = next;
    }
    found.truncate(CALLERS_MAX);
    Ok(found)
}

/// Who calls each function.
fn calls(module: &[u8]) -> Result<BTreeMap<u32, BTreeSet<u32>>, BinaryReaderError> {
    let mut callers: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut caller = 0;
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            // Imported functions come first in the numbering.
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    caller += u32::from(matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    if let Operator::Call { function_index } | Operator::ReturnCall { function_index } = operator?
                    {
                        callers.entry(function_index).or_default().insert(caller);
                    }
                }
                caller += 1;
            }
            _ => {}
        }
    }
    Ok(callers)
}
