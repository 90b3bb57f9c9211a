//! `trifold status`, and telling processes of releases.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};
use trifold_eventlog::time_text;
use trifold_model::{EventTime, ViewName};
use trifold_server::admin::{AdminClient, api};

use crate::args::{Processes, Status};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::world::World;

/// How long a process may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long to wait before a process that does not run a release is asked again.
pub const ASKED_AGAIN: Duration = Duration::from_millis(100);

/// What one process says, or why it says nothing.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ProcessReport {
    process: String,
    /// Why it cannot be asked; then nothing else is known.
    problem: Option<String>,
    #[serde(flatten)]
    told: Option<Told>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Told {
    command: String,
    program: String,
    pid: u32,
    started_at: String,
    registry_problem: Option<String>,
    views: Vec<ViewReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ViewReport {
    view: String,
    version: Option<u64>,
    release: Option<u64>,
    digest: Option<String>,
    since: Option<String>,
    waiting: Option<WaitingReport>,
    /// What is tried out beside the version that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<TrialReport>,
    /// How far the states are that the process maintains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    states: Vec<StateReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StateReport {
    version: u64,
    state_id: String,
    /// What the version is tried out for, if it is not in force.
    role: Option<String>,
    applied: u64,
    known: u64,
    blocked: bool,
}

/// A version that is tried out, and what was seen of it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TrialReport {
    kind: String,
    version: u64,
    digest: String,
    since: String,
    /// Of a canary: the share of the entities that it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    serving: TallyReport,
    candidate: TallyReport,
    /// Of a shadow.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<ComparisonReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TallyReport {
    rows: u64,
    errors: u64,
    features: u64,
    nulls: u64,
    computed: u64,
    fuel: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ComparisonReport {
    rows: u64,
    differing: u64,
    statuses: u64,
    features: BTreeMap<String, u64>,
    skipped: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WaitingReport {
    release: Option<u64>,
    reason: String,
}

/// Tells what processes run.
pub async fn run(world: &World, args: Status) -> Outcome {
    let urls = addresses(world, &args.urls);
    if urls.is_empty() {
        let message = "no process is named: give the address of its `--admin`, as in http://127.0.0.1:7412, or name \
                       those that are always asked in `processes` of the section `admin` of the configuration file";
        return Err(Failure::new(Exit::Usage, message));
    }
    let asked = join_all(urls.iter().map(|url| async move { (url.clone(), ask(url, false).await) })).await;
    let reports: Vec<_> = asked.into_iter().map(|(url, status)| report(url, status)).collect();
    output::print(world.format, &reports, |reports| text(reports))?;
    match reports.iter().find_map(|report| report.problem.clone()) {
        Some(problem) => Err(Failure::new(Exit::Unavailable, problem)),
        None => Ok(()),
    }
}

/// The processes that the command line or the configuration names.
pub fn addresses<'a>(world: &'a World, named: &'a [String]) -> &'a [String] {
    if named.is_empty() { &world.config.admin.processes } else { named }
}

/// What a process says, or why it says nothing.
pub async fn ask(url: &str, look: bool) -> Result<api::GetStatusResponse, String> {
    let asked = async { AdminClient::connect(url).await?.status(look).await };
    match timeout(ANSWER_MAX, asked).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("{url} does not answer within {} s", ANSWER_MAX.as_secs())),
    }
}

fn report(process: String, status: Result<api::GetStatusResponse, String>) -> ProcessReport {
    match status {
        Ok(status) => ProcessReport { process, problem: None, told: Some(told(status)) },
        Err(problem) => ProcessReport { process, problem: Some(problem), told: None },
    }
}

