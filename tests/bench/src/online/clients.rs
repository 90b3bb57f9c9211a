//! Clients that ask, wait for the answer and ask again.

use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};
use trifold_server::api::online_service_client::OnlineServiceClient;

use crate::measure::quantile;
use crate::online::CLIENTS;
use crate::online::store::{ENTITIES, request};
use crate::random::Random;

/// Connected clients of one server, each with a connection of its own.
pub(crate) struct Clients(Vec<(OnlineServiceClient<Channel>, Random)>);

/// What the clients saw in one stretch of time.
pub(crate) struct Window {
    pub(crate) requests_per_second: f64,
    pub(crate) p99_micros: f64,
}

impl Clients {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for seed in 0..CLIENTS as u64 {
            let channel = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?;
            clients.push((OnlineServiceClient::new(channel), Random::new(seed)));
        }
        Ok(Clients(clients))
    }

    /// Lets all clients ask for a while.
    pub(crate) async fn window(&mut self, length: Duration) -> anyhow::Result<Window> {
        let start = Instant::now();
        let asking: Vec<_> = self.0.drain(..).map(|client| tokio::spawn(ask(client, start, length))).collect();
        let mut micros = Vec::new();
        for asked in asking {
            let (client, seen) = asked.await??;
            self.0.push(client);
            micros.extend(seen);
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Window { requests_per_second: micros.len() as f64 / seconds, p99_micros: quantile(micros, 0.99) })
    }
}

type Client = (OnlineServiceClient<Channel>, Random);

/// The microseconds that each answer took.
async fn ask(
    (mut client, mut random): Client,
    start: Instant,
    length: Duration,
) -> anyhow::Result<(Client, Vec<f64>)> {
    let mut micros = Vec::new();
    while start.elapsed() < length {
        let request = request(random.below(ENTITIES));
        let asked = Instant::now();
        client.get_features(request).await?;
        micros.push(asked.elapsed().as_nanos() as f64 / 1e3);
    }
    Ok(((client, random), micros))
}
