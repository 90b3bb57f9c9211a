//! A schema of a registry, with all that it refers to.

use std::collections::BTreeSet;

use super::client::{Answer, Client, Reference};
use crate::error::{Reason, RegistryError};
use crate::limits::REFERENCES_MAX;

/// The language of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Avro,
    Protobuf,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Avro => "AVRO",
            Kind::Protobuf => "PROTOBUF",
        }
    }
}

/// A schema, and those that it refers to, directly and through others.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) text: String,
    /// Names and texts. What others refer to stands before them.
    pub(crate) references: Vec<(String, String)>,
}

/// Asks for a schema. What cannot be used is an error of the values that were written with it.
pub(super) fn fetch(client: &Client, kind: Kind, id: u32) -> Result<Result<Registered, Reason>, RegistryError> {
    let answer = match client.schema(id)? {
        Ok(answer) => answer,
        Err(answer) => return Ok(Err(Reason::UnknownSchema { id, answer })),
    };
    if let Err(problem) = check(&answer, kind) {
        return Ok(Err(Reason::Schema { id, problem }));
    }
    let mut collected = Collected { client, kind, seen: BTreeSet::new(), texts: Vec::new() };
    let references = match collected.all(answer.references.unwrap_or_default())? {
        Ok(()) => collected.texts,
        Err(problem) => return Ok(Err(Reason::Schema { id, problem })),
    };
    Ok(Ok(Registered { text: answer.schema, references }))
}

fn check(answer: &Answer, kind: Kind) -> Result<(), String> {
    // A registry leaves out what has been the only kind for long.
    let found = answer.kind.as_deref().unwrap_or("AVRO");
    if found == kind.name() { Ok(()) } else { Err(format!("it is of the type {found}, not {}", kind.name())) }
}

/// The schemas that were met.
struct Collected<'c> {
    client: &'c Client,
    kind: Kind,
    seen: BTreeSet<(String, i32)>,
    texts: Vec<(String, String)>,
}

impl Collected<'_> {
    /// Collects all that is referred to, without going down the stack, as nobody says how long such a chain is.
    fn all(&mut self, references: Vec<Reference>) -> Result<Result<(), String>, RegistryError> {
        let mut open = vec![Step::Ask(references)];
        while let Some(step) = open.pop() {
            let mut references = match step {
                Step::Keep(name, text) => {
                    self.texts.push((name, text));
                    continue;
                }
                Step::Ask(references) => references,
            };
            let Some(reference) = references.pop() else { continue };
            open.push(Step::Ask(references));
            if !self.seen.insert((reference.subject.clone(), reference.version)) {
                continue;
            }
            if self.seen.len() > REFERENCES_MAX {
                return Ok(Err(format!("it refers to more than {REFERENCES_MAX} others")));
            }
            let answer = match self.client.version(&reference)? {
                Ok(answer) => answer,
                Err(answer) => return Ok(Err(format!("it refers to {}, and {answer}", reference.name))),
            };
            if let Err(problem) = check(&answer, self.kind) {
                return Ok(Err(format!("it refers to {}, and {problem}", reference.name)));
            }
            open.push(Step::Keep(reference.name, answer.schema));
            open.push(Step::Ask(answer.references.unwrap_or_default()));
        }
        Ok(Ok(()))
    }
}

/// What is still to be done.
enum Step {
    Ask(Vec<Reference>),
    /// A schema whose own references have been collected.
    Keep(String, String),
}
