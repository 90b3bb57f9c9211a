//! The story: one view after the other is built, released, streamed, served, backfilled and compared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use trifold_server::client::Client;

use crate::args::Args;
use crate::error::DemoError;
use crate::place::Place;
use crate::report::{Report, ViewResult};
use crate::swap::{self, Load, Tally};
use crate::tell::{Story, counts, grouped, line};
use crate::trifold::{Built, Pushed, Streamed, Trifold};
use crate::up::Up;
use crate::view::{Stage, View};

/// The example crates, one view each.
const CRATES: [&str; 4] = ["flight-profile", "aircraft", "airport-load", "carrier-load"];
/// The crate with a second version, and the feature that turns it on.
const SECOND: (&str, &str) = ("flight-profile", "v2");
/// The departures, in the folder of the examples.
const DEPARTURES: &str = "flights-2013-01-02.parquet";

/// Runs the demo.
pub(crate) async fn run(args: &Args) -> Result<Report, DemoError> {
    let mut story = Story::begin();
    let place = Place::fresh(&args.out)?;
    let events = place.log_of(&args.examples.join(DEPARTURES))?;
    let stage = Stage { trifold: Trifold::new(&args.trifold, place.root()), place, events };

    let (first, second) = build(&mut story, &stage, &args.examples).await?;
    publish(&mut story, &stage, &first).await?;
    let streamed = stream(&mut story, &stage).await?;
    let departures = streamed.views.iter().map(|view| view.next_offset).max().unwrap_or(0);

    story.step("Serve: `trifold up` streams and serves from the same store");
    let mut up = Up::start(&stage.trifold, stage.events.as_os_str(), stage.place.path("up.log")).await?;
    story.detail(format!("gRPC at {}", up.url));
    let served = serve(&mut story, &stage, &up.url, streamed, &second).await;
    let (results, tally) = match served {
        Ok(served) => served,
        Err(error) => return Err(up.explain(error)),
    };
    up.stop().await?;

    let report = Report::new(departures, &results, &tally);
    let path = stage.place.path("report.json");
    report.write(&path)?;
    report.tell(&results, &tally);
    let verdict = if report.is_good() { "All agree." } else { "NOT ALL AGREE." };
    line(format!("\n{verdict} The figures are in {}", path.display()));
    Ok(report)
}

/// Builds the components of all views, and the second version of one.
async fn build(story: &mut Story, stage: &Stage, examples: &Path) -> Result<(Vec<PathBuf>, PathBuf), DemoError> {
    story.step("Build the transforms to WebAssembly components");
    let mut first = Vec::new();
    for name in CRATES {
        first.push(build_one(story, stage, &examples.join(name), &[]).await?);
    }
    let (name, feature) = SECOND;
    let second = build_one(story, stage, &examples.join(name), &["--features", feature]).await?;
    Ok((first, second))
}

async fn build_one(story: &Story, stage: &Stage, path: &Path, flags: &[&str]) -> Result<PathBuf, DemoError> {
    let flags: Vec<_> = flags.iter().map(OsStr::new).collect();
    let out = stage.place.path(if flags.is_empty() { "components/first" } else { "components/second" });
    let arguments = ["build".as_ref(), path.as_os_str(), "--out".as_ref(), out.as_os_str()];
    let built: Built = stage.trifold.run(&[&arguments[..], &flags].concat()).await?;
    let name = built.path.file_name().unwrap_or_default().display();
    story.detail(format!("{name}  {} bytes  sha256 {}", grouped(built.bytes), built.digest));
    Ok(built.path)
}

async fn publish(story: &mut Story, stage: &Stage, components: &[PathBuf]) -> Result<(), DemoError> {
    story.step("Check, push and release them");
    for component in components {
        let pushed = push(stage, component, &["--release"]).await?;
        story.detail(format!("{}@{} is in force", pushed.view, pushed.version));
    }
    Ok(())
}

/// Pushes a component; the publish gate samples the departures.
async fn push(stage: &Stage, component: &Path, flags: &[&str]) -> Result<Pushed, DemoError> {
    let sample = stage.events.join(DEPARTURES);
    let arguments = ["push".as_ref(), component.as_os_str(), "--sample".as_ref(), sample.as_os_str()];
    let flags: Vec<_> = flags.iter().map(OsStr::new).collect();
    stage.trifold.run(&[&arguments[..], &flags].concat()).await
}

