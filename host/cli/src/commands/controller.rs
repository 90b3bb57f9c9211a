//! `trifold controller`: takes the steps of canaries while they do well, and takes them back when they do not.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use tokio::time::Instant;
use trifold_model::ViewName;
use trifold_pipeline::{Health, Margins, Tally, judge};
use trifold_registry::{Candidate, Registry, RegistryError, Release, Trial};
use trifold_server::admin::api;
use trifold_server::admin::messages::read_tally;

use super::registry::{act, print_release};
use super::status::{Audience, addresses, ask};
use crate::args::{Controller, Processes, Signature};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::world::{World, registry_failure};

/// Controls canaries until it is told to stop, or until there are none where that is asked for.
pub fn run(world: &World, args: Controller) -> Outcome {
    let urls = addresses(world, &args.urls).to_vec();
    if urls.is_empty() {
        let message = "no process is named: give the addresses of the `--admin` of all that serve, as in --process \
                       http://127.0.0.1:7412, or name them in `processes` of the section `admin` of the configuration file";
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut stop = world.stop_signal();
    let mut controlling = Controlling::new(world, urls, args)?;
    world.block_on(async move {
        tokio::select! {
            done = controlling.run() => done,
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    })
}

struct Controlling<'a> {
    world: &'a World,
    registry: Registry,
    urls: Vec<String>,
    views: Vec<ViewName>,
    signature: Signature,
    until_done: bool,
    margins: Margins,
    /// Since when all processes run a release, by this process's own clock: what others recorded is by theirs.
    held: BTreeMap<ViewName, (u64, Instant)>,
    /// What was said of each view last.
    said: BTreeMap<ViewName, String>,
    /// Canaries that were taken back.
    taken_back: Vec<String>,
}

/// What is known of a canary now.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Finding<'a> {
    view: &'a str,
    release: u64,
    version: u64,
    finding: &'a str,
}

/// What the processes say of a canary.
#[derive(Default)]
struct Seen {
    serving: Tally,
    candidate: Tally,
    /// Why processes do not run it, by process.
    absent: BTreeMap<String, String>,
}

impl<'a> Controlling<'a> {
    fn new(world: &'a World, urls: Vec<String>, args: Controller) -> Outcome<Self> {
        let section = &world.config.controller;
        Ok(Controlling {
            world,
            registry: world.registry(false)?,
            urls,
            views: args.views,
            signature: args.signature,
            until_done: args.until_done,
            margins: Margins {
                rows_min: section.rows_min,
                errors: section.errors,
                nulls: section.nulls,
                fuel: section.fuel,
                latency: section.latency,
            },
            held: BTreeMap::new(),
            said: BTreeMap::new(),
            taken_back: Vec::new(),
        })
    }

