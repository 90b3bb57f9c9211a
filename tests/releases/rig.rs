//! A registry, a store filled with flights, and a server whose catalog is polled when the test says so.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use trifold_eventlog::{FileLog, LogOptions};
use trifold_model::{EventTime, ViewName};
use trifold_pipeline::{Catalog, CatalogProblem, LiveViews};
use trifold_registry::Registry;
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_store::{EmbeddedStore, OnlineStore};
use trifold_stream::{NoSink, Worker, WorkerConfig};
use trifold_tests::flights;
use trifold_tests::guests::component;
use trifold_tests::live::{admit, sandbox};
use trifold_tests::online::{Online, runtime, server_config};
use trifold_tests::stores;

/// The events in the store.
pub(crate) const EVENTS: u64 = 2_000;

/// Everything but the server.
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) registry: Registry,
    pub(crate) catalog: Catalog,
    pub(crate) store: EmbeddedStore,
    publish: watch::Sender<Arc<LiveViews>>,
}

impl Rig {
    /// The first version of both views in force, and the first flights applied.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let registry = Registry::local(&dir.path().join("registry"), true).unwrap();
        let sandbox: Sandbox = sandbox(SandboxConfig::default().batch_rows_max);
        let store = stores::open(dir.path());
        let catalog = Catalog::new(registry.clone(), sandbox);
        let publish = watch::channel(Arc::default()).0;
        let mut rig = Rig { dir, runtime, registry, catalog, store, publish };
        rig.release("flight-profile", &[]);
        rig.release("aircraft", &[]);
        assert!(rig.poll().is_empty());
        rig.stream();
        rig
    }

    /// Pushes a package's component and puts it into force; the next poll learns of it.
    pub(crate) fn release(&self, package: &str, features: &[&str]) -> u64 {
        let built = component(package, features);
        let transform = admit(&built.component);
        let (view, now) = (transform.view(), EventTime(0));
        self.runtime.block_on(async {
            let pushed = self.registry.push(&built.component, view, transform.description(), now).await.unwrap();
            self.registry.release(&view.name, pushed.version.version, now).await.unwrap();
            pushed.version.version
        })
    }

    /// Looks for releases, as a server does now and then, and lets requests know.
    pub(crate) fn poll(&mut self) -> Vec<CatalogProblem> {
        let problems = self.runtime.block_on(self.catalog.poll()).unwrap();
        self.publish.send_replace(self.catalog.live());
        problems
    }

    fn stream(&self) {
        let log = FileLog::open(&flights(), LogOptions::default()).unwrap();
        let mut worker = Worker::new(log, Arc::new(self.store.clone()), NoSink, WorkerConfig::new(1));
        self.runtime.block_on(async {
            worker.restore(&self.catalog.live()).await.unwrap();
            while let Some(polled) = worker.poll(Some(EVENTS)).unwrap() {
                let step = worker.process(polled).await.unwrap();
                worker.commit(step).await.unwrap();
            }
        });
    }

    /// A server over the rig's store, or over one that stands before it.
    pub(crate) fn serve(&self, store: Arc<dyn OnlineStore>) -> Online {
        Online::start(store, self.publish.subscribe(), server_config())
    }

    /// Who may publish other versions.
    pub(crate) fn publisher(&self) -> watch::Sender<Arc<LiveViews>> {
        self.publish.clone()
    }

    /// The number of the version of a view that requests see.
    pub(crate) fn version(&self, view: &str) -> u64 {
        let name: ViewName = view.parse().unwrap();
        self.publish.borrow().views[&name].version
    }
}
