//! What commands open: configuration, registry, sandbox, store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use trifold_eventlog::SourceConfig;
use trifold_model::{FeatureView, OnDemandSpec, ViewName};
use trifold_pipeline::{LiveVersion, VersionError, Versions};
use trifold_registry::{Location, Registry, RegistryError, RegistryId, S3Settings};
use trifold_sandbox::{AdmissionError, CompileLimits, Compiler, Sandbox, SandboxConfig, SandboxError, Transform};
use trifold_store::{CACHE_BYTES, EmbeddedStore, Holder, RedisSettings, RedisStore, StoreError};

use crate::args::{COMPILE_ONE, Format, Global, Redis, Source};
use crate::clock;
use crate::config::{self, Config, SandboxSection};
use crate::environment;
use crate::exit::{Exit, Failure, OrExit, Outcome};

/// The stack of every thread that may run guests.
pub const THREAD_STACK_BYTES: usize = 4 << 20;

/// The configuration in force and the runtime that commands share.
pub struct World {
    /// The configuration: defaults, file, environment and flags.
    pub config: Config,
    /// The form of what is printed.
    pub format: Format,
    runtime: Runtime,
}

impl World {
    /// Loads the configuration and starts the runtime.
    pub fn new(global: &Global) -> Outcome<Self> {
        let mut config = config::load(global.config.as_deref())?;
        if let Some(dir) = &global.data_dir {
            config.data_dir.clone_from(dir);
        }
        if let Some(registry) = global.registry.as_ref().filter(|registry| !registry.is_empty()) {
            config.registry.clone_from(registry);
        }
        if !global.trusted_keys.is_empty() {
            config.signatures.trusted_keys.clone_from(&global.trusted_keys);
        }
        if let Some(filter) = &global.log {
            config.log.filter.clone_from(filter);
        }
        if let Some(form) = &global.log_format {
            config.log.format.clone_from(form);
        }
        if config.data_dir.is_file() {
            let dir = config.data_dir.display();
            return Err(Failure::new(Exit::Io, format!("{dir} is a file: name a directory with --data-dir")));
        }
        // Guests run on these threads, whose stack must hold the megabyte that the sandbox gives a guest.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_stack_size(THREAD_STACK_BYTES)
            .build()
            .or_exit(Exit::Internal)?;
        Ok(World { config, format: global.format, runtime })
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A handle of the runtime, for threads of their own.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }

