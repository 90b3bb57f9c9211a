//! What made a component, as far as it says so itself.

/// A tool that had a part in making a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tool {
    /// Which part.
    pub role: ToolRole,
    /// The tool's name, such as `rustc`.
    pub name: String,
    /// Its version, or nothing.
    pub version: String,
}

/// The part that a tool has in making a component: the fields of WebAssembly's `producers` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ToolRole {
    /// What the source is written in.
    Language,
    /// What compiled, linked or wrapped it.
    ProcessedBy,
    /// What the source was written against.
    Sdk,
}

impl ToolRole {
    /// Every role.
    pub const ALL: [ToolRole; 3] = [ToolRole::Language, ToolRole::ProcessedBy, ToolRole::Sdk];

    /// The name of the section's field.
    pub fn name(self) -> &'static str {
        match self {
            ToolRole::Language => "language",
            ToolRole::ProcessedBy => "processed-by",
            ToolRole::Sdk => "sdk",
        }
    }

    /// The role of a field's name.
    pub fn from_name(name: &str) -> Option<ToolRole> {
        ToolRole::ALL.into_iter().find(|role| role.name() == name)
    }
}
