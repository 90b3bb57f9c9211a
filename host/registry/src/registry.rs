//! Pushing and releasing, and reading what was pushed and released.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use trifold_model::{ComponentDigest, FeatureView, Share, StateId, ViewName};

use crate::error::RegistryError;
use crate::id::{ID_OBJECT, RegistryId};
use crate::json::{Recorded, compact};
use crate::location::Location;
use crate::objects::Objects;
use crate::record::{Act, Candidate, Provenance, Pushed, Release, Retirement, Steps, Trial, VersionRecord};
use crate::releases::{Releases, in_force};
use crate::s3::S3Settings;
use crate::timeline;
use crate::trust::TrustedKeys;
use crate::watcher::Watcher;

/// The most bytes of a component, so that no file that strayed into the registry is read whole.
pub const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// The most bytes of a record; a description of a thousand well documented fields has less than one million.
pub const RECORD_BYTES_MAX: u64 = 4 << 20;

/// How many numbers are tried before giving up. Each one lost is somebody else's success, so it takes a thousand
/// writers of one view at once.
const ATTEMPTS_MAX: u64 = 1_000;

/// Component blobs, versions and releases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) objects: Objects,
    pub(crate) trusted: Arc<TrustedKeys>,
}

impl Registry {
    /// Opens the registry at a place. With an id, one that is not there is made: a directory at once, and in an
    /// object store under this id with the first write. No object store is asked for anything yet.
    pub fn open(
        location: &Location,
        settings: &S3Settings,
        create: Option<RegistryId>,
    ) -> Result<Self, RegistryError> {
        match location {
            Location::Path(dir) => Registry::local(dir, create.is_some()),
            Location::S3 { bucket, key } => Ok(Registry::over(Objects::s3(bucket, key, settings, create)?)),
        }
    }

    /// Opens the registry in a local directory. A missing directory is made if `create` says so, and is an error
    /// otherwise.
    pub fn local(dir: &Path, create: bool) -> Result<Self, RegistryError> {
        Objects::local(dir, create).map(Registry::over)
    }

    fn over(objects: Objects) -> Self {
        Registry { objects, trusted: Arc::default() }
    }

    /// What tells this registry, and copies of it, from all others. Unless it has an id it gets this one.
    pub async fn id(&self, new: &RegistryId) -> Result<RegistryId, RegistryError> {
        self.objects.check()?;
        loop {
            if let Some(found) = self.objects.get(ID_OBJECT, RECORD_BYTES_MAX).await? {
                let damaged =
                    |damage| RegistryError::DamagedRecord { place: self.objects.place(ID_OBJECT), damage };
                return RegistryId::from_file(&found).map_err(damaged);
            }
            if self.objects.create(ID_OBJECT, new.to_file()).await? {
                return Ok(new.clone());
            }
        }
    }

    /// Registers a component as the next version of its view, or returns the version that it already is.
    /// `description` is what the component's `describe` says. The record of a version that is there already stays as
    /// it is.
    pub async fn push(
        &self,
        wasm: &[u8],
        view: &FeatureView,
        description: &str,
        provenance: impl Into<Provenance>,
    ) -> Result<Pushed, RegistryError> {
        let description = compact(description)
            .map_err(|error| RegistryError::Description { view: view.name.clone(), reason: error.to_string() })?;
        let Provenance { pushed, tools, gate } = provenance.into();
        let record = VersionRecord {
            view: view.name.clone(),
            version: 0,
            digest: ComponentDigest::of(wasm),
            size: wasm.len() as u64,
            state_id: view.state_id(),
            pushed,
            tools,
            gate,
            description,
        };
        self.put_component(&record.digest, wasm).await?;
        let numbers = self.numbers(&view.name, Series::Versions).await?;
        for &number in &numbers {
            if let Some(version) = self.same_component(&record, number).await? {
                return Ok(Pushed { version, new: false });
            }
        }
        self.append_version(record, last(&numbers)).await
    }