    /// Turns true once the process is asked to stop, by an interrupt or a termination signal.
    pub fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop_channel().1
    }

    /// As [`World::stop_signal`], with the sender, by which the process can stop itself.
    pub fn stop_channel(&self) -> (watch::Sender<bool>, watch::Receiver<bool>) {
        let (stop, stopped) = watch::channel(false);
        let sender = stop.clone();
        self.runtime.spawn(async move {
            signalled().await;
            let _ = sender.send(true);
        });
        (stop, stopped)
    }

    /// A directory or file of the data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.config.data_dir.join(name)
    }

    fn make_data_dir(&self) -> Outcome {
        std::fs::create_dir_all(&self.config.data_dir).map_err(|error| {
            let dir = self.config.data_dir.display();
            let message = format!("cannot make the data directory {dir}: {error}; name another with --data-dir");
            Failure::new(Exit::Io, message)
        })
    }

    /// The registry. Only commands that write to it make it.
    pub fn registry(&self, create: bool) -> Outcome<Registry> {
        let location = match self.config.registry.as_str() {
            "" => {
                if create {
                    self.make_data_dir()?;
                }
                Location::Path(self.data("registry"))
            }
            place => place.parse().or_exit(Exit::Usage)?,
        };
        let new = create.then(new_registry_id).transpose()?;
        let registry = Registry::open(&location, &self.s3(), new).map_err(registry_failure)?;
        Ok(registry.trusting(self.config.signatures.trusted_keys.iter().copied().collect()))
    }

    /// How the registry's object store is reached, if it is in one.
    fn s3(&self) -> S3Settings {
        let section = &self.config.s3;
        let said = |text: &String| (!text.is_empty()).then(|| text.clone());
        S3Settings {
            endpoint: said(&section.endpoint),
            region: said(&section.region),
            allow_http: section.allow_http,
            virtual_hosted_style: section.virtual_hosted_style,
            environment: environment::aws(),
        }
    }

    /// What tells the registry from others, made now if it has none.
    pub async fn registry_id(&self, registry: &Registry) -> Outcome<RegistryId> {
        registry.id(&new_registry_id()?).await.map_err(registry_failure)
    }

    /// The sandbox with its compile cache.
    pub fn sandbox(&self) -> Outcome<Sandbox> {
        self.make_data_dir()?;
        let section = &self.config.sandbox;
        let config = SandboxConfig {
            cache_dir: Some(self.data("cache")),
            instances_max: section.instances_max,
            component_bytes_max: section.component_bytes_max,
            compiler: Some(compiler(section)?),
            ..SandboxConfig::default()
        };
        Sandbox::new(config).map_err(|error| {
            let exit = if matches!(error, SandboxError::Cache(_)) { Exit::Io } else { Exit::Internal };
            Failure { exit, error: error.into() }
        })
    }

    /// The embedded store, for this process alone.
    pub fn store(&self, command: &str) -> Outcome<Arc<EmbeddedStore>> {
        self.make_data_dir()?;
        open_store(&self.data("store.redb"), command, CACHE_BYTES)
    }

    /// The Redis that is named by a flag, the environment or the file, if one is.
    pub fn redis(&self, args: &Redis) -> Option<RedisSettings> {
        let section = &self.config.redis;
        let urls = if args.redis.is_empty() { &section.urls } else { &args.redis };
        (!urls.is_empty()).then(|| RedisSettings {
            urls: urls.clone(),
            cluster: args.redis_cluster || section.cluster,
            user: section.user.clone(),
            password: section.password.clone(),
            ca_file: (!section.ca.as_os_str().is_empty()).then(|| section.ca.clone()),
            prefix: section.prefix.clone(),
            timeout: Duration::from_millis(section.timeout_ms),
        })
    }

    /// What the columns of events mean: flags and environment go before the file.
    pub fn source(&self, source: &Source) -> SourceConfig {
        let section = &self.config.source;
        let arrival = source.arrival.as_ref().unwrap_or(&section.arrival);
        SourceConfig {
            event_time: source.event_time.as_ref().unwrap_or(&section.event_time).clone(),
            event_id: source.event_id.as_ref().unwrap_or(&section.event_id).clone(),
            arrival: (!arrival.is_empty()).then(|| arrival.clone()),
        }
    }

    /// Whether events without arrival count as on time.
    pub fn assume_on_time(&self, source: &Source) -> bool {
        source.assume_on_time || self.config.source.assume_on_time
    }

    /// The versions of the registry, as they are asked for.
    pub fn versions(&self) -> Outcome<Versions> {
        Ok(Versions::new(self.registry(false)?, self.sandbox()?))
    }

    /// A version of a view from the registry, ready to run: `view@3`, or `view` for the release in force.
    pub async fn version(&self, name: &str) -> Outcome<LiveVersion> {
        let (view, number) = parse_version(name)?;
        self.versions()?.version(&view, number).await.map_err(version_failure)
    }

    /// The versions that an on-demand view reads, by the name of their view: those that `pinned` names, else those in
    /// force, and of a view that nothing was released of the newest. Refuses a view that asks for what they do not give.
    /// None for a view of another kind.
    pub async fn reads(&self, view: &FeatureView, pinned: &[String]) -> Outcome<Vec<LiveVersion>> {
        let names = view.on_demand().map(OnDemandSpec::views).unwrap_or_default();
        let pinned = pinned_reads(view, &names, pinned)?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.versions()?.reads(view, &pinned).await.map_err(version_failure)
    }

    /// The versions that a component is tried beside before it is published; none where there is no registry yet, unless
    /// it reads other views.
    pub async fn beside(&self, sandbox: &Sandbox, transform: &Transform) -> Outcome<Vec<(u64, Transform)>> {
        let registry = match self.registry(false) {
            Err(failure) if failure.exit == Exit::NotFound && transform.view().on_demand().is_none() => {
                return Ok(Vec::new());
            }
            registry => registry?,
        };
        Versions::new(registry, sandbox.clone()).beside(transform).await.map_err(version_failure)
    }
}

/// What no other registry is known by.
fn new_registry_id() -> Outcome<RegistryId> {
    format!("{:x}-{:x}", clock::now().0, std::process::id()).parse().or_exit(Exit::Internal)
}

/// An embedded store, for this process alone, with so many bytes of pages in memory.
pub fn open_store(path: &Path, command: &str, cache_bytes: usize) -> Outcome<Arc<EmbeddedStore>> {
    let holder = Holder { pid: std::process::id(), command: format!("trifold {command}"), since: clock::now() };
    EmbeddedStore::open_with(path, &holder, cache_bytes).map(Arc::new).map_err(|error| {
        let exit = match error {
            StoreError::Held { .. } => Exit::Unavailable,
            _ => Exit::Io,
        };
        Failure { exit, error: error.into() }
    })
}

