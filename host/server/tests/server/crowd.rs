//! Connections of another process that are many, idle, slow or dead.

use std::io::{BufRead, BufReader, ErrorKind};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use tonic::transport::Channel;
use trifold_server::accept::allow_connections;
use trifold_server::api::ListViewsRequest;
use trifold_server::api::online_service_client::OnlineServiceClient;
use trifold_server::{Limits, ServerConfig};

use crate::rig::{Online, config, open, put, score, views};

/// Another process that keeps connections. They end with it.
struct Crowd(Child);

impl Crowd {
    /// Waits until all of them stand.
    async fn stand(server: &Online, count: usize, kind: &str) -> Self {
        let port = server.url.rsplit_once(':').unwrap().1;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/crowd.py");
        let mut command = Command::new("python3");
        command.arg(script).args([port, &count.to_string(), kind]);
        let child = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("there is no python3 on the PATH: install Python 3.8 or newer (no packages are needed)")
            }
            child => child.unwrap(),
        };
        let mut crowd = Crowd(child);
        let stdout = crowd.0.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || BufReader::new(stdout).lines().next());
        assert_eq!(line.await.unwrap().unwrap().unwrap(), "open");
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn serving(dir: &Path, limits: Limits) -> Online {
    let (store, version) = (open(dir), score());
    put(&store, &version, Vec::new()).await;
    Online::limited(Arc::new(store), views(&[version]), ServerConfig { limits, ..config() }).await
}

async fn is_served(server: &Online) {
    let ids: ArrayRef = Arc::new((0..3).collect::<Int64Array>());
    let answer = server.get(&["score"], &RecordBatch::try_from_iter([("id", ids)]).unwrap(), None).await;
    assert_eq!(answer.views[0].rows.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_thousand_idle_connections_keep_nobody_from_being_served() {
    assert_eq!(allow_connections(4_500), None, "raise the limit of open files: `ulimit -n 8192`");
    let dir = tempfile::tempdir().unwrap();
    let concurrency = NonZero::new(1);
    let limits = Limits { handshake: Duration::from_secs(600), concurrency, ..Limits::default() };
    let server = serving(dir.path(), limits).await;
    let silent = Crowd::stand(&server, 2_000, "silent").await;
    let greeting = Crowd::stand(&server, 2_000, "greeting").await;
    server.until(|load| load.connections == 4_000).await;
    for _ in 0..20 {
        is_served(&server).await;
    }
    assert_eq!(server.load.now().computing, 0);
    drop((silent, greeting));
    server.until(|load| load.connections == 0).await;
    is_served(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_say_what_it_speaks_or_does_not_answer_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let short = Duration::from_millis(300);
    let limits = Limits { handshake: short, keepalive: Some(short), ..Limits::default() };
    let server = serving(dir.path(), limits).await;
    for kind in ["silent", "dripping", "greeting", "torn"] {
        let crowd = Crowd::stand(&server, 50, kind).await;
        is_served(&server).await;
        server.until(|load| load.connections == 0).await;
        drop(crowd);
    }
    // A client that is idle, and alive, stays.
    let mut client = server.raw().await;
    for _ in 0..2 {
        let crowd = Crowd::stand(&server, 1, "greeting").await;
        server.until(|load| load.connections == 1).await;
        drop(crowd);
    }
    client.list_views(ListViewsRequest {}).await.unwrap();
    assert_eq!(server.load.now().connections, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = serving(dir.path(), Limits { connections_max: 10, ..Limits::default() }).await;
    let crowd = Crowd::stand(&server, 10, "greeting").await;
    server.until(|load| load.connections == 10).await;
    if let Ok(channel) = Channel::from_shared(server.url.clone()).unwrap().connect().await {
        OnlineServiceClient::new(channel).list_views(ListViewsRequest {}).await.unwrap_err();
    }
    assert!(server.rejected("connections") > 0);
    drop(crowd);
    server.until(|load| load.connections == 0).await;
    is_served(&server).await;
}
