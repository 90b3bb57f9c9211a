//! `trifold stream --topic`.

use std::time::Duration;

use trifold_store::Holder;
use trifold_stream::kafka::{ClusterError, KafkaDriver, KafkaSettings};

use super::{chosen, config, notify, stream_failure, summary, text, until, verdict};
use crate::args::Stream;
use crate::clock;
use crate::exit::{Exit, Failure, Outcome};
use crate::world::World;
use crate::{output, progress};

/// Applies a topic's partitions as one worker of a group.
pub(super) fn run(world: &World, args: &Stream, topic: String) -> Outcome {
    let section = &world.config.kafka;
    let group = args.kafka.group.as_ref().unwrap_or(&section.group).clone();
    let worker = args.kafka.worker.as_ref().unwrap_or(&section.worker).clone();
    let settings = KafkaSettings {
        brokers: args.kafka.brokers.as_ref().unwrap_or(&section.brokers).clone(),
        topic,
        state_dir: world.data("kafka").join(&group).join(&worker),
        group,
        worker,
        properties: section.properties.clone(),
        transaction_interval: Duration::from_millis(section.transaction_interval_ms),
        transaction_rows_max: section.transaction_rows,
        local_interval: Duration::from_millis(section.local_interval_ms),
        replicas: section.replicas.into(),
        features: section.features,
        check_keys: section.check_keys,
    };
    let holder =
        Holder { pid: std::process::id(), command: "trifold stream --topic".to_owned(), since: clock::now() };
    let interval = Duration::from_millis(world.config.stream.poll_interval_ms);
    let driver = KafkaDriver::new(settings, config(world, args), holder, chosen(world, args)?, interval);
    let mut driver = driver.map_err(failure)?;
    let (until, stop) = (until(args), world.stop_signal());
    let report = world.block_on(async {
        let bar = progress::rows("stream", 0);
        let report = driver.run(until, &mut notify(&bar, until), stop).await;
        bar.finish_and_clear();
        report
    });
    let report = report.map_err(failure)?;
    output::print(world.format, &summary(&report), text)?;
    verdict(&report, until)
}

fn failure(error: ClusterError) -> Failure {
    let exit = match error {
        ClusterError::Stream(error) => return stream_failure(error),
        ClusterError::Setting { .. } => Exit::Usage,
        ClusterError::UnknownTopic { .. } => Exit::NotFound,
        ClusterError::Client { .. }
        | ClusterError::Fenced { .. }
        | ClusterError::Regrouped
        | ClusterError::OpenTransaction { .. } => Exit::Unavailable,
        ClusterError::Topic { .. } | ClusterError::Entry { .. } | ClusterError::Entity { .. } => Exit::Data,
        ClusterError::Store(_) | ClusterError::Local { .. } => Exit::Io,
        _ => Exit::Internal,
    };
    Failure { exit, error: error.into() }
}
