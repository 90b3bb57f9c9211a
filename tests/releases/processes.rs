//! One registry, and processes over it, each with a data directory of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use trifold_model::EventTime;
use trifold_server::admin::{AdminClient, api};
use trifold_server::client::Client;
use trifold_test_servers::free_address;
use trifold_tests::command::{Ran, Running, Trifold};
use trifold_tests::online::runtime;
use trifold_tests::rows::{self, Row};

use crate::legs::{adding, append, departures};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_trifold-under-test");

/// The views whose first versions are in force.
pub(crate) const VIEWS: [&str; 2] = ["hops", "legs"];

/// The events in the log.
pub(crate) const EVENTS: usize = 200;

/// The entities that are asked for.
const ASKED: usize = 8;

/// A registry with one version of each view in force, a log, and whoever releases.
pub(crate) struct Site {
    pub(crate) operator: Trifold,
    runtime: Runtime,
    questions: RecordBatch,
}

/// A server that looks for releases every 20 ms.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) admin: String,
}

/// What a server runs of a view: its name, version and release, and the component.
pub(crate) type Standing = (String, u64, Option<u64>, Vec<u8>);

/// What a server answers of a view: its name, version and component, and its rows.
pub(crate) type Answered = (String, u64, String, Vec<Row>);

impl Site {
    pub(crate) fn new() -> Self {
        let events = departures(EVENTS);
        let questions = questions(&events.slice(0, ASKED));
        let site = Site { operator: Trifold::new(PROGRAM), runtime: runtime(), questions };
        append(&site.log(), "0.parquet", &events);
        for view in VIEWS {
            assert_eq!(site.push(&adding(view, 0)), 1);
            site.release(view, 1, &[]);
        }
        site
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.operator.path("log")
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Pushes a component: the number of its version.
    pub(crate) fn push(&self, wasm: &[u8]) -> u64 {
        let path = self.operator.path("pushed.wasm");
        std::fs::write(&path, wasm).unwrap();
        let pushed = self.operator.run(["push", path.to_str().unwrap(), "--format", "json"]);
        pushed.succeeded().json()["version"].as_u64().unwrap()
    }

    /// Releases a version, and ends once these servers run it.
    pub(crate) fn release(&self, view: &str, version: u64, servers: &[&Server]) -> Ran {
        self.change(&["release", &format!("{view}@{version}")], servers)
    }

    /// Takes a release back, and ends once these servers run what was before it.
    pub(crate) fn roll_back(&self, view: &str, servers: &[&Server]) -> Ran {
        self.change(&["rollback", view], servers)
    }

    fn change(&self, command: &[&str], servers: &[&Server]) -> Ran {
        let told = servers.iter().flat_map(|server| ["--process", &server.admin, "--wait", "60"]);
        self.operator.run(command.iter().copied().chain(told)).succeeded()
    }

    /// A data directory for another process over the registry, with the log's events in its store.
    pub(crate) fn data(&self) -> Trifold {
        let registry = self.operator.data("registry");
        let trifold = Trifold::new(PROGRAM).with_variable("TRIFOLD_REGISTRY", registry.to_str().unwrap());
        std::fs::write(trifold.path("trifold.toml"), "[server]\npoll-interval-ms = 20\n").unwrap();
        trifold.run(["stream", "--events", self.log().to_str().unwrap()]).succeeded();
        trifold
    }

    /// What a server runs, by view. Without `look` it is not made to look at the registry.
    pub(crate) fn standings(&self, server: &Server, look: bool) -> Vec<Standing> {
        let status = self.status(server, look);
        let running = status.views.into_iter().filter_map(|view| {
            let running = view.running?;
            Some((view.view, running.version, running.release, running.component_digest))
        });
        running.collect()
    }

    pub(crate) fn status(&self, server: &Server, look: bool) -> api::GetStatusResponse {
        self.block_on(async { AdminClient::connect(&server.admin).await.unwrap().status(look).await }).unwrap()
    }

    /// What a server answers of both views.
    pub(crate) fn answers(&self, server: &Server) -> Vec<Answered> {
        self.answers_about(server, &VIEWS)
    }

    /// What a server answers of some views.
    pub(crate) fn answers_about(&self, server: &Server, views: &[&str]) -> Vec<Answered> {
        self.answers_to(&self.questions, server, views)
    }

    /// What a server answers to questions about some views.
    pub(crate) fn answers_to(&self, questions: &RecordBatch, server: &Server, views: &[&str]) -> Vec<Answered> {
        self.block_on(async { answers(&mut server.client().await, questions, views).await })
    }

    /// Asks a server about both views until somebody says stop, and at least once: all that it answered.
    pub(crate) fn keep_asking(&self, server: &Server, stop: &Arc<AtomicBool>) -> JoinHandle<BTreeSet<Answered>> {
        let (url, questions, stop) = (server.running.url.clone(), self.questions.clone(), stop.clone());
        self.runtime.spawn(async move {
            let mut client = Client::connect(&url).await.unwrap();
            let mut seen = BTreeSet::new();
            loop {
                seen.extend(answers(&mut client, &questions, &VIEWS).await);
                if stop.load(Ordering::Relaxed) {
                    return seen;
                }
            }
        })
    }
}

impl Server {
    pub(crate) fn start(data: &Trifold, command: &[&str]) -> Self {
        let address = free_address().unwrap();
        let running = data.start(command.iter().copied().chain(["--admin", &address]));
        Server { running, admin: format!("http://{address}") }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.running.url).await.unwrap()
    }
}

/// The entities of events, as the columns of a request.
pub(crate) fn questions(events: &RecordBatch) -> RecordBatch {
    let numbers = events.column_by_name("flight").unwrap().clone();
    RecordBatch::try_from_iter([("flight", numbers)]).unwrap()
}

async fn answers(client: &mut Client, questions: &RecordBatch, views: &[&str]) -> Vec<Answered> {
    let names: Vec<_> = views.iter().map(|&view| view.to_owned()).collect();
    let answer = client.get(&names, questions, Some(EventTime(0))).await.expect("no request fails");
    let answered = answer.views.iter();
    answered
        .map(|view| (view.view.clone(), view.version, view.digest.to_string(), rows::answered(&view.rows)))
        .collect()
}