    async fn append_version(&self, mut record: VersionRecord, last: u64) -> Result<Pushed, RegistryError> {
        for number in (last + 1..).take(ATTEMPTS_MAX as usize) {
            record.version = number;
            if self.create(&record.view, Series::Versions, number, &record).await? {
                return Ok(Pushed { version: record, new: true });
            }
            if let Some(version) = self.same_component(&record, number).await? {
                return Ok(Pushed { version, new: false });
            }
        }
        Err(RegistryError::Contended { view: record.view, attempts: ATTEMPTS_MAX })
    }

    /// The version of this number if it is the same component. A damaged record is nobody's version: pushing again
    /// is how one gets over it.
    async fn same_component(
        &self,
        record: &VersionRecord,
        number: u64,
    ) -> Result<Option<VersionRecord>, RegistryError> {
        match self.read::<VersionRecord>(&record.view, Series::Versions, number).await {
            Ok(found) => Ok(found.filter(|found| found.digest == record.digest)),
            Err(error) if error.is_damage() => {
                passed_over(&record.view, number, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn put_component(&self, digest: &ComponentDigest, wasm: &[u8]) -> Result<(), RegistryError> {
        let object = component_object(digest);
        let bytes = wasm.len() as u64;
        if bytes > COMPONENT_BYTES_MAX {
            let place = self.objects.place(&object);
            return Err(RegistryError::TooLarge { place, bytes, bytes_max: COMPONENT_BYTES_MAX });
        }
        let wasm = Bytes::copy_from_slice(wasm);
        if self.objects.create(&object, wasm.clone()).await? {
            return Ok(());
        }
        match self.component(digest).await {
            Err(error) if error.is_damage() => self.objects.replace(&object, wasm).await,
            other => other.map(drop),
        }
    }

    /// Lets a version serve everybody from now on.
    pub async fn release(
        &self,
        view: &ViewName,
        version: u64,
        released: impl Into<Act>,
    ) -> Result<Release, RegistryError> {
        let newest = self.newest_unless_damaged(view).await?;
        self.release_after(newest.as_ref(), view, version, released.into()).await
    }

    /// The same where the last release is known, or others that came after it are passed.
    async fn release_after(
        &self,
        newest: Option<&Release>,
        view: &ViewName,
        version: u64,
        released: Act,
    ) -> Result<Release, RegistryError> {
        let digest = self.releasable(view, version).await?;
        let last = match newest {
            Some(newest) => newest.seq,
            None => last(&self.numbers(view, Series::Releases).await?),
        };
        let mut rollout = newest.and_then(|newest| rollout_of(newest, version));
        for seq in (last + 1..).take(ATTEMPTS_MAX as usize) {
            let (view, released) = (view.clone(), released.clone());
            // What somebody else has put before is no part of the rollout.
            let rollout = rollout.take().unwrap_or(seq);
            let release =
                Release { view, seq, version, digest, candidate: None, rollout, takes_back: None, released };
            if self.create(&release.view, Series::Releases, seq, &release).await? {
                return Ok(release);
            }
        }
        Err(RegistryError::Contended { view: view.clone(), attempts: ATTEMPTS_MAX })
    }

    /// Lets a version serve everybody from now on, unless it does already: then the release in force is returned.
    pub async fn put_into_force(
        &self,
        view: &ViewName,
        version: u64,
        released: impl Into<Act>,
    ) -> Result<Release, RegistryError> {
        match self.newest_unless_damaged(view).await? {
            Some(release) if release.version == version && release.candidate.is_none() => Ok(release),
            newest => self.release_after(newest.as_ref(), view, version, released.into()).await,
        }
    }

    /// Tries a version out beside the one in force, unless just that is done already. It goes on with what was done with
    /// the same version last, and takes the place of another candidate. Nothing is done if somebody else releases meanwhile.
    pub async fn try_out(
        &self,
        view: &ViewName,
        version: u64,
        trial: Trial,
        released: impl Into<Act>,
    ) -> Result<Release, RegistryError> {
        if let Trial::Canary { share: Share::ALL, .. } = trial {
            return Err(RegistryError::Everybody { view: view.clone(), version });
        }
        let candidate = Candidate { version, digest: self.releasable(view, version).await?, trial };
        let Some(newest) = self.newest(view).await? else {
            return Err(RegistryError::NothingBeside { view: view.clone(), version });
        };
        if newest.version == version {
            return Err(RegistryError::Serves { view: view.clone(), version });
        }
        if newest.candidate.as_ref() == Some(&candidate) {
            return Ok(newest);
        }
        let seq = newest.seq + 1;
        let release = Release {
            seq,
            rollout: rollout_of(&newest, version).unwrap_or(seq),
            candidate: Some(candidate),
            takes_back: None,
            released: released.into(),
            ..newest
        };
        self.append_release(release).await
    }

    /// Goes on with the next step of a canary: a larger share, or everybody. `None` if it has no next step. Nothing is done
    /// if somebody else has released since.
    pub async fn advance(
        &self,
        release: &Release,
        released: impl Into<Act>,
    ) -> Result<Option<Release>, RegistryError> {
        let Some(Candidate { version, digest, trial: Trial::Canary { steps, .. } }) = &release.candidate else {
            return Ok(None);
        };
        let Some((step, rest)) = steps.next.split_first() else { return Ok(None) };
        self.releasable(&release.view, *version).await?;
        let mut next =
            Release { seq: release.seq + 1, takes_back: None, released: released.into(), ..release.clone() };
        if step.share == Share::ALL {
            (next.version, next.digest, next.candidate) = (*version, *digest, None);
        } else {
            let steps = Steps { hold: step.hold, next: rest.to_vec() };
            let trial = Trial::Canary { share: step.share, steps };
            next.candidate = Some(Candidate { version: *version, digest: *digest, trial });
        }
        self.append_release(next).await.map(Some)
    }

    /// Takes the release in force back, and with it all of the rollout that it is part of: what was in force before it is
    /// in force again. Nothing is done if somebody else releases meanwhile, for that one was not meant.
    pub async fn roll_back(&self, view: &ViewName, released: impl Into<Act>) -> Result<Release, RegistryError> {
        let history = self.history(view).await?;
        let Some(newest) = history.last() else {
            // There may be no such view.
            self.latest_version(view).await?;
            return Err(RegistryError::NeverReleased { view: view.clone() });
        };
        self.roll_back_from(newest, &history, released.into()).await
    }

    /// Takes a release back as [`Registry::roll_back`] does, unless somebody else has released since.
    pub async fn take_back(&self, release: &Release, released: impl Into<Act>) -> Result<Release, RegistryError> {
        let history = self.history(&release.view).await?;
        match history.last() {
            Some(newest) if newest == release => self.roll_back_from(newest, &history, released.into()).await,
            newest => {
                let seq = newest.map_or(0, |newest| newest.seq);
                Err(RegistryError::Overtaken { view: release.view.clone(), seq })
            }
        }
    }

    async fn roll_back_from(
        &self,
        newest: &Release,
        history: &[Release],
        released: Act,
    ) -> Result<Release, RegistryError> {
        let retired = self.numbers(&newest.view, Series::Retired).await?;
        let Some((before, taken)) = timeline::before(history, &retired) else {
            return Err(RegistryError::NothingBefore { view: newest.view.clone(), version: newest.version });
        };
        self.releasable(&before.view, before.version).await?;
        let (seq, takes_back) = (newest.seq + 1, Some(taken.seq));
        self.append_release(Release { seq, takes_back, released, ..before.clone() }).await
    }

    /// The newest release of a view, if it has one that can be read: a new release is how one gets over a damaged one.
    async fn newest_unless_damaged(&self, view: &ViewName) -> Result<Option<Release>, RegistryError> {
        match self.newest(view).await {
            Err(error) if error.is_damage() => Ok(None),
            newest => newest,
        }
    }

    /// Writes a release under its own number, if that is still free.
    async fn append_release(&self, release: Release) -> Result<Release, RegistryError> {
        match self.create(&release.view, Series::Releases, release.seq, &release).await? {
            true => Ok(release),
            false => Err(RegistryError::Overtaken { view: release.view, seq: release.seq }),
        }
    }

    /// The newest release of a view, if it has one.
    async fn newest(&self, view: &ViewName) -> Result<Option<Release>, RegistryError> {
        match last(&self.numbers(view, Series::Releases).await?) {
            0 => Ok(None),
            newest => self.read(view, Series::Releases, newest).await,
        }
    }

    /// The component of a version that can be released: servers would refuse one that is gone or damaged, or that may not run,
    /// so it is refused before they see it.
    async fn releasable(&self, view: &ViewName, version: u64) -> Result<ComponentDigest, RegistryError> {
        let digest = self.version(view, version).await?.digest;
        if self.read::<Retirement>(view, Series::Retired, version).await?.is_some() {
            return Err(RegistryError::Retired { view: view.clone(), version });
        }
        self.runnable(view, version, &digest).await.map(|_| digest)
    }

    /// The releases in force. What cannot be read of one view is among the snapshot's problems and keeps no other
    /// view out.
    pub async fn releases(&self) -> Result<Arc<Releases>, RegistryError> {
        in_force(self, &Releases::default()).await.map(Arc::new)
    }

    /// The releases of a view, oldest first; none when it was never released.
    pub async fn history(&self, view: &ViewName) -> Result<Vec<Release>, RegistryError> {
        self.read_all(view, Series::Releases).await
    }

    /// The states of a view that were built for versions which were tried out and given up, and that nobody goes on with.
    pub async fn given_up(&self, view: &ViewName) -> Result<BTreeSet<StateId>, RegistryError> {
        let versions = self.versions(view).await?;
        let states: BTreeSet<_> = versions.iter().map(|version| version.state_id).collect();
        if states.len() < 2 {
            // Nothing was ever built beside the state in force.
            return Ok(BTreeSet::new());
        }
        Ok(timeline::given_up(&self.history(view).await?, &versions))
    }

    /// A component's bytes, checked against their digest.
    pub async fn component(&self, digest: &ComponentDigest) -> Result<Vec<u8>, RegistryError> {
        let object = component_object(digest);
        let place = || self.objects.place(&object);
        let wasm = self.objects.get(&object, COMPONENT_BYTES_MAX).await?;
        let wasm = wasm.ok_or_else(|| RegistryError::MissingComponent { place: place() })?;
        let found = ComponentDigest::of(&wasm);
        if found != *digest {
            return Err(RegistryError::DamagedComponent { place: place(), found });
        }
        Ok(wasm.into())
    }

    /// The views that something was pushed for, by name.
    pub async fn views(&self) -> Result<Vec<ViewName>, RegistryError> {
        self.objects.check()?;
        let listing = self.objects.list("views").await?;
        Ok(listing.directories.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The versions of a view, oldest first.
    pub async fn versions(&self, view: &ViewName) -> Result<Vec<VersionRecord>, RegistryError> {
        let versions = self.read_all(view, Series::Versions).await?;
        if versions.is_empty() { Err(self.unknown_view(view).await?) } else { Ok(versions) }
    }

    /// The versions of a view with this state id, oldest first. Records that are damaged are passed over.
    pub async fn sharing(&self, view: &ViewName, state_id: StateId) -> Result<Vec<VersionRecord>, RegistryError> {
        let mut sharing = Vec::new();
        for number in self.numbers(view, Series::Versions).await? {
            match self.read::<VersionRecord>(view, Series::Versions, number).await {
                Ok(record) => sharing.extend(record.filter(|record| record.state_id == state_id)),
                Err(error) if error.is_damage() => passed_over(view, number, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(sharing)
    }

    /// One version of a view.
    pub async fn version(&self, view: &ViewName, version: u64) -> Result<VersionRecord, RegistryError> {
        if let Some(record) = self.read(view, Series::Versions, version).await? {
            return Ok(record);
        }
        let known = self.numbers(view, Series::Versions).await?;
        match known.is_empty() {
            true => Err(self.unknown_view(view).await?),
            false => Err(RegistryError::UnknownVersion { view: view.clone(), version, known }),
        }
    }

    /// The version of a view that was pushed last.
    pub async fn latest_version(&self, view: &ViewName) -> Result<VersionRecord, RegistryError> {
        match self.numbers(view, Series::Versions).await?.last() {
            Some(&number) => self.version(view, number).await,
            None => Err(self.unknown_view(view).await?),
        }
    }

    /// Watches the releases. The watcher's first poll returns the releases in force.
    pub fn watcher(&self) -> Watcher {
        Watcher::new(self.clone())
    }

    async fn unknown_view(&self, view: &ViewName) -> Result<RegistryError, RegistryError> {
        let mut known = self.views().await?;
        known.retain(|known| known != view);
        Ok(RegistryError::UnknownView { view: view.clone(), known })
    }
}

fn passed_over(view: &ViewName, version: u64, error: &RegistryError) {
    tracing::warn!(%view, version, %error, "passing over a damaged version");
}

/// The series of numbered records that each view has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Series {
    Versions,
    Releases,
    Retired,
}

impl Series {
    fn directory(self, view: &ViewName) -> String {
        match self {
            Series::Versions => format!("views/{view}/versions"),
            Series::Releases => format!("views/{view}/releases"),
            Series::Retired => format!("views/{view}/retired"),
        }
    }

    fn object(self, view: &ViewName, number: u64) -> String {
        format!("{}/{number:010}.json", self.directory(view))
    }
}

impl Registry {
    /// The numbers of a view's records, ascending.
    pub(crate) async fn numbers(&self, view: &ViewName, series: Series) -> Result<Vec<u64>, RegistryError> {
        let listing = self.objects.list(&series.directory(view)).await?;
        let mut numbers: Vec<_> = listing.files.iter().filter_map(|file| number_of(file)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads a record, or `None` when there is none of this number.
    pub(crate) async fn read<T: Recorded>(
        &self,
        view: &ViewName,
        series: Series,
        number: u64,
    ) -> Result<Option<T>, RegistryError> {
        let object = series.object(view, number);
        let Some(json) = self.objects.get(&object, RECORD_BYTES_MAX).await? else {
            return Ok(None);
        };
        match T::from_json(&json, view, number) {
            Ok(record) => Ok(Some(record)),
            Err(damage) => Err(RegistryError::DamagedRecord { place: self.objects.place(&object), damage }),
        }
    }

    pub(crate) async fn read_all<T: Recorded>(
        &self,
        view: &ViewName,
        series: Series,
    ) -> Result<Vec<T>, RegistryError> {
        self.objects.check()?;
        let mut records = Vec::new();
        for number in self.numbers(view, series).await? {
            records.extend(self.read(view, series, number).await?);
        }
        Ok(records)
    }

    /// Writes a record under a number, and returns whether the number was still free.
    pub(crate) async fn create(
        &self,
        view: &ViewName,
        series: Series,
        number: u64,
        record: &impl Recorded,
    ) -> Result<bool, RegistryError> {
        let object = series.object(view, number);
        let json = record
            .to_json()
            .map_err(|error| RegistryError::Description { view: view.clone(), reason: error.to_string() })?;
        let bytes = json.len() as u64;
        if bytes > RECORD_BYTES_MAX {
            let place = self.objects.place(&object);
            return Err(RegistryError::TooLarge { place, bytes, bytes_max: RECORD_BYTES_MAX });
        }
        self.objects.create(&object, json).await
    }

    /// That the record of a release in force is gone.
    pub(crate) fn vanished(&self, view: &ViewName, seq: u64) -> RegistryError {
        RegistryError::Vanished { place: self.objects.place(&Series::Releases.object(view, seq)) }
    }

    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        self.objects.check()
    }
}

/// The rollout that a release of this version would go on with.
fn rollout_of(newest: &Release, version: u64) -> Option<u64> {
    let candidate = newest.candidate.as_ref()?;
    (candidate.version == version).then_some(newest.rollout)
}

fn component_object(digest: &ComponentDigest) -> String {
    format!("components/sha256/{digest}.wasm")
}

/// The number of a record's file, or `None` for a file that is not a record.
fn number_of(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".json")?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (format!("{number:010}") == digits).then_some(number)
}

fn last(numbers: &[u64]) -> u64 {
    numbers.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_padded_numbers_from_one_are_records() {
        for (file, number) in [
            ("0000000001.json", Some(1)),
            ("12345678901.json", Some(12_345_678_901)),
            ("0000000000.json", None),
            ("1.json", None),
            ("00000000001.json", None),
            ("+000000001.json", None),
            ("0000000001.json#1", None),
            ("0000000001.json.bak", None),
        ] {
            assert_eq!(number_of(file), number, "{file}");
        }
    }
}
