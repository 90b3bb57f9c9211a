//! Protobuf's binary encoding.
//!
//! A field may come in parts, in any order, and the last of several counts, so that a value cannot be written while it
//! is read: the library collects it in a message, bounded in depth and by the bytes that are there, and what stands in
//! that is written by a shape that was made from the descriptor once.
//!
//! Reading order: `compile` (from `.proto` texts to descriptors), `shape` (what a message becomes), `write` (a value).

mod compile;
mod shape;
mod write;

use std::path::Path;

use prost_reflect::{DynamicMessage, FileDescriptor, MessageDescriptor};

use crate::error::{Bad, Reason};
use crate::registry::Registered;
use shape::{ShapeId, Shapes};

/// The messages of one file.
#[derive(Debug)]
pub(crate) struct Messages {
    file: FileDescriptor,
    shapes: Shapes,
}

impl Messages {
    /// Compiles a file, which finds what it imports in its own folder.
    pub(crate) fn open(path: &Path) -> Result<Messages, String> {
        Ok(Messages { file: compile::open(path)?, shapes: Shapes::default() })
    }

    /// Compiles a schema of a registry.
    pub(crate) fn compile(registered: &Registered) -> Result<Messages, String> {
        Ok(Messages { file: compile::compile(registered)?, shapes: Shapes::default() })
    }

    /// The message of a name, or the only one of the file.
    pub(crate) fn named(&mut self, name: Option<&str>) -> Result<Message, String> {
        let mut messages: Vec<_> = self.file.messages().collect();
        let found = match name {
            Some(name) => self.file.parent_pool().get_message_by_name(name),
            None if messages.len() == 1 => messages.pop(),
            None => None,
        };
        let problem = || {
            let names: Vec<_> = messages.iter().map(|message| message.full_name().to_owned()).collect();
            match name {
                Some(name) => format!("it has no message {name}, but {}", names.join(", ")),
                None => format!("it has {} messages, and one must be named: {}", names.len(), names.join(", ")),
            }
        };
        let descriptor = found.ok_or_else(problem)?;
        Ok(self.message(descriptor))
    }

    /// The message that a value says it is.
    pub(crate) fn indexed(&mut self, indexes: &[usize]) -> Result<Message, Reason> {
        let no = || Reason::MessageIndexes(format!("leads nowhere: {indexes:?}"));
        let (first, inner) = indexes.split_first().ok_or_else(no)?;
        let mut message = self.file.messages().nth(*first).ok_or_else(no)?;
        for index in inner {
            // The entries of maps are messages for descriptors, and are none in the text, where they are counted.
            let children = message.child_messages().filter(|child| !child.is_map_entry());
            let child = children.into_iter().nth(*index);
            message = child.ok_or_else(no)?;
        }
        Ok(self.message(message))
    }

    fn message(&mut self, descriptor: MessageDescriptor) -> Message {
        let shape = self.shapes.shape(&descriptor);
        Message { descriptor, shape }
    }

    /// Appends a value as text.
    pub(crate) fn decode(&self, message: &Message, value: &[u8], out: &mut Vec<u8>) -> Result<(), Bad> {
        let decoded = DynamicMessage::decode(message.descriptor.clone(), value)
            .map_err(|error| Reason::Protobuf(error.to_string()))?;
        write::write(&self.shapes, message.shape, &decoded, out)
    }
}

/// One message of a file.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    descriptor: MessageDescriptor,
    shape: ShapeId,
}

impl Message {
    pub(crate) fn name(&self) -> &str {
        self.descriptor.full_name()
    }
}
