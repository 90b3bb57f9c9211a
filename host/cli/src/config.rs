//! Configuration: committed defaults, then a file, then environment variables, then flags. Environment and
//! flags are read together by the command line's parser; this module reads the files and merges. What there is to
//! configure stands in [`sections`].

pub mod sections;

use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Table;
use tracing_subscriber::EnvFilter;
use trifold_model::ViewName;
use trifold_registry::{Location, NoKey, PublicKey};

pub use self::sections::{
    AdminSection, ArchiveSection, BackfillSection, CacheSection, Config, ControllerSection, KafkaSection,
    LogSection, MetricsSection, RedisSection, S3Section, SandboxSection, ServerSection, SignaturesSection,
    SourceSection, StreamSection,
};
use crate::exit::{Exit, Failure, Outcome};

/// The committed defaults. Every key that a file may hold stands in it.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// The file that is read from the working directory if it is there and no other is named.
pub const FILE_NAME: &str = "trifold.toml";

/// What is wrong with a configuration file.
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Reads the defaults and a file on top of them. Without `path`, `trifold.toml` in the working directory is
/// read if it exists. Everything that is wrong with the file is reported at once.
pub fn load(path: Option<&Path>) -> Outcome<Config> {
    let mut table = parse(DEFAULTS, Path::new("default.toml"))?;
    let known = table.clone();
    let implied = Path::new(FILE_NAME);
    let file = path.or_else(|| implied.exists().then_some(implied));
    let mut problems = Problems::default();
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Usage };
            Failure::new(exit, format!("cannot read the configuration file {}: {error}", file.display()))
        })?;
        merge(&mut table, parse(&text, file)?, &known, "", &mut problems);
    }
    let config = Reader { table, prefix: "", problems: &mut problems }.config();
    match (config, problems.0.is_empty()) {
        (Some(config), true) => Ok(config),
        _ => {
            let name = file.unwrap_or(Path::new("default.toml")).display();
            Err(Failure::new(Exit::Usage, format!("the configuration file {name} has errors:{problems}")))
        }
    }
}

/// An address to listen on, as far as it can be judged before it is tried.
pub fn listen_address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, port)| {
        let host_is_whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && host_is_whole && port.parse::<u16>().is_ok()
    });
    match parts {
        Some(_) => Ok(text.to_owned()),
        None => Err("it is no address with a port, as in 127.0.0.1:7411".to_owned()),
    }
}

/// An address to listen on, or nothing.
fn http_address(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { listen_address(text) }
}

/// Where a registry may be.
pub fn registry_place(text: &str) -> Result<String, String> {
    match text.parse::<Location>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{}; name a directory, or s3://BUCKET/PREFIX", error.reason)),
    }
}

/// A key whose signatures count.
pub fn public_key(text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error: NoKey| error.to_string())
}

/// Which log lines are written.
pub fn log_filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|error| format!("the log filter `{text}` is wrong: {error}; try `info`"))
}

fn parse(text: &str, file: &Path) -> Outcome<Table> {
    text.parse().map_err(|error| {
        Failure::new(Exit::Usage, format!("the configuration file {} is not TOML: {error}", file.display()))
    })
}

