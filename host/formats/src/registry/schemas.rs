//! The schemas that are known.

use std::collections::BTreeMap;

use super::client::Client;
use super::registered::{Kind, Registered, fetch};
use crate::error::{Reason, ValueError};
use crate::limits::SCHEMAS_MAX;

/// What the schemas of a registry became, by their ids. A schema never changes, so that what was made of one is kept,
/// be it that it cannot be used. That the registry has no schema of an id is not kept: it may get one.
#[derive(Debug)]
pub(crate) struct Schemas<T> {
    client: Client,
    kind: Kind,
    known: BTreeMap<u32, Result<T, Reason>>,
}

impl<T> Schemas<T> {
    pub(crate) fn new(client: Client, kind: Kind) -> Schemas<T> {
        Schemas { client, kind, known: BTreeMap::new() }
    }

    /// What became of a schema, which is asked for and made if it is not known.
    pub(crate) fn get(
        &mut self,
        id: u32,
        make: impl FnOnce(&Registered) -> Result<T, String>,
    ) -> Result<&mut T, ValueError> {
        if !self.known.contains_key(&id) {
            let made = match fetch(&self.client, self.kind, id)? {
                Err(unknown @ Reason::UnknownSchema { .. }) => return Err(unknown.into()),
                Err(unusable) => Err(unusable),
                Ok(registered) => make(&registered).map_err(|problem| Reason::Schema { id, problem }),
            };
            if self.known.len() == SCHEMAS_MAX {
                self.known.clear();
            }
            self.known.insert(id, made);
        }
        match self.known.get_mut(&id) {
            Some(Ok(made)) => Ok(made),
            Some(Err(reason)) => Err(reason.clone().into()),
            None => Err(Reason::UnknownSchema { id, answer: "it was forgotten".to_owned() }.into()),
        }
    }
}
