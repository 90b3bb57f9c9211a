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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::settings::RegistrySettings;

    #[test]
    fn when_there_are_too_many_they_are_forgotten() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let _ = connection.read(&mut [0; 4096]).unwrap();
                let body = "{\"schema\":\"a\"}";
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length";
                write!(connection, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        let client = Client::new(&RegistrySettings::new(url)).unwrap();
        let mut schemas = Schemas::new(client, Kind::Avro);
        schemas.known.extend((0..SCHEMAS_MAX as u32 - 1).map(|id| (id, Ok("known".to_owned()))));
        let make = |registered: &Registered| Ok(registered.text.clone());
        for (id, expected, count) in [
            (0, "known", SCHEMAS_MAX - 1),
            (SCHEMAS_MAX as u32, "a", SCHEMAS_MAX),
            (1, "known", SCHEMAS_MAX),
            (SCHEMAS_MAX as u32 + 1, "a", 1),
            (1, "a", 2),
        ] {
            assert_eq!(schemas.get(id, make).unwrap(), expected);
            assert_eq!(schemas.known.len(), count);
        }
    }
}
