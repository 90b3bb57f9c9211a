//! `trifold stream --topic`.

use std::path::Path;
use std::time::Duration;

use trifold_formats::{Credentials, Encoding, RegistrySettings, SchemaSource};
use trifold_store::{Holder, StoreError};
use trifold_stream::Notice;
use trifold_stream::kafka::{ClusterError, ClusterSettings, KafkaDriver, KafkaSettings};

use super::feeding::Feeding;
use super::{chosen, config, notify, stream_failure, summary, text, until, verdict, view_names};
use crate::admin;
use crate::args::{KafkaCluster, KafkaValues, Stream};
use crate::clock;
use crate::config::KafkaSection;
use crate::exit::{Exit, Failure, Outcome};
use crate::monitor::Monitor;
use crate::world::{World, redis_exit};
use crate::{output, progress};

/// Applies a topic's partitions as one worker of a group.
pub(super) fn run(world: &World, args: &Stream, topic: String) -> Outcome {
    let section = &world.config.kafka;
    let cluster = cluster(section, &args.cluster, args.kafka.worker.as_ref().unwrap_or(&section.worker));
    let settings = KafkaSettings {
        encoding: encoding(section, &args.kafka.values)?,
        registry: registry_id(world)?,
        views: view_names(&args.views)?,
        topic,
        archive: args.kafka.archive.clone(),
        state_dir: world.data("kafka").join(&cluster.group).join(&cluster.worker),
        cluster,
        transaction_interval: Duration::from_millis(section.transaction_interval_ms),
        transaction_rows_max: section.transaction_rows,
        local_interval: Duration::from_millis(section.local_interval_ms),
        replicas: section.replicas.into(),
        features: section.features,
        keyed_by: if args.kafka.keyed_by.is_empty() { &section.keyed_by } else { &args.kafka.keyed_by }.clone(),
        check_keys: section.check_keys,
    };
    let (monitor, reached) = (Monitor::start(world, args.watch.metrics.as_ref())?, settings.cluster.clone());
    let feeds = args.kafka.materialize || section.materialize;
    let feeding = feeds.then(|| Feeding::start(world, args, reached, &monitor)).transpose()?;
    let holder =
        Holder { pid: std::process::id(), command: "trifold stream --topic".to_owned(), since: clock::now() };
    let interval = Duration::from_millis(world.config.stream.poll_interval_ms);
    let desk = admin::start(world, &args.operate, "stream")?;
    let releases = chosen(world, &args.views)?.hears_and_tells(&desk);
    let driver = KafkaDriver::new(settings, config(world, args), holder, releases, interval);
    let mut driver = driver.map_err(failure)?;
    let (until, stop) = (until(args), world.stop_signal());
    let report = world.block_on(async {
        let bar = progress::rows("stream", 0);
        let mut tell = notify(&bar, until, &monitor, &desk);
        let mut notify = |notice: Notice<'_>| {
            feeding.iter().for_each(|feeding| feeding.note(&notice));
            tell(notice);
        };
        let report = driver.run(until, &mut notify, stop).await;
        bar.finish_and_clear();
        if let Some(feeding) = feeding {
            feeding.stop().await;
        }
        report
    });
    let report = report.map_err(failure)?;
    output::print(world.format, &summary(&report), text)?;
    verdict(&report, until)
}

/// What tells the registry from others.
fn registry_id(world: &World) -> Outcome<String> {
    let registry = world.registry(false)?;
    Ok(world.block_on(world.registry_id(&registry))?.to_string())
}

/// How the cluster is reached: flags and environment go before the file.
pub fn cluster(section: &KafkaSection, args: &KafkaCluster, worker: &str) -> ClusterSettings {
    ClusterSettings {
        brokers: args.brokers.as_ref().unwrap_or(&section.brokers).clone(),
        group: args.group.as_ref().unwrap_or(&section.group).clone(),
        worker: worker.to_owned(),
        properties: section.properties.clone(),
    }
}

/// How values are encoded: flags and environment go before the file.
pub fn encoding(section: &KafkaSection, args: &KafkaValues) -> Outcome<Encoding> {
    let word = args.encoding.as_ref().unwrap_or(&section.encoding).as_str();
    let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let flags = (args.schema.clone(), args.schema_registry.clone());
    let (file, registry) = match flags {
        (None, None) => (given(&section.schema), named(&section.schema_registry)),
        flags => flags,
    };
    let schema = match (word, file, registry) {
        ("json", None, None) => return Ok(Encoding::Json),
        ("json", ..) => {
            let message =
                "values in JSON have no schema: name their encoding with `--encoding`, or leave the schema out";
            return Err(Failure::new(Exit::Usage, message));
        }
        (_, Some(file), None) => SchemaSource::File(file),
        (_, None, Some(url)) => SchemaSource::Registry(RegistrySettings {
            credentials: named(&section.schema_registry_user)
                .map(|user| Credentials { user, password: section.schema_registry_password.clone() }),
            ca_file: given(&section.schema_registry_ca),
            ..RegistrySettings::new(url)
        }),
        (word, None, None) => {
            let message = format!("values in {word} need a schema: give `--schema` or `--schema-registry`");
            return Err(Failure::new(Exit::Usage, message));
        }
        (_, Some(_), Some(_)) => {
            let message = "a schema stands in a file or in a registry: give one of `schema` and `schema-registry`";
            return Err(Failure::new(Exit::Usage, message));
        }
    };
    Ok(match word {
        "avro" => Encoding::Avro { schema, reader: given(&section.reader_schema) },
        _ => Encoding::Protobuf { schema, message: named(&section.message) },
    })
}

/// The exit code of what a cluster cannot do.
pub fn failure(error: ClusterError) -> Failure {
    let exit = match error {
        ClusterError::Stream(error) => return stream_failure(error),
        ClusterError::Setting { .. } | ClusterError::OtherDeployment { .. } | ClusterError::Format(_) => {
            Exit::Usage
        }
        ClusterError::UnknownTopic { .. }
        | ClusterError::NoChanges { .. }
        | ClusterError::NoTopicOfGroup { .. } => Exit::NotFound,
        ClusterError::Store(ref error @ (StoreError::Remote { .. } | StoreError::OtherSource { .. })) => {
            redis_exit(error)
        }
        ClusterError::Client { .. }
        | ClusterError::Fenced { .. }
        | ClusterError::OtherReplay { .. }
        | ClusterError::Registry(_)
        | ClusterError::Regrouped
        | ClusterError::OpenTransaction { .. } => Exit::Unavailable,
        ClusterError::Topic { .. }
        | ClusterError::Letter { .. }
        | ClusterError::Entry { .. }
        | ClusterError::Entity { .. } => Exit::Data,
        ClusterError::Store(_) | ClusterError::Local { .. } => Exit::Io,
        _ => Exit::Internal,
    };
    Failure { exit, error: error.into() }
}
