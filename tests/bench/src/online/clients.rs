//! Clients that ask, wait for the answer and ask again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};
use trifold_server::api::GetFeaturesRequest;
use trifold_server::api::online_service_client::OnlineServiceClient;

use crate::measure::quantile;
use crate::online::CLIENTS;
use crate::online::store::{ENTITIES, request};
use crate::random::Random;

/// What a client asks for.
pub(crate) type Ask = Arc<dyn Fn(&mut Random) -> GetFeaturesRequest + Send + Sync>;

/// Connected clients of one server, each with a connection of its own.
pub(crate) struct Clients {
    connected: Vec<Client>,
    ask: Ask,
}

/// What the clients saw in one stretch of time.
pub(crate) struct Window {
    pub(crate) requests_per_second: f64,
    pub(crate) p99_micros: f64,
}

impl Clients {
    /// Clients that ask for the features of one flight.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        Clients::asking(url, Arc::new(|random: &mut Random| request(random.below(ENTITIES)))).await
    }

    pub(crate) async fn asking(url: &str, ask: Ask) -> anyhow::Result<Self> {
        let mut connected = Vec::new();
        for seed in 0..CLIENTS as u64 {
            let channel = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?;
            connected.push((OnlineServiceClient::new(channel), Random::new(seed)));
        }
        Ok(Clients { connected, ask })
    }

    /// Lets all clients ask for a while.
    pub(crate) async fn window(&mut self, length: Duration) -> anyhow::Result<Window> {
        let start = Instant::now();
        let clients = self.connected.drain(..);
        let asking: Vec<_> =
            clients.map(|client| tokio::spawn(asked(client, self.ask.clone(), start, length))).collect();
        let mut micros = Vec::new();
        for asked in asking {
            let (client, seen) = asked.await??;
            self.connected.push(client);
            micros.extend(seen);
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Window { requests_per_second: micros.len() as f64 / seconds, p99_micros: quantile(micros, 0.99) })
    }
}

type Client = (OnlineServiceClient<Channel>, Random);

/// The microseconds that each answer took.
async fn asked(
    (mut client, mut random): Client,
    ask: Ask,
    start: Instant,
    length: Duration,
) -> anyhow::Result<(Client, Vec<f64>)> {
    let mut micros = Vec::new();
    while start.elapsed() < length {
        let request = ask(&mut random);
        let asked = Instant::now();
        client.get_features(request).await?;
        micros.push(asked.elapsed().as_nanos() as f64 / 1e3);
    }
    Ok(((client, random), micros))
}
