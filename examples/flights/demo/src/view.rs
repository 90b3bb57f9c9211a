//! One view through the three runners: streamed, looked up, backfilled, compared.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use trifold_model::{EventTime, Field};
use trifold_server::api;
use trifold_server::client::{Client, model_fields};

use crate::departures::{self, Questions};
use crate::digests::{self, Compared, Digests, OFFSET, SPINE_ROW};
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

/// A view, and what the server says about all that it is asked.
pub(crate) struct View {
    pub(crate) name: String,
    /// What is asked with: the keys of all entities, or the fields of requests.
    pub(crate) columns: RecordBatch,
    /// The time that was asked for: that of the latest departure, because today all of them are long expired.
    pub(crate) as_of: EventTime,
    pub(crate) looked_up: LookedUp,
    /// The questions as a file, each at the time of its answer.
    spine: PathBuf,
    /// What the stream did for it; nothing for an on-demand view.
    streamed: Option<StreamedView>,
}

impl View {
    /// Looks up every entity of a view that was streamed.
    pub(crate) async fn look_up(
        stage: &Stage,
        client: &mut Client,
        streamed: StreamedView,
    ) -> Result<View, DemoError> {
        let served = served(client, &streamed.view).await?;
        let questions = departures::entities(&stage.events, &fields(&served, &served.entity)?)?;
        let next = streamed.next_offset;
        View::ask(stage, client, &served, questions, next, Some(streamed)).await
    }

    /// Looks an on-demand view up for a sample of the departures. What it reads has gone to an offset.
    pub(crate) async fn request(
        stage: &Stage,
        client: &mut Client,
        name: &str,
        next: u64,
    ) -> Result<View, DemoError> {
        let served = served(client, name).await?;
        let questions = departures::requests(&stage.events, &fields(&served, &served.request)?)?;
        View::ask(stage, client, &served, questions, next, None).await
    }

    async fn ask(
        stage: &Stage,
        client: &mut Client,
        served: &api::View,
        questions: Questions,
        next: u64,
        streamed: Option<StreamedView>,
    ) -> Result<View, DemoError> {
        let name = served.name.clone();
        let Questions { columns, latest: as_of } = questions;
        let looked_up = lookup::every_row(client, &name, &columns, as_of).await?;
        if looked_up.next_offset != next {
            let at = looked_up.next_offset;
            let message = format!("view {name}: the server is at offset {at}, the stream went to {next}");
            return Err(DemoError::Unexpected(message));
        }
        let spine = stage.place.dir(Path::new("backfill").join(&name))?.join("spine.parquet");
        lookup::write_spine(&spine, &columns, &looked_up.as_of)?;
        Ok(View { name, columns, as_of, looked_up, spine, streamed })
    }

    /// Backfills at every event's own position and compares with what the stream emitted. An on-demand view has no rows
    /// of events.
    pub(crate) async fn compare_stream(&self, stage: &Stage) -> Result<Option<(Backfilled, Compared)>, DemoError> {
        let Some(streamed) = &self.streamed else { return Ok(None) };
        let out = stage.place.path("backfill").join(&self.name).join("events");
        let backfilled = stage.backfill(&self.name, &out, &[]).await?;
        let rows = stage.place.path("data/rows").join(&self.name).join(&streamed.state_id);
        let found = digests::compare(&digests::read(&rows, OFFSET)?, &digests::read(&out, OFFSET)?);
        Ok(Some((backfilled, found)))
    }

    /// Backfills the lookups at the server's position and compares with its answers.
    pub(crate) async fn compare_online(&self, stage: &Stage) -> Result<(Backfilled, Compared), DemoError> {
        let (backfilled, replayed) = self.replay_lookups(stage, &self.name, "lookups").await?;
        Ok((backfilled, digests::compare(&self.looked_up.digests, &replayed)))
    }

    /// The digests that a backfill with a version gives for the lookups.
    pub(crate) async fn replay_lookups(
        &self,
        stage: &Stage,
        version: &str,
        name: &str,
    ) -> Result<(Backfilled, Digests), DemoError> {
        let out = stage.place.path("backfill").join(&self.name).join(name);
        let position = self.looked_up.next_offset.to_string();
        let arguments = ["--spine".as_ref(), self.spine.as_os_str(), "--position".as_ref(), position.as_ref()];
        let backfilled = stage.backfill(version, &out, &arguments).await?;
        Ok((backfilled, digests::read(&out, SPINE_ROW)?))
    }

    /// Lets `trifold audit` make the same comparisons of canonical bytes: of emitted rows, where there are any, and of
    /// online answers.
    pub(crate) async fn audit(&self, stage: &Stage, url: &str) -> Result<(Option<Audited>, Audited), DemoError> {
        let arguments = ["audit".as_ref(), self.name.as_ref(), "--events".as_ref(), stage.events.as_os_str()];
        let as_of = self.as_of.0.to_string();
        let mut online = ["--online", "--server", url, "--as-of", &as_of].map(OsStr::new).to_vec();
        let emitted = match &self.streamed {
            Some(_) => Some(stage.trifold.audit(&arguments).await?),
            None => {
                online.extend(["--spine".as_ref(), self.spine.as_os_str()]);
                None
            }
        };
        Ok((emitted, stage.trifold.audit(&[&arguments[..], &online].concat()).await?))
    }
}

/// What the server says of a view.
async fn served(client: &mut Client, name: &str) -> Result<api::View, DemoError> {
    let known = client.views().await?.into_iter().find(|view| view.name == name);
    known.ok_or_else(|| DemoError::Unexpected(format!("the server does not know view {name}")))
}

fn fields(view: &api::View, fields: &[api::Field]) -> Result<Vec<Field>, DemoError> {
    let fields = model_fields(fields);
    fields.ok_or_else(|| DemoError::Unexpected(format!("view {} has fields of unknown types", view.name)))
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