    async fn run(&mut self) -> Outcome {
        for view in &self.views {
            self.registry.latest_version(view).await.map_err(registry_failure)?;
        }
        let interval = Duration::from_millis(self.world.config.controller.interval_ms);
        loop {
            let is_done = match self.look().await {
                Err(error) if !error.is_passing() => return Err(registry_failure(error)),
                Err(error) => {
                    tracing::warn!("the releases cannot be read: {error}");
                    false
                }
                Ok(canaries) => canaries == 0,
            };
            if is_done && self.until_done {
                return match self.taken_back.is_empty() {
                    true => Ok(()),
                    false => Err(Failure::new(Exit::Refused, self.taken_back.join("\n"))),
                };
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// Looks at every canary once, and says how many there are left.
    async fn look(&mut self) -> Result<usize, RegistryError> {
        let releases = self.registry.releases().await?;
        for (view, problem) in &releases.problems {
            tracing::warn!("view {view}: {problem}");
        }
        let mut canaries = 0;
        for release in releases.views.values() {
            if !self.views.is_empty() && !self.views.contains(&release.view) {
                continue;
            }
            if let Some(Candidate { version, trial: Trial::Canary { .. }, .. }) = release.candidate {
                match self.control(release, version).await {
                    // Somebody else has decided, and is heard at the next look.
                    Ok(()) | Err(RegistryError::Overtaken { .. }) => canaries += 1,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(canaries)
    }

    /// Decides about one canary.
    async fn control(&mut self, release: &Release, version: u64) -> Result<(), RegistryError> {
        let seen = self.seen(release).await;
        match judge(&seen.serving, &seen.candidate, &self.margins) {
            Health::Unhealthy(excesses) => {
                let reasons = excesses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                self.take_back(release, version, &reasons).await
            }
            Health::Unknown { rows, rows_min } => {
                let absent = absent_text(&seen.absent);
                self.say(release, version, format!("{rows} of {rows_min} rows that decide were seen{absent}"));
                Ok(())
            }
            Health::Healthy if !seen.absent.is_empty() => {
                self.held.remove(&release.view);
                self.say(release, version, format!("does well so far{}", absent_text(&seen.absent)));
                Ok(())
            }
            Health::Healthy => self.hold_or_advance(release, version, &seen).await,
        }
    }

    async fn hold_or_advance(
        &mut self,
        release: &Release,
        version: u64,
        seen: &Seen,
    ) -> Result<(), RegistryError> {
        let held = self.held.entry(release.view.clone()).or_insert_with(|| (release.seq, Instant::now()));
        if held.0 != release.seq {
            *held = (release.seq, Instant::now());
        }
        let since = held.1.elapsed();
        let Some(Candidate { trial: Trial::Canary { steps, .. }, .. }) = &release.candidate else { return Ok(()) };
        let Some(hold) = steps.hold.map(Duration::from_secs) else {
            self.say(release, version, "does well, and has no next step".to_owned());
            return Ok(());
        };
        if since < hold {
            self.say(release, version, format!("does well, and is held for {} s", hold.as_secs()));
            return Ok(());
        }
        let note = format!("the canary did well over {} rows", seen.candidate.rows);
        if let Some(next) = self.registry.advance(release, act(&self.signed(note))).await? {
            self.tell(&next).await;
        }
        Ok(())
    }

    async fn take_back(&mut self, release: &Release, version: u64, reasons: &str) -> Result<(), RegistryError> {
        let note = format!("the canary {}@{version} is taken back: {reasons}", release.view);
        let back = self.registry.take_back(release, act(&self.signed(note.clone()))).await?;
        self.say(release, version, format!("is taken back: {reasons}"));
        self.taken_back.push(note);
        self.tell(&back).await;
        Ok(())
    }

    /// Who takes a step, and why.
    fn signed(&self, note: String) -> Signature {
        let by = self.signature.by.clone().or_else(|| Some("trifold controller".to_owned()));
        let note = self.signature.note.as_ref().map_or(note.clone(), |said| format!("{said}: {note}"));
        Signature { by, note: Some(note) }
    }

    /// Prints a release, and has the processes look at it.
    async fn tell(&self, release: &Release) {
        if let Err(failure) = print_release(self.world, release) {
            tracing::warn!("{}", failure.text());
        }
        let processes = Processes { urls: self.urls.clone(), wait: None };
        if let Ok(audience) = Audience::new(self.world, &processes)
            && let Err(failure) = audience.tell(&release.view, release.seq).await
        {
            tracing::warn!("{}", failure.text());
        }
    }

    /// Says what is known of a canary, unless it said just that before.
    fn say(&mut self, release: &Release, version: u64, finding: String) {
        if self.said.get(&release.view) == Some(&finding) {
            return;
        }
        let view = release.view.as_str();
        let line = Finding { view, release: release.seq, version, finding: &finding };
        let said = output::line(self.world.format, &line, |line| {
            format!("release {}: the canary {}@{} {}", line.release, line.view, line.version, line.finding)
        });
        if let Err(failure) = said {
            tracing::warn!("{}", failure.text());
        }
        self.said.insert(release.view.clone(), finding);
    }

    /// What all processes have seen of a canary since they run this release of it.
    async fn seen(&self, release: &Release) -> Seen {
        let mut seen = Seen::default();
        let asked = join_all(self.urls.iter().map(|url| ask(url, false))).await;
        for (url, status) in self.urls.iter().zip(asked) {
            match status.and_then(|status| trial_of(status, release)) {
                Ok(trial) => {
                    seen.serving.append(&read_tally(&trial.serving.unwrap_or_default()));
                    seen.candidate.append(&read_tally(&trial.candidate.unwrap_or_default()));
                }
                Err(problem) => drop(seen.absent.insert(url.clone(), problem)),
            }
        }
        seen
    }
}

/// What a process says of the canary of a release, or why it does not run it.
fn trial_of(status: api::GetStatusResponse, release: &Release) -> Result<api::Trial, String> {
    let view = status.views.into_iter().find(|view| view.view == release.view.as_str());
    let view = view.ok_or_else(|| "it does not run the view".to_owned())?;
    let is_meant =
        |trial: &api::Trial| trial.running.as_ref().is_some_and(|running| running.release == Some(release.seq));
    let waiting = view.waiting.map(|waiting| waiting.reason);
    view.trial.filter(is_meant).ok_or_else(|| waiting.unwrap_or_else(|| "it runs another release".to_owned()))
}

fn absent_text(absent: &BTreeMap<String, String>) -> String {
    absent.iter().map(|(url, problem)| format!("; not at {url}: {problem}")).collect()
}
