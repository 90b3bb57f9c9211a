//! `trifold versions` and `trifold releases`: what happened to a view, oldest first.

use serde::Serialize;
use trifold_eventlog::time_text;
use trifold_registry::{Act, FoundSignature, Registry, Release, VersionRecord};

use super::provenance::{Provenance, compiler};
use super::trial::CandidateReport;
use crate::args::OneView;
use crate::exit::Outcome;
use crate::output;
use crate::world::{World, registry_failure};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct VersionLine {
    digest: String,
    state_id: String,
    bytes: u64,
    /// The release that puts the version into force or tries it out, if one does.
    release: Option<u64>,
    /// What it is tried out for.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<&'static str>,
    /// Whether it is not to be used any more.
    is_retired: bool,
    signatures: Vec<SignatureLine>,
    #[serde(flatten)]
    provenance: Provenance,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SignatureLine {
    key: String,
    /// Whether it is one of those that are trusted here.
    trusted: bool,
    /// Why it does not hold.
    problem: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReleaseLine {
    release: u64,
    version: u64,
    digest: String,
    released_at: String,
    released_by: Option<String>,
    note: Option<String>,
    /// The earlier release that this one takes back.
    takes_back: Option<u64>,
    in_force: bool,
    /// What is tried out beside the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<CandidateReport>,
}

/// Lists the versions of a view.
pub async fn versions(world: &World, OneView { view }: OneView) -> Outcome {
    let registry = world.registry(false)?;
    let versions = registry.versions(&view).await.map_err(registry_failure)?;
    let releases = registry.releases().await.map_err(registry_failure)?;
    let in_force = releases.get(&view);
    let retired = registry.retired(&view).await.map_err(registry_failure)?;
    let mut lines = Vec::new();
    for version in versions {
        let signatures = signature_lines(&registry, &version).await?;
        let is_retired = retired.iter().any(|retired| retired.version == version.version);
        lines.push(VersionLine { is_retired, ..version_line(version, signatures, in_force) });
    }
    output::print(world.format, &lines, |lines| {
        let headings = [
            "VERSION",
            "PUSHED",
            "BY",
            "BYTES",
            "STATE",
            "COMPONENT",
            "COMPILER",
            "TRIED ON",
            "SIGNED BY KEY",
            "IN FORCE",
            "NOTE",
        ];
        let rows = lines.iter().map(|line| {
            let trial = line.trial.map_or_else(String::new, |trial| format!(", {trial}"));
            let release = line.release.map(|release| format!("release {release}{trial}"));
            let release = release.or(line.is_retired.then(|| "retired".to_owned())).unwrap_or_default();
            let Provenance { version, pushed_at, pushed_by, note, toolchain, gate } = &line.provenance;
            [
                version.to_string(),
                pushed_at.clone(),
                text(pushed_by),
                line.bytes.to_string(),
                line.state_id[..output::DIGEST_SHOWN].to_owned(),
                line.digest[..output::DIGEST_SHOWN].to_owned(),
                compiler(toolchain),
                gate.as_ref().map_or_else(String::new, |gate| format!("{} rows", gate.rows())),
                line.signatures.iter().map(SignatureLine::text).collect::<Vec<_>>().join(", "),
                release,
                text(note),
            ]
        });
        output::listing(headings, rows)
    })?;
    // A view whose releases cannot be read looks like one that was never released.
    releases.problems.get(&view).map_or(Ok(()), |problem| Err(registry_failure(problem.clone())))
}

async fn signature_lines(registry: &Registry, version: &VersionRecord) -> Outcome<Vec<SignatureLine>> {
    let found = registry.signatures(&version.digest).await.map_err(registry_failure)?;
    let line = |FoundSignature { key, problem }: FoundSignature| SignatureLine {
        key: key.to_string(),
        trusted: registry.trusted().contains(&key),
        problem: problem.map(|problem| problem.to_string()),
    };
    Ok(found.into_iter().map(line).collect())
}

impl SignatureLine {
    fn text(&self) -> String {
        let key = &self.key[..output::DIGEST_SHOWN];
        if self.problem.is_some() { format!("{key} (damaged)") } else { key.to_owned() }
    }
}

fn version_line(
    version: VersionRecord,
    signatures: Vec<SignatureLine>,
    in_force: Option<&Release>,
) -> VersionLine {
    let candidate = in_force.and_then(|release| release.candidate.as_ref());
    let tried = candidate.filter(|candidate| candidate.version == version.version);
    let serves = in_force.is_some_and(|release| release.version == version.version);
    let release = in_force.filter(|_| serves || tried.is_some()).map(|release| release.seq);
    VersionLine {
        trial: tried.map(|candidate| candidate.trial.name()),
        is_retired: false,
        digest: version.digest.to_string(),
        state_id: version.state_id.to_string(),
        bytes: version.size,
        release,
        signatures,
        provenance: Provenance::of(version),
    }
}

/// Lists the releases of a view.
pub async fn releases(world: &World, OneView { view }: OneView) -> Outcome {
    let registry = world.registry(false)?;
    // A view that was never released has none, a view that is not there is a mistake.
    registry.latest_version(&view).await.map_err(registry_failure)?;
    let history = registry.history(&view).await.map_err(registry_failure)?;
    let last = history.last().map(|release| release.seq);
    let lines: Vec<_> = history.into_iter().map(|release| release_line(release, last)).collect();
    output::print(world.format, &lines, |lines| {
        let headings = ["RELEASE", "VERSION", "RELEASED", "BY", "COMPONENT", "", "NOTE"];
        let rows = lines.iter().map(|line| {
            let takes_back = line.takes_back.map(|release| format!("takes release {release} back"));
            let trial = line.candidate.as_ref();
            let trial =
                trial.map(|candidate| format!("beside it version {}: {}", candidate.version, candidate.trial));
            let in_force = line.in_force.then(|| "in force".to_owned());
            [
                line.release.to_string(),
                line.version.to_string(),
                line.released_at.clone(),
                text(&line.released_by),
                line.digest[..output::DIGEST_SHOWN].to_owned(),
                takes_back.into_iter().chain(trial).chain(in_force).collect::<Vec<_>>().join(", "),
                text(&line.note),
            ]
        });
        output::listing(headings, rows)
    })
}

fn release_line(release: Release, last: Option<u64>) -> ReleaseLine {
    let Act { at, by, note } = release.released;
    ReleaseLine {
        release: release.seq,
        version: release.version,
        digest: release.digest.to_string(),
        released_at: time_text(at),
        released_by: by,
        note,
        takes_back: release.takes_back,
        candidate: release.candidate.as_ref().map(CandidateReport::of),
        in_force: last == Some(release.seq),
    }
}

fn text(said: &Option<String>) -> String {
    said.clone().unwrap_or_default()
}
