//! `trifold push`, `trifold release`, `trifold rollback` and `trifold views`.

mod bootstrap;

use serde::Serialize;
use trifold_registry::{Act, Provenance, Registry, Releases};

use super::check;
use super::status::Audience;
use crate::args::{Push, Release, Rollback, Signature};
use crate::clock;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::world::{World, named, parse_version, read_file, registry_failure};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PushReport {
    view: String,
    version: u64,
    digest: String,
    /// False when the same component had been pushed before.
    new: bool,
    release: Option<u64>,
}

/// Checks a component and registers it as a version of its view.
pub async fn push(world: &World, args: Push) -> Outcome {
    let audience = Audience::new(world, &args.processes)?;
    if args.processes.wait.is_some() && !args.release {
        return Err(Failure::new(Exit::Usage, "`--wait` waits for a release: give `--release` as well"));
    }
    let wasm = read_file(&args.component)?;
    let sandbox = world.sandbox()?;
    let transform = sandbox.admit(&wasm).map_err(named(&args.component))?;
    world.reads(transform.view(), &[]).await?;
    let earlier = world.sharing(&sandbox, &transform).await?;
    let checked = check::gate(world, &transform, &earlier, &args.samples, &args.source)?;
    if !checked.passed() {
        return Err(check::refusal(&checked));
    }
    let registry = world.registry(true)?;
    let provenance = Provenance {
        pushed: act(&args.signature),
        tools: transform.tools().to_vec(),
        gate: Some(checked.record()),
    };
    let pushed = registry
        .push(&wasm, transform.view(), transform.description(), provenance)
        .await
        .map_err(registry_failure)?;
    world.registry_id(&registry).await?;
    let view = pushed.version.view;
    let release = match args.release {
        true => {
            let release = registry.release(&view, pushed.version.version, act(&args.signature)).await;
            Some(release.map_err(registry_failure)?)
        }
        false => None,
    };
    let report = PushReport {
        view: view.to_string(),
        version: pushed.version.version,
        digest: pushed.version.digest.to_string(),
        new: pushed.new,
        release: release.as_ref().map(|release| release.seq),
    };
    output::print(world.format, &report, |report| {
        let known = if report.new { "pushed" } else { "already pushed:" };
        let (view, version) = (&report.view, report.version);
        let next = match report.release {
            Some(release) => format!("release {release} puts it into force"),
            None => format!("put it into force with `trifold release {view}@{version}`"),
        };
        format!("{known} {view}@{version}, sha256 {}\n{next}", report.digest)
    })?;
    match &release {
        Some(release) => audience.tell(release).await,
        None => Ok(()),
    }
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
}

/// Puts a version into force.
pub async fn release(world: &World, args: Release) -> Outcome {
    let audience = Audience::new(world, &args.processes)?;
    let (view, number) = parse_version(&args.version)?;
    let registry = world.registry(false)?;
    let number = match number {
        Some(number) => number,
        None => registry.latest_version(&view).await.map_err(registry_failure)?.version,
    };
    if args.bootstrap {
        return bootstrap::run(world, &audience, (&view, number), act(&args.signature)).await;
    }
    bootstrap::check_level(&registry, &audience, &view, number).await?;
    let release = registry.put_into_force(&view, number, act(&args.signature)).await.map_err(registry_failure)?;
    print_release(world, &release)?;
    audience.tell(&release).await
}

/// Takes the release in force back.
pub async fn rollback(world: &World, args: Rollback) -> Outcome {
    let audience = Audience::new(world, &args.processes)?;
    let registry = world.registry(false)?;
    let release = registry.roll_back(&args.view, act(&args.signature)).await.map_err(registry_failure)?;
    print_release(world, &release)?;
    audience.tell(&release).await
}

fn print_release(world: &World, release: &trifold_registry::Release) -> Outcome {
    let report = ReleaseReport {
        view: release.view.to_string(),
        version: release.version,
        release: release.seq,
        takes_back: release.takes_back,
        digest: release.digest.to_string(),
    };
    output::print(world.format, &report, |report| {
        let again = if report.takes_back.is_some() { " again" } else { "" };
        format!(
            "release {}: {}@{} is in force{again}, sha256 {}",
            report.release, report.view, report.version, report.digest
        )
    })
}

/// What is recorded of a change that is made now.
#[expect(clippy::disallowed_methods, reason = "who runs the command is known to its environment alone")]
fn act(signature: &Signature) -> Act {
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
