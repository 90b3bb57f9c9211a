//! `trifold push`, `trifold release`, `trifold rollback` and `trifold views`.

mod bootstrap;

use std::path::Path;

use serde::{Serialize, Serializer};
use trifold_model::{ComponentDigest, ViewName};
use trifold_registry::{Act, Pushed, Registry, Releases, Signature};
use trifold_server::admin::{AdminClient, api};
use trifold_server::client::ClientError;

use super::check;
use super::signatures::signing_key;
use super::status::Audience;
use super::trial::{self, CandidateReport};
use crate::args::{self, Push, Release, Rollback};
use crate::clock;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::{World, parse_version, read_file, registry_failure};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PushReport {
    #[serde(serialize_with = "as_text")]
    view: ViewName,
    version: u64,
    digest: String,
    /// False when the same component had been pushed before.
    new: bool,
    /// The key that signed it with this push.
    signed_by: Option<String>,
    release: Option<u64>,
}

fn as_text<S: Serializer>(view: &ViewName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(view.as_str())
}

/// Checks a component and registers it as a version of its view.
pub async fn push(world: &World, args: Push) -> Outcome {
    let audience = Audience::new(world, &args.processes)?;
    if args.processes.wait.is_some() && !args.release {
        return Err(Failure::new(Exit::Usage, "`--wait` waits for a release: give `--release` as well"));
    }
    let key = signing_key(world, args.sign.as_ref())?;
    let wasm = read_file(&args.component)?;
    let signature = key.map(|key| key.sign(&ComponentDigest::of(&wasm)));
    let report = match &args.through {
        Some(url) => push_through(url, &args, wasm, signature).await?,
        None => push_here(world, &args, &wasm, signature).await?,
    };
    print_push(world, &report)?;
    match report.release {
        Some(release) => audience.tell(&report.view, release).await,
        None => Ok(()),
    }
}

/// Takes the component through the gate and into the registry.
async fn push_here(world: &World, args: &Push, wasm: &[u8], signature: Option<Signature>) -> Outcome<PushReport> {
    let run = check::gate_run(world, &args.component, wasm, &args.samples, &args.source).await?;
    let accepted = run.verdict().or_exit(Exit::Refused)?;
    let registry = world.registry(true)?;
    let pushed = accepted.push(&registry, wasm, act(&args.signature), signature.as_ref()).await;
    let Pushed { version: record, new } = pushed.map_err(registry_failure)?;
    world.registry_id(&registry).await?;
    let release = match args.release {
        true => {
            let release = registry.release(&record.view, record.version, act(&args.signature)).await;
            let release = release.map_err(|error| {
                let Failure { exit, error } = registry_failure(error);
                let (view, version) = (&record.view, record.version);
                Failure::new(exit, format!("{view}@{version} is pushed, but not released: {error}"))
            });
            Some(release?.seq)
        }
        false => None,
    };
    Ok(PushReport {
        version: record.version,
        digest: record.digest.to_string(),
        new,
        signed_by: signature.map(|signature| signature.key.id().to_string()),
        release,
        view: record.view,
    })
}

/// Has a process do it, whose machine reaches the registry.
async fn push_through(url: &str, args: &Push, wasm: Vec<u8>, signature: Option<Signature>) -> Outcome<PushReport> {
    let Act { by, note, .. } = act(&args.signature);
    let order = api::PushOrder {
        release: args.release,
        by: by.unwrap_or_default(),
        note: note.unwrap_or_default(),
        signature: signature.map_or_else(String::new, |signature| signature.to_string()),
    };
    let pushed = async { AdminClient::connect(url).await?.push(order, wasm).await }.await;
    let pushed = pushed.map_err(|error| not_pushed(&args.component, &error))?;
    let version = pushed.version.unwrap_or_default();
    Ok(PushReport {
        view: pushed.view.parse().or_exit(Exit::Internal)?,
        version: version.version,
        digest: hex::encode(version.component_digest),
        new: pushed.new,
        signed_by: signature.map(|signature| signature.key.id().to_string()),
        release: pushed.released.and_then(|released| released.release).map(|release| release.release),
    })
}

/// What a process says of a component that it does not push, in the words of a push without it.
fn not_pushed(component: &Path, error: &ClientError) -> Failure {
    let Some(said) = error.said() else { return Failure::new(Exit::Unavailable, error) };
    let exit = match error {
        error if error.is_precondition() => Exit::Refused,
        error if error.is_unknown() => Exit::NotFound,
        error if error.is_damage() => Exit::Data,
        error if error.is_request() => {
            return Failure::new(Exit::Data, format!("{}: {said}", component.display()));
        }
        _ => Exit::Unavailable,
    };
    Failure::new(exit, said)
}

