//! What can go wrong outside a row.

use std::io;
use std::path::PathBuf;

use trifold_model::{ComponentDigest, ViewName};

use crate::nan::RewriteError;

/// The sandbox cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine refused the configuration, most often because address space is limited.
    #[error("the wasm engine refused its configuration: {0}; lower the number of instances or raise `ulimit -v`")]
    Engine(String),
    /// The compile cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The compile cache's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory cannot be made or read.
    #[error("compile cache {path}: {source}", path = path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else may write what this process would run.
    #[error("compile cache {path}: it must be a directory that only its owner, the user of this process, may \
             write (its mode is {mode:o}); run `chmod 700` on it or name another", path = path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// A component that is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// Larger than the sandbox takes.
    #[error("component size limit of {max} bytes reached: the component has {bytes}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Neither module nor component.
    #[error("this is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm,
    /// A module that was not componentised.
    #[error("this is a core module, not a component: run `trifold build` on its crate")]
    CoreModule,
    /// The binary does not validate.
    #[error("the component is invalid at byte {offset}: {message}")]
    Invalid {
        /// Where, in bytes from the start.
        offset: usize,
        /// What the validator said.
        message: String,
    },
    /// Something of which it is not known what it does to the bits of a NaN.
    #[error("the component cannot be made deterministic: {0}")]
    Nan(#[from] RewriteError),
    /// It wants something that no transform gets.
    #[error(
        "the component imports `{name}`; a transform may import only `{allowed}`, as it sees nothing but its arguments"
    )]
    ForeignImport {
        /// The import's name.
        name: String,
        /// The one import allowed.
        allowed: &'static str,
    },
    /// It lacks a function of the world.
    #[error("the component does not export `{name}` of the world `row-transform`: build it with trifold-sdk")]
    MissingExport {
        /// The function's name.
        name: &'static str,
    },
    /// An export, or the import, has another type than the world says.
    #[error("`{name}` does not have the type that trifold:feature@1.0.0 gives it: {message}")]
    WrongType {
        /// The function's name.
        name: String,
        /// What the linker said.
        message: String,
    },
    /// It exports the functions of another world than that of the kind of view that it declares.
    #[error("view {view} says that it is a {kind} view, but the component is of the world `{world}`")]
    OtherWorld {
        /// The view.
        view: ViewName,
        /// The kind that it declares.
        kind: &'static str,
        /// The world of its exports.
        world: &'static str,
    },
    /// Its memory is larger from the start than it says that one row may use.
    #[error(
        "view {view}: the component starts with {initial} bytes of memory, beyond the {limit} bytes that its \
         describe allows a row; raise `memory` there"
    )]
    InitialMemory {
        /// The view.
        view: ViewName,
        /// The memory of a fresh instance.
        initial: u64,
        /// The limit that describe declares.
        limit: u64,
    },
    /// The engine could not compile it.
    #[error("component {}: it cannot be compiled: {message}", digest.short())]
    Compile {
        /// The component.
        digest: ComponentDigest,
        /// What the compiler said.
        message: String,
    },
    /// The engine would take more than it may to compile it.
    #[error(
        "component {}: {limit} limit of {value} reached; make the component's functions smaller, or raise the \
         limit, one of those that `trifold config` shows",
        digest.short()
    )]
    CompileLimit {
        /// The component.
        digest: ComponentDigest,
        /// The limit's name.
        limit: &'static str,
        /// The limit's value.
        value: String,
    },
    /// Nothing is known of the component, because the program that compiles failed.
    #[error("component {}: it was not compiled: {message}", digest.short())]
    Compiler {
        /// The component.
        digest: ComponentDigest,
        /// What happened.
        message: String,
    },
    /// `describe` trapped or exceeded its limits.
    #[error("component {}: calling describe failed: {message}", digest.short())]
    DescribeFailed {
        /// The component.
        digest: ComponentDigest,
        /// What happened.
        message: String,
    },
    /// `describe` did not return the JSON of a view.
    #[error("component {}: describe returned no view: {message}", digest.short())]
    DescribeText {
        /// The component.
        digest: ComponentDigest,
        /// What is wrong with the text.
        message: String,
    },
    /// The view that `describe` declares is impossible.
    #[error("component {}: describe declares an impossible view {view}: {}", digest.short(), problems.join("; "))]
    DescribeView {
        /// The component.
        digest: ComponentDigest,
        /// The view's name as given.
        view: String,
        /// Everything that is wrong, one sentence each.
        problems: Vec<String>,
    },
}

/// No instance could be had; nothing is known about any row.
#[derive(Debug, Clone, thiserror::Error)]
#[error("view {view}: {message}")]
pub struct Unavailable {
    /// The view.
    pub view: ViewName,
    /// Why.
    pub message: String,
}
