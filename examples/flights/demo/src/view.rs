//! One view through the three runners: streamed, looked up, backfilled, compared.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use trifold_model::{EntityKey, EventTime, Field};
use trifold_server::client::{Client, model_fields};

use crate::digests::{self, Compared, Digests, OFFSET, SPINE_ROW};
use crate::entities;
use crate::error::DemoError;
use crate::lookup::{self, LookedUp};
use crate::place::Place;
use crate::trifold::{Audited, Backfilled, StreamedView, Trifold};

/// What the steps of the demo share.
pub(crate) struct Stage {
    pub(crate) trifold: Trifold,
    pub(crate) place: Place,
    /// The log.
    pub(crate) events: PathBuf,
}

/// A view, and what the server says of all its entities.
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) keys: Vec<EntityKey>,
    /// The time that was asked for: that of the latest departure, because today all of them are long expired.
    pub(crate) as_of: EventTime,
    pub(crate) looked_up: LookedUp,
    /// What the stream did for it.
    streamed: StreamedView,
}

impl View {
    /// Finds the entities of a view in the log and looks them all up.
    pub(crate) async fn look_up(
        stage: &Stage,
        client: &mut Client,
        streamed: StreamedView,
    ) -> Result<View, DemoError> {
        let name = streamed.view.clone();
        let known = client.views().await?;
        let fields = known.iter().find(|view| view.name == name).and_then(|view| model_fields(&view.entity));
        let fields =
            fields.ok_or_else(|| DemoError::Unexpected(format!("the server does not know view {name}")))?;
        let entities = entities::of_log(&stage.events, &fields)?;
        let (keys, as_of) = (Vec::from_iter(entities.keys), entities.latest);
        let looked_up = lookup::every_entity(client, &name, &fields, &keys, as_of).await?;
        if looked_up.next_offset != streamed.next_offset {
            let (served, next) = (looked_up.next_offset, streamed.next_offset);
            let message = format!("view {name}: the server is at offset {served}, the stream went to {next}");
            return Err(DemoError::Unexpected(message));
        }
        Ok(View { name, fields, keys, as_of, looked_up, streamed })
    }

    /// Backfills at every event's own position and compares with what the stream emitted.
    pub(crate) async fn compare_stream(&self, stage: &Stage) -> Result<(Backfilled, Compared), DemoError> {
        let out = stage.place.path("backfill").join(&self.name).join("events");
        let backfilled = stage.backfill(&self.name, &out, &[]).await?;
        let rows = stage.place.path("data/rows").join(&self.name).join(&self.streamed.state_id);
        let found = digests::compare(&digests::read(&rows, OFFSET)?, &digests::read(&out, OFFSET)?);
        Ok((backfilled, found))
    }

    /// Backfills the lookups at the server's position and compares with its answers.
    pub(crate) async fn compare_online(&self, stage: &Stage) -> Result<Compared, DemoError> {
        let replayed = self.replay_lookups(stage, &self.name, "lookups").await?;
        Ok(digests::compare(&self.looked_up.digests, &replayed))
    }

    /// The digests that a backfill with a version gives for the lookups.
    pub(crate) async fn replay_lookups(
        &self,
        stage: &Stage,
        version: &str,
        name: &str,
    ) -> Result<Digests, DemoError> {
        let dir = stage.place.path("backfill").join(&self.name);
        let (spine, out) = (dir.join(format!("{name}-spine.parquet")), dir.join(name));
        lookup::write_spine(&spine, &self.fields, &self.keys, &self.looked_up.as_of)?;
        let position = self.looked_up.next_offset.to_string();
        let arguments = ["--spine".as_ref(), spine.as_os_str(), "--position".as_ref(), position.as_ref()];
        stage.backfill(version, &out, &arguments).await?;
        digests::read(&out, SPINE_ROW)
    }

    /// Lets `trifold audit` make the same two comparisons of canonical bytes.
    pub(crate) async fn audit(&self, stage: &Stage, url: &str) -> Result<[Audited; 2], DemoError> {
        let arguments = ["audit".as_ref(), self.name.as_ref(), "--events".as_ref(), stage.events.as_os_str()];
        let emitted = stage.trifold.audit(&arguments).await?;
        let as_of = self.as_of.0.to_string();
        let server = ["--online", "--server", url, "--as-of", &as_of].map(OsStr::new);
        let online = stage.trifold.audit(&[&arguments[..], &server].concat()).await?;
        Ok([emitted, online])
    }
}

impl Stage {
    async fn backfill(&self, version: &str, out: &Path, more: &[&OsStr]) -> Result<Backfilled, DemoError> {
        let arguments = ["backfill".as_ref(), version.as_ref(), "--events".as_ref(), self.events.as_os_str()];
        let output =
            ["--cut".as_ref(), "position".as_ref(), "--digest".as_ref(), "--out".as_ref(), out.as_os_str()];
        self.trifold.run(&[&arguments[..], &output, more].concat()).await
    }
}

impl Compared {
    /// Takes an audit of the same rows into account: it must have compared as many, and what it found counts if
    /// it is more.
    pub(crate) fn audited(self, audit: &Audited) -> Compared {
        let found = audit.differing + audit.missing + audit.extra + audit.unavailable;
        let uncounted = self.compared.abs_diff(audit.compared);
        Compared { compared: self.compared, differing: self.differing.max(found).max(uncounted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_audit_alone_finds_differs_too() {
        let found = Compared { compared: 10, differing: 2 };
        let agreed = Audited { compared: 10, differing: 0, missing: 0, extra: 0, unavailable: 0 };
        let differing = |audit: Audited| found.audited(&audit).differing;
        assert_eq!(differing(Audited { ..agreed }), 2);
        assert_eq!(differing(Audited { differing: 3, ..agreed }), 3);
        assert_eq!(differing(Audited { missing: 3, ..agreed }), 3);
        assert_eq!(differing(Audited { extra: 3, ..agreed }), 3);
        assert_eq!(differing(Audited { unavailable: 3, ..agreed }), 3);
        // Rows that it did not look at are as bad.
        assert_eq!(differing(Audited { compared: 5, ..agreed }), 5);
    }
}