/// Lays one table over another; keys that the defaults do not have are problems.
fn merge(base: &mut Table, over: Table, known: &Table, prefix: &str, problems: &mut Problems) {
    for (key, value) in over {
        match (known.get(&key), value) {
            (None, _) => {
                let keys = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                problems.0.push(format!("{prefix}{key}: unknown key; known here are {keys}"));
            }
            // A table without defaults holds words that are somebody else's.
            (Some(toml::Value::Table(known)), over @ toml::Value::Table(_)) if known.is_empty() => {
                base.insert(key, over);
            }
            (Some(toml::Value::Table(known)), toml::Value::Table(over)) => {
                if let Some(toml::Value::Table(base)) = base.get_mut(&key) {
                    merge(base, over, known, &format!("{prefix}{key}."), problems);
                }
            }
            (Some(_), value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Takes typed values out of a table and notes what does not fit.
struct Reader<'a> {
    table: Table,
    prefix: &'static str,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn get<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.table.remove(key).or_else(|| {
            self.problems.0.push(format!("{}{key}: missing", self.prefix));
            None
        })?;
        match value.try_into() {
            Ok(value) => Some(value),
            Err(error) => {
                let message = error.to_string();
                self.problems.0.push(format!("{}{key}: {}", self.prefix, message.trim_end()));
                None
            }
        }
    }

    /// A number that may not be zero.
    fn positive<T: DeserializeOwned + Default + PartialEq>(&mut self, key: &str) -> Option<T> {
        let value: T = self.get(key)?;
        if value == T::default() {
            self.problems.0.push(format!("{}{key}: it must be at least 1", self.prefix));
            return None;
        }
        Some(value)
    }

    fn not_negative(&mut self, key: &str) -> Option<f64> {
        let value: f64 = self.get(key)?;
        if value >= 0.0 {
            return Some(value);
        }
        self.problems.0.push(format!("{}{key}: {value} must not be less than 0", self.prefix));
        None
    }

    fn one_of(&mut self, key: &str, words: &[&str]) -> Option<String> {
        let value: String = self.get(key)?;
        if words.contains(&value.as_str()) {
            return Some(value);
        }
        self.problems.0.push(format!("{}{key}: `{value}` is none of {}", self.prefix, words.join(", ")));
        None
    }

    /// A text that something takes; otherwise it says what is wrong.
    fn text<T>(&mut self, key: &str, take: impl FnOnce(&str) -> Result<T, String>) -> Option<String> {
        let value: String = self.get(key)?;
        match take(&value) {
            Ok(_) => Some(value),
            Err(problem) => {
                self.problems.0.push(format!("{}{key}: `{value}`: {problem}", self.prefix));
                None
            }
        }
    }

    /// Public keys. One that is none is not repeated: it may be a private one.
    fn public_keys(&mut self, key: &str) -> Option<Vec<PublicKey>> {
        let texts: Vec<String> = self.get(key)?;
        let keys = (1..).zip(&texts).map(|(number, text)| match public_key(text) {
            Ok(key) => Some(key),
            Err(problem) => {
                self.problems.0.push(format!("{}{key}: number {number}: {problem}", self.prefix));
                None
            }
        });
        keys.collect::<Vec<_>>().into_iter().collect()
    }

    /// Names of views, each once.
    fn views(&mut self, key: &str) -> Option<Vec<ViewName>> {
        let texts: Vec<String> = self.get(key)?;
        let mut views = Vec::new();
        for text in &texts {
            match text.parse() {
                Ok(view) if views.contains(&view) => {
                    self.problems.0.push(format!("{}{key}: `{text}` stands twice", self.prefix));
                }
                Ok(view) => views.push(view),
                Err(problem) => self.problems.0.push(format!("{}{key}: `{text}`: {problem}", self.prefix)),
            }
        }
        (views.len() == texts.len()).then_some(views)
    }

    fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Option<T> {
        let table = self.get::<Table>(name)?;
        let prefix = match name {
            "s3" => "s3.",
            "signatures" => "signatures.",
            "source" => "source.",
            "stream" => "stream.",
            "backfill" => "backfill.",
            "cache" => "cache.",
            "kafka" => "kafka.",
            "archive" => "archive.",
            "redis" => "redis.",
            "metrics" => "metrics.",
            "admin" => "admin.",
            "controller" => "controller.",
            "server" => "server.",
            "sandbox" => "sandbox.",
            _ => "log.",
        };
        read(&mut Reader { table, prefix, problems: self.problems })
    }

    fn config(&mut self) -> Option<Config> {
        // Every part is read before any is missed, so that all problems are shown at once.
        let (data_dir, registry) = (self.get("data-dir"), self.text("registry", registry_place));
        let s3 = self.section("s3", |r| {
            let parts = (r.get("endpoint"), r.get("region"), r.get("allow-http"), r.get("virtual-hosted-style"));
            let (endpoint, region, allow_http, virtual_hosted_style) = parts;
            Some(S3Section {
                endpoint: endpoint?,
                region: region?,
                allow_http: allow_http?,
                virtual_hosted_style: virtual_hosted_style?,
            })
        });
        let signatures = self.section("signatures", |r| {
            let parts = (r.public_keys("trusted-keys"), r.get("key"));
            Some(SignaturesSection { trusted_keys: parts.0?, key: parts.1? })
        });
        let source = self.section("source", |r| {
            let parts = (r.get("event-time"), r.get("event-id"), r.get("arrival"), r.get("assume-on-time"));
            let (event_time, event_id, arrival, assume_on_time) = parts;
            Some(SourceSection {
                event_time: event_time?,
                event_id: event_id?,
                arrival: arrival?,
                assume_on_time: assume_on_time?,
            })
        });
        let stream = self.section("stream", |r| {
            let parts = (
                r.positive("step-rows"),
                r.one_of("rows-format", &["parquet", "jsonl"]),
                r.positive("poll-interval-ms"),
                r.get("keep-outputs"),
                r.get("checkpoint-interval-ms"),
                r.get("resident-mib"),
            );
            Some(StreamSection {
                step_rows: parts.0?,
                rows_format: parts.1?,
                poll_interval_ms: parts.2?,
                keep_outputs: parts.3?,
                checkpoint_interval_ms: parts.4?,
                resident_mib: parts.5?,
            })
        });
        let kafka = self.section("kafka", |r| {
            let names = (r.get("brokers"), r.get("group"), r.get("worker"), r.get("properties"));
            let transactions = (r.get("transaction-interval-ms"), r.positive("transaction-rows"));
            let others = (r.get("local-interval-ms"), r.get("replicas"), r.get("features"), r.get("check-keys"));
            let (keyed_by, materialize) = (r.get("keyed-by"), r.get("materialize"));
            let schemas = (
                r.one_of("encoding", &["json", "avro", "protobuf"]),
                r.get("schema"),
                r.get("reader-schema"),
                r.get("message"),
            );
            let registry = (
                r.get("schema-registry"),
                r.get("schema-registry-user"),
                r.get("schema-registry-password"),
                r.get("schema-registry-ca"),
            );
            Some(KafkaSection {
                encoding: schemas.0?,
                schema: schemas.1?,
                reader_schema: schemas.2?,
                message: schemas.3?,
                schema_registry: registry.0?,
                schema_registry_user: registry.1?,
                schema_registry_password: registry.2?,
                schema_registry_ca: registry.3?,
                brokers: names.0?,
                group: names.1?,
                worker: names.2?,
                properties: names.3?,
                transaction_interval_ms: transactions.0?,
                transaction_rows: transactions.1?,
                local_interval_ms: others.0?,
                replicas: others.1?,
                features: others.2?,
                check_keys: others.3?,
                keyed_by: keyed_by?,
                materialize: materialize?,
            })
        });
        let archive = self.section("archive", |r| {
            let (dir, interval_ms) = (r.get("dir"), r.get("interval-ms"));
            let sizes = (r.positive("file-rows"), r.positive("file-mib"), r.positive("memory-mib"));
            Some(ArchiveSection {
                dir: dir?,
                interval_ms: interval_ms?,
                file_rows: sizes.0?,
                file_mib: sizes.1?,
                memory_mib: sizes.2?,
            })
        });
        let cache = self.section("cache", |r| {
            let bounds = (r.get("mib"), r.get("ttl-ms"), r.get("stale-ms"));
            let views = (r.views("views"), r.views("except"));
            Some(CacheSection {
                mib: bounds.0?,
                ttl_ms: bounds.1?,
                stale_ms: bounds.2?,
                views: views.0?,
                except: views.1?,
            })
        });
        let redis = self.section("redis", |r| {
            let reads_max = r.positive("reads-max");
            let place = (r.get("urls"), r.get("cluster"), r.get("prefix"));
            let login = (r.get("user"), r.get("password"), r.get("ca"), r.positive("timeout-ms"));
            Some(RedisSection {
                urls: place.0?,
                cluster: place.1?,
                prefix: place.2?,
                user: login.0?,
                password: login.1?,
                ca: login.2?,
                timeout_ms: login.3?,
                reads_max: reads_max?,
            })
        });
        let backfill = self.section("backfill", |r| {
            let parts = (r.positive("memory-mib"), r.get("threads"));
            Some(BackfillSection { memory_mib: parts.0?, threads: parts.1? })
        });
        let server = self.section("server", |r| {
            let listen = (r.text("listen", listen_address), r.positive("poll-interval-ms"), r.get("drain-ms"));
            let limits = (r.positive("rows-max"), r.positive("request-bytes-max"), r.positive("request-fuel"));
            let sizes = (r.positive("cells-max"), r.get("view-fuel"), r.get("shadows-max"));
            let at_once =
                (r.get("concurrency"), r.get("view-concurrency"), r.get("queue"), r.positive("queue-ms"));
            let callers = (r.get("deadline-ms"), r.get("caller-rate"), r.get("caller-burst"));
            let receive = (r.positive("receive-ms"), r.positive("receive-mib"));
            let connections = (r.positive("connections-max"), r.positive("connection-requests-max"));
            let silence = (r.positive("handshake-ms"), r.get("keepalive-ms"));
            let http_listen = r.text("http-listen", http_address);
            let feature_store_views = r.views("feature-store-views");
            Some(ServerSection {
                cells_max: sizes.0?,
                view_fuel: sizes.1?,
                concurrency: at_once.0?,
                view_concurrency: at_once.1?,
                queue: at_once.2?,
                queue_ms: at_once.3?,
                deadline_ms: callers.0?,
                caller_rate: callers.1?,
                caller_burst: callers.2?,
                receive_ms: receive.0?,
                receive_mib: receive.1?,
                connections_max: connections.0?,
                connection_requests_max: connections.1?,
                handshake_ms: silence.0?,
                keepalive_ms: silence.1?,
                listen: listen.0?,
                http_listen: http_listen?,
                feature_store_views: feature_store_views?,
                poll_interval_ms: listen.1?,
                drain_ms: listen.2?,
                rows_max: limits.0?,
                request_bytes_max: limits.1?,
                request_fuel: limits.2?,
                shadows_max: sizes.2?,
            })
        });
        let sandbox = self.section("sandbox", |r| {
            let sizes = (r.positive("instances-max"), r.positive("component-bytes-max"));
            let compiler = (r.positive("compile-seconds"), r.positive("compile-memory-mib"));
            Some(SandboxSection {
                instances_max: sizes.0?,
                component_bytes_max: sizes.1?,
                compile_seconds: compiler.0?,
                compile_memory_mib: compiler.1?,
            })
        });
        let metrics = self.section("metrics", |r| Some(MetricsSection { listen: r.get("listen")? }));
        let controller = self.section("controller", |r| {
            let pace = (r.positive("interval-ms"), r.positive("rows-min"));
            let parts = (r.not_negative("errors"), r.not_negative("nulls"));
            let ratios = (r.not_negative("fuel"), r.not_negative("latency"));
            Some(ControllerSection {
                interval_ms: pace.0?,
                rows_min: pace.1?,
                errors: parts.0?,
                nulls: parts.1?,
                fuel: ratios.0?,
                latency: ratios.1?,
            })
        });
        let admin = self.section("admin", |r| {
            let parts = (r.get("listen"), r.get("processes"));
            Some(AdminSection { listen: parts.0?, processes: parts.1? })
        });
        let log = self.section("log", |r| {
            let parts = (r.text("filter", log_filter), r.one_of("format", &["text", "json"]));
            Some(LogSection { filter: parts.0?, format: parts.1? })
        });
        Some(Config {
            data_dir: data_dir?,
            registry: registry?,
            s3: s3?,
            signatures: signatures?,
            source: source?,
            stream: stream?,
            kafka: kafka?,
            archive: archive?,
            redis: redis?,
            cache: cache?,
            backfill: backfill?,
            server: server?,
            sandbox: sandbox?,
            metrics: metrics?,
            admin: admin?,
            controller: controller?,
            log: log?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn load_text(text: &str) -> Result<Config, String> {
        let dir = std::env::temp_dir().join(format!(
            "trifold-config-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("c.toml");
        std::fs::write(&file, text).unwrap();
        let result = load(Some(&file)).map_err(|failure| failure.error.to_string());
        std::fs::remove_dir_all(&dir).unwrap();
        result
    }

    #[test]
    fn the_defaults_are_complete() {
        let config = load_text("").unwrap();
        assert_eq!(config.data_dir, PathBuf::from(".trifold"));
        assert_eq!(config.source.event_time, "event_time");
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let config = load_text("[server]\nrows-max = 7").unwrap();
        assert_eq!(config.server.rows_max, 7);
        assert_eq!(config.server.listen, load_text("").unwrap().server.listen);
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["127.0.0.1:0", "localhost:7411", "[::1]:80", "0.0.0.0:65535"] {
            assert_eq!(listen_address(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "localhost", ":7411", "7411", "::1", "::1:80", "http://127.0.0.1:80", "host:65536", "host:"]
        {
            listen_address(bad).unwrap_err();
        }
    }

    #[test]
    fn every_problem_is_shown_at_once() {
        let error = load_text("dat-dir = 1\n[server]\nrows-max = \"many\"\nport = 1\n[log]\nformat = \"xml\"")
            .unwrap_err();
        for part in ["dat-dir: unknown key", "server.rows-max", "server.port: unknown key", "log.format: `xml`"] {
            assert!(error.contains(part), "{part} is missing in {error}");
        }
    }
}