fn told(status: api::GetStatusResponse) -> Told {
    let views = status.views.into_iter().map(|view| ViewReport {
        view: view.view,
        version: view.running.as_ref().map(|running| running.version),
        release: view.running.as_ref().and_then(|running| running.release),
        digest: view.running.as_ref().map(|running| hex::encode(&running.component_digest)),
        since: view.running.as_ref().map(|running| time_text(EventTime(running.since_micros))),
        waiting: view.waiting.map(|waiting| WaitingReport { release: waiting.release, reason: waiting.reason }),
        trial: view.trial.map(trial_report),
        states: view.states.into_iter().map(state_report).collect(),
    });
    Told {
        command: status.command,
        program: status.program,
        pid: status.pid,
        started_at: time_text(EventTime(status.started_at_micros)),
        registry_problem: Some(status.registry_problem).filter(|problem| !problem.is_empty()),
        views: views.collect(),
    }
}

fn trial_report(trial: api::Trial) -> TrialReport {
    let running = trial.running.unwrap_or_default();
    let tally = |tally: Option<api::Tally>| {
        let api::Tally { rows, errors, features, nulls, fuel, .. } = tally.unwrap_or_default();
        let api::FuelSums { rows: computed, fuel, .. } = fuel.unwrap_or_default();
        TallyReport { rows, errors, features, nulls, computed: computed as u64, fuel: fuel as u64 }
    };
    TrialReport {
        kind: trial.kind,
        version: running.version,
        digest: hex::encode(&running.component_digest),
        since: time_text(EventTime(running.since_micros)),
        share: Some(trial.share).filter(|share| !share.is_empty()),
        serving: tally(trial.serving),
        candidate: tally(trial.candidate),
        comparison: trial.comparison.map(|comparison| ComparisonReport {
            rows: comparison.rows,
            differing: comparison.differing,
            statuses: comparison.statuses,
            features: comparison.features.into_iter().collect(),
            skipped: comparison.skipped,
        }),
    }
}

fn state_report(kept: api::KeptState) -> StateReport {
    let api::KeptState { version, state_id, role, applied, known, blocked } = kept;
    StateReport { version, state_id, role: Some(role).filter(|role| !role.is_empty()), applied, known, blocked }
}

/// How far a state is that is built beside the one in force, in a line.
fn state_text(view: &str, state: &StateReport) -> Option<String> {
    let StateReport { version, role, applied, known, blocked, .. } = state;
    let still = if *blocked { ", and stands still" } else { "" };
    let role = role.as_ref()?;
    Some(format!("the state of {view}@{version}, a {role}, has applied {applied} of {known} events{still}"))
}

/// What was seen of a trial, in a line.
fn trial_text(view: &str, trial: &TrialReport) -> String {
    let share = trial.share.as_ref().map_or_else(String::new, |share| format!(" for {share}"));
    let tally =
        |tally: &TallyReport| format!("{} rows, {} errors, {} nulls", tally.rows, tally.errors, tally.nulls);
    let (version, kind, own, other) = (trial.version, &trial.kind, tally(&trial.candidate), tally(&trial.serving));
    let compared = trial.comparison.as_ref().map_or_else(String::new, |compared| {
        let features = compared.features.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>();
        let features = if features.is_empty() { String::new() } else { format!(" ({})", features.join(", ")) };
        let ComparisonReport { rows, differing, skipped, .. } = compared;
        format!("; of {rows} rows compared {differing} differ{features}, {skipped} could not be compared")
    });
    format!("{view}@{version} is a {kind}{share}: {own}; of the version in force {other}{compared}")
}

fn text(reports: &[ProcessReport]) -> String {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let mut rows = Vec::new();
    let mut notes = String::new();
    for report in reports {
        let Some(told) = &report.told else { continue };
        if let Some(problem) = &told.registry_problem {
            notes.push_str(&format!("\n{}: the releases cannot be read: {problem}", report.process));
        }
        if told.views.is_empty() {
            notes.push_str(&format!("\n{}: runs no view yet", report.process));
        }
        for view in &told.views {
            let digest = view.digest.as_deref().unwrap_or_default();
            rows.push([
                report.process.clone(),
                told.command.clone(),
                view.view.clone(),
                number(view.version),
                number(view.release),
                view.since.clone().unwrap_or_default(),
                digest[..digest.len().min(output::DIGEST_SHOWN)].to_owned(),
            ]);
            for state in view.states.iter().filter_map(|state| state_text(&view.view, state)) {
                notes.push_str(&format!("\n{}: {state}", report.process));
            }
            if let Some(trial) = view.trial.as_ref().filter(|trial| trial.kind != "bootstrap") {
                notes.push_str(&format!("\n{}: {}", report.process, trial_text(&view.view, trial)));
            }
            if let Some(waiting) = &view.waiting {
                notes.push_str(&format!("\n{}: {}", report.process, waiting_text(&view.view, waiting)));
            }
        }
    }
    if rows.is_empty() {
        return notes.trim_start().to_owned();
    }
    let headings = ["PROCESS", "COMMAND", "VIEW", "VERSION", "RELEASE", "SINCE", "COMPONENT"];
    output::listing(headings, rows.into_iter()) + &notes
}

