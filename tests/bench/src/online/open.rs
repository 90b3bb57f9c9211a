//! Requests that come when they come, whether or not those before are answered.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;
use trifold_server::api::online_service_client::OnlineServiceClient;

use crate::online::CLIENTS;
use crate::online::clients::Ask;
use crate::random::Random;

/// The microseconds from when each request was due to its answer. They are due at equal distances.
pub(crate) fn window(
    clients: &Runtime,
    url: &str,
    ask: &Ask,
    rate: f64,
    length: Duration,
) -> anyhow::Result<Vec<f64>> {
    let connected = clients.block_on(async {
        let mut connected = Vec::new();
        for _ in 0..CLIENTS {
            let channel = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?;
            let mut client = OnlineServiceClient::new(channel);
            client.get_features(ask(&mut Random::new(1))).await?;
            connected.push(client);
        }
        anyhow::Ok(connected)
    })?;
    let count = (rate * length.as_secs_f64()) as usize;
    ensure!(count > 0, "a rate of {rate} requests/s is none");
    let mut random = Random::new(11);
    let begun = Instant::now();
    // A thread of its own keeps time better than the runtime's timers, whose ticks are a millisecond.
    let asking: Vec<_> = (0..count)
        .map(|number| {
            let due = begun + Duration::from_secs_f64(number as f64 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (mut client, request) = (connected[number % CLIENTS].clone(), ask(&mut random));
            clients.spawn(async move {
                client.get_features(request).await?;
                anyhow::Ok(due.elapsed().as_nanos() as f64 / 1e3)
            })
        })
        .collect();
    clients.block_on(async {
        let mut micros = Vec::with_capacity(count);
        for asked in asking {
            micros.push(asked.await??);
        }
        Ok(micros)
    })
}
