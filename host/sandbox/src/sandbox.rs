//! The engine, and how a component gets in.

use std::sync::Arc;

use trifold_model::{ComponentDigest, ErrorCode, FeatureView, RowLimits, ViewKind};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::admission::{self, World};
use crate::applied::Verdict;
use crate::cache::CompileCache;
use crate::call::{Allowance, Code, Instance, Stop};
use crate::compile::CompileError;
use crate::config::{self, SandboxConfig, WARM_INSTANCES_MAX};
use crate::describe;
use crate::error::{AdmissionError, SandboxError};
use crate::host::{self, Host};
use crate::limits::{DESCRIBE_FUEL, DESCRIPTION_BYTES};
use crate::nan;
use crate::permits::Permits;
use crate::producers;
use crate::transform::{Admitted, Transform};

/// Compiles and runs transforms. One engine for all of them; cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

/// What the transforms of a sandbox share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) config: SandboxConfig,
    pub(crate) calls: Permits,
    pub(crate) warm: Permits,
    linker: Linker<Host>,
    cache: Option<CompileCache>,
}

impl Sandbox {
    /// Starts an engine. It reserves the address space of all instances, and memory for none.
    pub fn new(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        let refused = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let engine = Engine::new(&config::engine_config(&config)).map_err(refused)?;
        let linker = host::linker(&engine).map_err(refused)?;
        let cache = config.cache_dir.as_deref().map(|directory| CompileCache::open(directory, &engine));
        Ok(Sandbox(Arc::new(Shared {
            cache: cache.transpose()?,
            calls: Permits::new(config.instances_max.max(1)),
            warm: Permits::new(WARM_INSTANCES_MAX),
            engine,
            config,
            linker,
        })))
    }

    /// Checks a component, compiles it or takes it from the cache, and asks it what it computes.
    pub fn admit(&self, wasm: &[u8]) -> Result<Transform, AdmissionError> {
        let shared = &self.0;
        let world = admission::check(wasm, shared.config.component_bytes_max)?;
        let digest = ComponentDigest::of(wasm);
        let [component, copy] = shared.components(digest, wasm)?;
        let few_rows = Code::link(&shared.linker, &component, world)?;
        let many_rows = Code::link(&shared.linker, &copy, world)?;
        let Described { description, memory_initial } = shared.describe(digest, &few_rows)?;
        let view = describe::parse(digest, &description)?;
        check_world(&view, world)?;
        check_memory(&view, memory_initial)?;
        let tools = producers::tools(wasm);
        let admitted = Admitted { few_rows, many_rows, digest, view, description, tools, memory_initial };
        Ok(Transform::new(shared.clone(), admitted))
    }
}

struct Described {
    description: String,
    memory_initial: u64,
}

impl Shared {
    /// A component's code, loaded twice: the pool tells one from the other.
    fn components(&self, digest: ComponentDigest, wasm: &[u8]) -> Result<[Component; 2], AdmissionError> {
        if let Some(code) = self.cache.as_ref().and_then(|cache| cache.load(digest)) {
            match self.load(&code) {
                Ok(components) => return Ok(components),
                Err(error) => {
                    tracing::warn!(component = %digest, "the cached code does not load; recompiling: {error:#}")
                }
            }
        }
        let code = self.compile(digest, wasm)?;
        if let Some(cache) = &self.cache {
            cache.store(digest, &code);
        }
        self.load(&code).map_err(|error| AdmissionError::Compile { digest, message: format!("{error:#}") })
    }

    fn load(&self, code: &[u8]) -> wasmtime::Result<[Component; 2]> {
        #[expect(
            unsafe_code,
            reason = "the code comes from this engine, from a compiler that the host's owner named, or from a cache \
                      whose directory is private, whose names cover the component, the engine and our settings, and \
                      whose hashes cover every byte"
        )]
        let load = || unsafe { Component::deserialize(&self.engine, code) };
        Ok([load()?, load()?])
    }

    fn compile(&self, digest: ComponentDigest, wasm: &[u8]) -> Result<Vec<u8>, AdmissionError> {
        validate(wasm)?;
        let rewritten = nan::rewrite_component(wasm)?;
        let code = match &self.config.compiler {
            Some(compiler) => compiler.compile(&rewritten),
            None => {
                let code = self.engine.precompile_component(&rewritten);
                code.map_err(|error| CompileError::Refused(format!("{error:#}")))
            }
        };
        code.map_err(|error| match error {
            CompileError::Refused(message) => AdmissionError::Compile { digest, message },
            CompileError::Limit(limit, value) => AdmissionError::CompileLimit { digest, limit, value },
            CompileError::Broken(message) => AdmissionError::Compiler { digest, message },
        })
    }

    /// Calls `describe` in a fresh instance, with what one row may have at most.
    fn describe(&self, digest: ComponentDigest, code: &Arc<Code>) -> Result<Described, AdmissionError> {
        let allowance = Allowance { fuel: DESCRIBE_FUEL, memory_bytes: config::memory_bytes_max() };
        let failed = |stop: Stop| AdmissionError::DescribeFailed { digest, message: with_limit(stop) };
        let permit = self.calls.acquire();
        let name = format!("component {}", digest.short()).into();
        let instance = Instance::new(&self.engine, code.clone(), name, allowance, Some(permit));
        let mut instance = instance.map_err(|(stop, _)| failed(stop))?;
        let memory_initial = instance.usage().memory_bytes as u64;
        instance.check_types().map_err(|(name, error)| AdmissionError::WrongType {
            name: name.to_owned(),
            message: format!("{error:#}"),
        })?;
        let description = instance.describe().map_err(failed)?;
        if description.len() > DESCRIPTION_BYTES {
            let message =
                format!("description limit of {DESCRIPTION_BYTES} bytes reached: it has {}", description.len());
            return Err(AdmissionError::DescribeText { digest, message });
        }
        Ok(Described { description, memory_initial })
    }
}

/// The engine validates too, but its error has no place.
fn validate(wasm: &[u8]) -> Result<(), AdmissionError> {
    let mut validator = wasmparser::Validator::new_with_features(nan::FEATURES);
    validator
        .validate_all(wasm)
        .map(drop)
        .map_err(|error| AdmissionError::Invalid { offset: error.offset(), message: error.message().to_owned() })
}

fn with_limit(stop: Stop) -> String {
    match stop.verdict {
        Verdict::Error(ErrorCode::MEMORY) => {
            format!("{} (of {} for describe)", stop.message, RowLimits::MEMORY_BYTES.end())
        }
        _ => stop.message,
    }
}

/// What a component says it is must be what it can do.
fn check_world(view: &FeatureView, world: World) -> Result<(), AdmissionError> {
    let fits = match view.kind {
        ViewKind::Window(_) => world == World::Window,
        ViewKind::Row | ViewKind::OnDemand(_) => world == World::Row,
    };
    if fits {
        return Ok(());
    }
    let exports = match world {
        World::Row => "row-transform",
        World::Window => "window-transform",
    };
    Err(AdmissionError::OtherWorld { view: view.name.clone(), kind: view.kind.name(), world: exports })
}

fn check_memory(view: &FeatureView, initial: u64) -> Result<(), AdmissionError> {
    let limit = view.limits.memory_bytes;
    if initial > limit {
        return Err(AdmissionError::InitialMemory { view: view.name.clone(), initial, limit });
    }
    if initial > limit / 2 {
        tracing::warn!(
            view = view.name.as_str(),
            initial,
            limit,
            "the component starts with more than half of its memory limit, so its rows are called one by one"
        );
    }
    Ok(())
}