/// This program once more, as it calls itself to compile.
fn compiler(section: &SandboxSection) -> Outcome<Compiler> {
    // Another file may have taken this one's place since it was started, and compile to code that does not load here.
    let running = Path::new("/proc/self/exe");
    let program =
        if running.exists() { running.to_owned() } else { std::env::current_exe().or_exit(Exit::Internal)? };
    let limits = CompileLimits {
        seconds: section.compile_seconds,
        memory_bytes: section.compile_memory_mib.saturating_mul(1 << 20),
    };
    Ok(Compiler { program, arguments: vec![COMPILE_ONE.into()], limits })
}

/// The versions that are named for views that an on-demand view reads, by view.
fn pinned_reads(
    view: &FeatureView,
    reads: &BTreeSet<&ViewName>,
    pinned: &[String],
) -> Outcome<BTreeMap<ViewName, u64>> {
    let mut versions = BTreeMap::new();
    for text in pinned {
        let (name, number) = parse_version(text)?;
        let problem = match number {
            _ if !reads.contains(&name) => {
                let known: Vec<_> = reads.iter().map(|name| name.as_str()).collect();
                let known = if known.is_empty() { "no view".to_owned() } else { known.join(", ") };
                format!("view {} reads {known}", view.name)
            }
            None => format!("write VIEW@N, as in `{name}@2`"),
            Some(number) => match versions.insert(name, number) {
                None => continue,
                Some(_) => "the view is named twice".to_owned(),
            },
        };
        return Err(Failure::new(Exit::Usage, format!("`--reads {text}`: {problem}")));
    }
    Ok(versions)
}

/// Splits `view@3`.
pub fn parse_version(text: &str) -> Outcome<(ViewName, Option<u64>)> {
    let (view, number) = match text.split_once('@') {
        None => (text, None),
        Some((view, number)) => {
            let number = number.parse().map_err(|_| {
                Failure::new(Exit::Usage, format!("`{text}` names no version: write VIEW@N, as in `{view}@2`"))
            })?;
            (view, Some(number))
        }
    };
    Ok((view.parse().or_exit(Exit::Usage)?, number))
}

/// Reads a whole file, naming it when that fails.
pub fn read_file(path: &Path) -> Outcome<Vec<u8>> {
    if path.is_dir() {
        return Err(Failure::new(Exit::Usage, format!("{} is a directory, and a file is wanted", path.display())));
    }
    std::fs::read(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Io };
        Failure::new(exit, format!("cannot read {}: {error}", path.display()))
    })
}

/// Connects to a Redis.
pub async fn open_redis(settings: &RedisSettings) -> Outcome<RedisStore> {
    RedisStore::open(settings).await.map_err(|error| Failure { exit: redis_exit(&error), error: error.into() })
}

/// The exit code of the error of a store elsewhere.
pub fn redis_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::Setting { .. } | StoreError::OtherSource { .. } => Exit::Usage,
        StoreError::Remote { .. } => Exit::Unavailable,
        _ => Exit::Data,
    }
}

/// The exit code of a registry's error.
pub fn registry_failure(error: RegistryError) -> Failure {
    let exit = match &error {
        error if error.is_unknown() => Exit::NotFound,
        RegistryError::Untrusted { .. } => Exit::Refused,
        RegistryError::Missing { .. } | RegistryError::MissingBucket { .. } => Exit::NotFound,
        RegistryError::Serves { .. }
        | RegistryError::NothingBeside { .. }
        | RegistryError::Everybody { .. }
        | RegistryError::InUse { .. }
        | RegistryError::Retired { .. } => Exit::Refused,
        RegistryError::Settings { .. } | RegistryError::Unguarded { .. } => Exit::Usage,
        error if error.is_damage() => Exit::Data,
        error if error.is_passing() => Exit::Unavailable,
        _ => Exit::Io,
    };
    Failure { exit, error: error.into() }
}

/// The exit code of a version that is not there to run.
pub fn version_failure(error: VersionError) -> Failure {
    let exit = match error {
        VersionError::Registry(error) => return registry_failure(error),
        VersionError::Admission(_) => Exit::Data,
        VersionError::NotInForce { .. } => Exit::NotFound,
        VersionError::Reads(_) => Exit::Refused,
    };
    Failure { exit, error: error.into() }
}

/// Names the file of a component that is not admitted.
pub fn named(path: &Path) -> impl FnOnce(AdmissionError) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::new(Exit::Data, format!("{path}: {error}"))
}

/// Completes at the first interrupt or termination signal; never where signals cannot be had.
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