fn print_push(world: &World, report: &PushReport) -> Outcome {
    output::print(world.format, report, |report| {
        let known = if report.new { "pushed" } else { "already pushed:" };
        let (view, version) = (&report.view, report.version);
        let next = match report.release {
            Some(release) => format!("release {release} puts it into force"),
            None => format!("put it into force with `trifold release {view}@{version}`"),
        };
        let signed = report.signed_by.as_ref().map_or_else(String::new, |key| format!("signed by key {key}\n"));
        format!("{known} {view}@{version}, sha256 {}\n{signed}{next}", report.digest)
    })
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReleaseReport {
    view: String,
    version: u64,
    release: u64,
    /// The release that this one takes back, if it does that.
    takes_back: Option<u64>,
    digest: String,
    /// What is tried out beside the version in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<CandidateReport>,
}

/// Puts a version into force, or tries it out.
pub async fn release(world: &World, args: Release) -> Outcome {
    let audience = Audience::new(world, &args.processes)?;
    let trial = args.trial.trial().map_err(|problem| Failure::new(Exit::Usage, problem))?;
    let (view, number) = parse_version(&args.version)?;
    let registry = world.registry(false)?;
    let number = match number {
        Some(number) => number,
        None => registry.latest_version(&view).await.map_err(registry_failure)?.version,
    };
    if args.bootstrap {
        return bootstrap::run(world, &audience, (&view, number), act(&args.signature)).await;
    }
    let act = act(&args.signature);
    let release = match trial {
        None => {
            bootstrap::check_level(&registry, &audience, &view, number).await?;
            registry.put_into_force(&view, number, act).await.map_err(registry_failure)?
        }
        Some(trial) => trial::try_out(world, &registry, (&view, number), trial, act).await?,
    };
    print_release(world, &release)?;
    audience.tell(&release.view, release.seq).await
}

/// Takes the release in force back.
pub async fn rollback(world: &World, args: Rollback) -> Outcome {
    let audience = Audience::new(world, &args.processes)?;
    let registry = world.registry(false)?;
    let release = registry.roll_back(&args.view, act(&args.signature)).await.map_err(registry_failure)?;
    print_release(world, &release)?;
    audience.tell(&release.view, release.seq).await
}

/// Prints what is in force by a release.
pub fn print_release(world: &World, release: &trifold_registry::Release) -> Outcome {
    let report = ReleaseReport {
        view: release.view.to_string(),
        version: release.version,
        release: release.seq,
        takes_back: release.takes_back,
        digest: release.digest.to_string(),
        candidate: release.candidate.as_ref().map(CandidateReport::of),
    };
    output::line(world.format, &report, |report| {
        let again = if report.takes_back.is_some() { " again" } else { "" };
        let trial = report.candidate.as_ref().map_or_else(String::new, |candidate| {
            format!("\n{}@{} is tried out beside it: {}", report.view, candidate.version, candidate.trial)
        });
        format!(
            "release {}: {}@{} is in force{again}, sha256 {}{trial}",
            report.release, report.view, report.version, report.digest
        )
    })
}

/// What is recorded of a change that is made now.
#[expect(clippy::disallowed_methods, reason = "who runs the command is known to its environment alone")]
pub fn act(signature: &args::Signature) -> Act {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let by = given(signature.by.clone()).or_else(|| given(std::env::var("USER").ok()));
    Act { at: clock::now(), by, note: given(signature.note.clone()) }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct VersionRow {
    view: String,
    version: u64,
    digest: String,
    bytes: u64,
    state_id: String,
    /// The release that puts the version into force, if it is in force.
    release: Option<u64>,
}

/// Lists views, versions and releases.
pub async fn views(world: &World) -> Outcome {
    let registry = world.registry(false)?;
    let releases = registry.releases().await.map_err(registry_failure)?;
    let rows = version_rows(&registry, &releases).await?;
    output::print(world.format, &rows, |rows| {
        let headings = ["VIEW", "VERSION", "IN FORCE", "BYTES", "STATE", "COMPONENT"];
        let lines = rows.iter().map(|row| {
            let release = row.release.map_or_else(String::new, |release| format!("release {release}"));
            let [state, digest] = [&row.state_id, &row.digest].map(|text| text[..output::DIGEST_SHOWN].to_owned());
            [row.view.clone(), row.version.to_string(), release, row.bytes.to_string(), state, digest]
        });
        output::listing(headings, lines)
    })?;
    // A view whose releases cannot be read looks like one that was never released.
    releases.problems.values().next().map_or(Ok(()), |problem| Err(registry_failure(problem.clone())))
}

async fn version_rows(registry: &Registry, releases: &Releases) -> Outcome<Vec<VersionRow>> {
    let mut rows = Vec::new();
    for view in registry.views().await.map_err(registry_failure)? {
        let release = releases.get(&view);
        for version in registry.versions(&view).await.map_err(registry_failure)? {
            rows.push(VersionRow {
                view: view.to_string(),
                version: version.version,
                digest: version.digest.to_string(),
                bytes: version.size,
                state_id: version.state_id.to_string(),
                release: release.filter(|release| release.version == version.version).map(|release| release.seq),
            });
        }
    }
    Ok(rows)
}