fn waiting_text(view: &str, waiting: &WaitingReport) -> String {
    let release = waiting.release.map_or_else(|| "a release".to_owned(), |release| format!("release {release}"));
    format!("{release} of view {view} waits: {}", waiting.reason)
}

/// The processes that are told of a release.
pub struct Audience<'a> {
    /// Their addresses.
    pub urls: &'a [String],
    /// How long they may take; `None` if nobody waits for them.
    pub wait: Option<Duration>,
}

impl<'a> Audience<'a> {
    /// Those that the command line or the configuration names. Refuses to wait for nobody, before anything is released.
    pub fn new(world: &'a World, args: &'a Processes) -> Outcome<Self> {
        let urls = addresses(world, &args.urls);
        if args.wait.is_some() && urls.is_empty() {
            return Err(Failure::new(Exit::Usage, "`--wait` waits for processes: name them with `--process`"));
        }
        Ok(Audience { urls, wait: args.wait.map(Duration::from_secs) })
    }

    /// Has them look at the registry, and waits for them to run a release where that is asked for. Without, one that does
    /// not is told of and no failure: it looks again when it is time.
    pub async fn tell(&self, view: &ViewName, release: u64) -> Outcome {
        let deadline = Instant::now() + self.wait.unwrap_or_default();
        let told = join_all(self.urls.iter().map(|url| tell_one(url, view, release, deadline))).await;
        let mut late = None;
        for (url, problem) in self.urls.iter().zip(told) {
            match problem {
                Some(problem) if self.wait.is_some() => {
                    late.get_or_insert(format!(
                        "release {release} is recorded, but {url} does not run it: {problem}"
                    ));
                }
                Some(problem) => tracing::warn!("{url} does not run release {release} yet: {problem}"),
                None => tracing::info!("{url} runs release {release}"),
            }
        }
        late.map_or(Ok(()), |late| Err(Failure::new(Exit::Unavailable, late)))
    }
}

/// Has one process look until it runs a release: why it does not when the time is over.
async fn tell_one(url: &str, view: &ViewName, release: u64, deadline: Instant) -> Option<String> {
    loop {
        let problem = match ask(url, true).await {
            Ok(status) => does_not_run(status, view, release)?,
            Err(problem) => problem,
        };
        if Instant::now() + ASKED_AGAIN > deadline {
            return Some(problem);
        }
        sleep(ASKED_AGAIN).await;
    }
}

/// Why a process does not run a release, or a later one; `None` if it does.
fn does_not_run(status: api::GetStatusResponse, view: &ViewName, release: u64) -> Option<String> {
    let view = status.views.into_iter().find(|found| found.view == view.as_str());
    let running = view.as_ref().and_then(|view| view.running.as_ref()).and_then(|running| running.release);
    // What is to be tried out by it may wait.
    let waiting = view.as_ref().and_then(|view| view.waiting.as_ref()).and_then(|waiting| waiting.release);
    if running.is_some_and(|running| running >= release) && waiting != Some(release) {
        return None;
    }
    let reason = view.and_then(|view| view.waiting).map(|waiting| waiting.reason);
    let reason = reason.or(Some(status.registry_problem).filter(|problem| !problem.is_empty()));
    Some(reason.unwrap_or_else(|| "its registry may be another one, or it runs other views only".to_owned()))
}
