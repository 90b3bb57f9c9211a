//! From `.proto` texts to descriptors.

use std::collections::BTreeMap;
use std::path::Path;

use prost_reflect::FileDescriptor;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use crate::registry::Registered;

/// The name of a registry's schema, which has none, among the names that its imports have.
const MAIN: &str = "registered schema.proto";

/// Compiles a file, which finds what it imports in its own folder.
pub(super) fn open(path: &Path) -> Result<FileDescriptor, String> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("its name is not UTF-8")?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let compiler = Compiler::new([folder]).map_err(|error| error.to_string())?;
    finish(compiler, name)
}

/// Compiles a schema of a registry, whose imports are what it refers to, and what every compiler of Protobuf brings.
pub(super) fn compile(registered: &Registered) -> Result<FileDescriptor, String> {
    let mut files: BTreeMap<_, _> = registered.references.iter().cloned().collect();
    files.insert(MAIN.to_owned(), registered.text.clone());
    let mut resolver = ChainFileResolver::new();
    resolver.add(Files(files));
    resolver.add(GoogleFileResolver::new());
    finish(Compiler::with_file_resolver(resolver), MAIN)
}

fn finish(mut compiler: Compiler, name: &str) -> Result<FileDescriptor, String> {
    compiler.include_imports(true);
    compiler.open_file(name).map_err(|error| error.to_string())?;
    compiler.descriptor_pool().get_file_by_name(name).ok_or_else(|| "it is not among its own files".to_owned())
}

/// The files of a registry's schema.
struct Files(BTreeMap<String, String>);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}
