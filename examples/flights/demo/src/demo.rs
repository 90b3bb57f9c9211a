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

/// The example crates whose views are streamed, one each.
const CRATES: [&str; 4] = ["flight-profile", "aircraft", "airport-load", "carrier-load"];
/// The crate whose view is computed when it is asked for, from the request and a view of those above.
const ON_DEMAND: &str = "departure-context";
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

    let built = build(&mut story, &stage, &args.examples).await?;
    let on_demand = publish(&mut story, &stage, &built).await?;
    let streamed = stream(&mut story, &stage).await?;
    let departures = streamed.views.iter().map(|view| view.next_offset).max().unwrap_or(0);

    story.step("Serve: `trifold up` streams and serves from the same store");
    let mut up = Up::start(&stage.trifold, stage.events.as_os_str(), stage.place.path("up.log")).await?;
    story.detail(format!("gRPC at {}", up.url));
    let served = serve(&mut story, &stage, &up.url, streamed, &on_demand, &built.second).await;
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

/// The components.
struct Components {
    /// The first versions of the views that are streamed.
    first: Vec<PathBuf>,
    on_demand: PathBuf,
    /// The second version of one view.
    second: PathBuf,
}

async fn build(story: &mut Story, stage: &Stage, examples: &Path) -> Result<Components, DemoError> {
    story.step("Build the transforms to WebAssembly components");
    let mut first = Vec::new();
    for name in CRATES {
        first.push(build_one(story, stage, &examples.join(name), &[]).await?);
    }
    let on_demand = build_one(story, stage, &examples.join(ON_DEMAND), &[]).await?;
    let (name, feature) = SECOND;
    let second = build_one(story, stage, &examples.join(name), &["--features", feature]).await?;
    Ok(Components { first, on_demand, second })
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

/// Publishes all first versions. Returns the name of the on-demand view.
async fn publish(story: &mut Story, stage: &Stage, components: &Components) -> Result<String, DemoError> {
    story.step("Check, push and release them");
    // The publish gate samples the departures; requests are generated.
    let departures = stage.events.join(DEPARTURES);
    let sample = ["--sample".as_ref(), departures.as_os_str()];
    for component in &components.first {
        push(story, stage, component, &[&sample[..], &["--release".as_ref()]].concat()).await?;
    }
    Ok(push(story, stage, &components.on_demand, &["--release".as_ref()]).await?.view)
}

async fn push(story: &Story, stage: &Stage, component: &Path, flags: &[&OsStr]) -> Result<Pushed, DemoError> {
    let arguments = ["push".as_ref(), component.as_os_str()];
    let pushed: Pushed = stage.trifold.run(&[&arguments[..], flags].concat()).await?;
    let state = if flags.contains(&"--release".as_ref()) { "in force" } else { "registered" };
    story.detail(format!("{}@{} is {state}", pushed.view, pushed.version));
    Ok(pushed)
}

async fn stream(story: &mut Story, stage: &Stage) -> Result<Streamed, DemoError> {
    story.step("Stream the departures through all views");
    let arguments = ["stream".as_ref(), "--events".as_ref(), stage.events.as_os_str()];
    let streamed: Streamed = stage.trifold.run(&arguments).await?;
    for view in &streamed.views {
        let (rows, aside) = (grouped(view.rows), counts(&view.aside));
        let aside = if aside.is_empty() { aside } else { format!("; aside: {aside}") };
        story.detail(format!(
            "{:<17} {rows} rows from {} departures{aside}",
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
    on_demand: &str,
    second: &Path,
) -> Result<(Vec<ViewResult>, Tally), DemoError> {
    let mut client = Client::connect(url).await?;
    story.step("Look every entity up over gRPC, as of the latest departure");
    let mut views = Vec::new();
    let next = streamed.views.iter().map(|view| view.next_offset).max().unwrap_or(0);
    for streamed in streamed.views {
        let view = View::look_up(stage, &mut client, streamed).await?;
        tell_lookups(story, &view, "entities");
        views.push(view);
    }
    story.step("Ask the on-demand view about a sample of the departures");
    let view = View::request(stage, &mut client, on_demand, next).await?;
    tell_lookups(story, &view, "requests");
    views.push(view);
    let mut results = compare(story, stage, &views).await?;
    audit(story, stage, url, &views, &mut results).await?;
    let tally = release_under_load(story, stage, &client, &views, second).await?;
    Ok((results, tally))
}

fn tell_lookups(story: &Story, view: &View, what: &str) {
    let (rows, statuses) = (grouped(view.columns.num_rows() as u64), counts(&view.looked_up.statuses));
    story.detail(format!("{:<17} {rows} {what}: {statuses}", view.name));
}

async fn compare(story: &mut Story, stage: &Stage, views: &[View]) -> Result<Vec<ViewResult>, DemoError> {
    story.step("Backfill the same departures and the same lookups, and compare row digests");
    let mut results = Vec::new();
    for view in views {
        let stream = view.compare_stream(stage).await?;
        let (replayed, online) = view.compare_online(stage).await?;
        let (backfilled, stream) = stream.map_or((replayed, None), |(rows, found)| (rows, Some(found)));
        let (rows, statuses) = (grouped(backfilled.rows), counts(&backfilled.statuses));
        story.detail(format!("{:<17} {rows} rows: {statuses}", view.name));
        let sides = || stream.into_iter().chain([online]);
        let differing = sides().map(|side| side.differing).sum();
        let pairs = grouped(sides().map(|side| side.compared).sum());
        story.detail(format!("{:<17} {pairs} pairs of digests, {} differ", "", grouped(differing)));
        let lookups = view.columns.num_rows() as u64;
        results.push(ViewResult { view: view.name.clone(), stream, online, lookups });
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
        let (emitted, online) = view.audit(stage, url).await?;
        result.stream = result.stream.zip(emitted.as_ref()).map(|(found, audit)| found.audited(audit));
        result.online = result.online.audited(&online);
        let emitted = emitted.map(|audit| ("emitted rows", audit));
        for (name, audit) in emitted.into_iter().chain([("online answers", online)]) {
            let (compared, differing) = (grouped(audit.compared), grouped(audit.differing));
            story.detail(format!("{:<17} {compared} {name}, {differing} differ", view.name));
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
    story.step("Push a second version, and release it while lookups run");
    let departures = stage.events.join(DEPARTURES);
    let pushed = push(story, stage, second, &["--sample".as_ref(), departures.as_os_str()]).await?;
    let (name, version) = (&pushed.view, pushed.version);
    let view = views.iter().find(|view| view.name == *name);
    let view = view.ok_or_else(|| DemoError::Unexpected(format!("view {name} is not served")))?;
    let release = format!("{name}@{version}");
    let (_, after) = view.replay_lookups(stage, &release, "second-version").await?;
    let expected = BTreeMap::from([(version - 1, view.looked_up.digests.clone()), (version, after)]);
    let load = Load::new(name, &view.columns, view.as_of, expected);
    let (telling, all) = (grouped(load.telling_rows()), grouped(view.columns.num_rows() as u64));
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