async fn stream(story: &mut Story, stage: &Stage) -> Result<Streamed, DemoError> {
    story.step("Stream the departures through all views");
    let arguments = ["stream".as_ref(), "--events".as_ref(), stage.events.as_os_str()];
    let streamed: Streamed = stage.trifold.run(&arguments).await?;
    for view in &streamed.views {
        let (rows, aside) = (grouped(view.rows), counts(&view.aside));
        let aside = if aside.is_empty() { aside } else { format!("; aside: {aside}") };
        story.detail(format!(
            "{:<16} {rows} rows from {} departures{aside}",
            view.view,
            grouped(view.next_offset)
        ));
    }
    Ok(streamed)
}

/// Everything that needs the server.
async fn serve(
    story: &mut Story,
    stage: &Stage,
    url: &str,
    streamed: Streamed,
    second: &Path,
) -> Result<(Vec<ViewResult>, Tally), DemoError> {
    let mut client = Client::connect(url).await?;
    story.step("Look every entity up over gRPC, as of the latest departure");
    let mut views = Vec::new();
    for streamed in streamed.views {
        let view = View::look_up(stage, &mut client, streamed).await?;
        let (entities, statuses) = (grouped(view.keys.len() as u64), counts(&view.looked_up.statuses));
        story.detail(format!("{:<16} {entities} entities: {statuses}", view.name));
        views.push(view);
    }
    let mut results = compare(story, stage, &views).await?;
    audit(story, stage, url, &views, &mut results).await?;
    let tally = release_under_load(story, stage, &client, &views, second).await?;
    Ok((results, tally))
}

async fn compare(story: &mut Story, stage: &Stage, views: &[View]) -> Result<Vec<ViewResult>, DemoError> {
    story.step("Backfill the same departures and the same lookups, and compare row digests");
    let mut results = Vec::new();
    for view in views {
        let (backfilled, stream) = view.compare_stream(stage).await?;
        let online = view.compare_online(stage).await?;
        let (rows, statuses) = (grouped(backfilled.rows), counts(&backfilled.statuses));
        story.detail(format!("{:<16} {rows} rows: {statuses}", view.name));
        let differing = stream.differing + online.differing;
        let pairs = grouped(stream.compared + online.compared);
        story.detail(format!("{:<16} {pairs} pairs of digests, {} differ", "", grouped(differing)));
        results.push(ViewResult { view: view.name.clone(), stream, online, lookups: view.keys.len() as u64 });
    }
    Ok(results)
}

async fn audit(
    story: &mut Story,
    stage: &Stage,
    url: &str,
    views: &[View],
    results: &mut [ViewResult],
) -> Result<(), DemoError> {
    story.step("Let `trifold audit` make the same comparisons, byte for byte");
    for (view, result) in views.iter().zip(results) {
        let [emitted, online] = view.audit(stage, url).await?;
        result.stream = result.stream.audited(&emitted);
        result.online = result.online.audited(&online);
        for (name, audit) in [("emitted rows", emitted), ("online answers", online)] {
            let (compared, differing) = (grouped(audit.compared), grouped(audit.differing));
            story.detail(format!("{:<16} {compared} {name}, {differing} differ", view.name));
        }
    }
    Ok(())
}

async fn release_under_load(
    story: &mut Story,
    stage: &Stage,
    client: &Client,
    views: &[View],
    second: &Path,
) -> Result<Tally, DemoError> {
    let pushed = push(stage, second, &[]).await?;
    let (name, version) = (&pushed.view, pushed.version);
    story.step(&format!("Release {name}@{version} while lookups run"));
    let view = views.iter().find(|view| view.name == *name);
    let view = view.ok_or_else(|| DemoError::Unexpected(format!("view {name} is not served")))?;
    let release = format!("{name}@{version}");
    let after = view.replay_lookups(stage, &release, "second-version").await?;
    let expected = BTreeMap::from([(version - 1, view.looked_up.digests.clone()), (version, after)]);
    let load = Load::new(name, &view.fields, &view.keys, view.as_of, expected)?;
    let (telling, all) = (grouped(load.telling_rows()), grouped(view.keys.len() as u64));
    story.detail(format!("{telling} of {all} rows differ between the versions, so a mixed answer would show"));
    let swap = async {
        let _: serde_json::Value = stage.trifold.run(&["release".as_ref(), release.as_ref()]).await?;
        Ok(())
    };
    let tally = swap::under_load(client, load, swap).await?;
    for (version, count) in &tally.versions {
        story.detail(format!("version {version} answered {} requests", grouped(*count)));
    }
    Ok(tally)
}
