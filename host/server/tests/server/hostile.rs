//! Requests that are malformed, oversized or hostile, on every endpoint: each gets a status, nothing panics, and the
//! server goes on answering.

#![expect(clippy::print_stdout, reason = "a run that fails tells its seed")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_fn;
use http_body::{Body as _, Frame};
use prost::Message;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request};
use tonic::transport::Channel;
use tonic::{Code, TimeoutExpired};
use tower::{Service, ServiceExt};
use trifold_model::EventTime;
use trifold_pipeline::{Publisher, Versions};
use trifold_registry::Registry;
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_server::admin::{Admin, Desk, Intake, Process, api as admin};
use trifold_server::api::column::Values;
use trifold_server::api::{
    Binaries, Bools, Column, Float32Lists, Float32s, Float64Lists, Float64s, GetFeaturesRequest, InHandEvents,
    Int64Lists, Int64s, TextLists, Texts,
};

use crate::rig::{Online, config, echo, open, put, score, version, views};

/// Sebastiano Vigna's SplitMix64 (2015).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())].clone()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.bits() as u8).collect()
    }

    fn some<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }

    fn int(&mut self) -> i64 {
        let bits = self.bits() as i64;
        self.of(&[0, 1, 2, -1, i64::MIN, i64::MAX, bits])
    }

    fn length(&mut self) -> u32 {
        let bits = self.bits() as u32;
        self.of(&[0, 1, 2, 3, u32::MAX, i32::MAX as u32, 1 << 31, bits])
    }

    fn float(&mut self) -> f64 {
        let bits = f64::from_bits(self.bits());
        self.of(&[0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::MIN, bits])
    }

    fn text(&mut self) -> String {
        let long = "x".repeat(self.below(300));
        let odd = String::from_utf8_lossy(&self.bytes(20)).into_owned();
        let known =
            ["", "id", "x", "score", "wide", "score.x_out", "score.", ".", "event_time", "event_id", "\0", "é"];
        let known = self.of(&known.map(str::to_owned));
        self.of(&[known.clone(), known.clone(), known, long, odd])
    }

    fn values(&mut self) -> Option<Values> {
        let rows = self.of(&[0, 1, 2, 3, 3, 3, 120]);
        Some(match self.below(12) {
            0 => Values::Bools(Bools { values: vec![true; rows] }),
            1..=3 => Values::Int64s(Int64s { values: (0..rows).map(|_| self.int()).collect() }),
            4 => Values::Float64s(Float64s { values: (0..rows).map(|_| self.float()).collect() }),
            5 => Values::Float32s(Float32s { values: vec![f32::NAN; rows] }),
            6 => Values::Texts(Texts { values: (0..rows).map(|_| self.text()).collect() }),
            7 => Values::Binaries(Binaries { values: (0..rows).map(|_| self.bytes(9)).collect() }),
            8 => Values::Timestamps(Int64s { values: (0..rows).map(|_| self.int()).collect() }),
            9 => {
                let (lengths, items) = (self.lengths(rows), self.some(9, Random::float));
                match self.below(2) {
                    0 => Values::Float64Lists(Float64Lists { lengths, items }),
                    _ => Values::Float32Lists(Float32Lists { lengths, items: vec![0.5; 9] }),
                }
            }
            10 => {
                let (lengths, items) = (self.lengths(rows), self.some(9, Random::text));
                match self.below(2) {
                    0 => Values::TextLists(TextLists { lengths, items }),
                    _ => Values::Int64Lists(Int64Lists { lengths, items: vec![7; 9] }),
                }
            }
            _ => return None,
        })
    }

    fn lengths(&mut self, rows: usize) -> Vec<u32> {
        (0..rows).map(|_| self.length()).collect()
    }

    fn column(&mut self) -> Column {
        let name = self.text();
        Column { name, null_rows: self.some(2, Random::length), values: self.values() }
    }

    fn request(&mut self) -> GetFeaturesRequest {
        let mut features = self.some(3, Random::text);
        let mut entities = self.some(3, Random::column);
        let mut in_hand =
            self.some(2, |random| InHandEvents { view: random.text(), columns: random.some(6, Random::column) });
        // Most random requests are turned down at once, so that some of their parts are right.
        if self.below(4) > 0 {
            features = vec![self.of(&["score", "wide", "wide.f_out"]).to_owned()];
            let values = (0..3).map(|_| self.int()).collect();
            let null_rows = self.some(1, Random::length);
            let id = Column { name: "id".to_owned(), null_rows, values: Some(Values::Int64s(Int64s { values })) };
            entities = vec![id];
            in_hand.iter_mut().for_each(|held| {
                held.view = features[0].split('.').next().unwrap_or_default().to_owned();
                let times = Some(Values::Timestamps(Int64s { values: (0..3).map(|_| self.int()).collect() }));
                let ids = Some(Values::Texts(Texts { values: vec![String::new(); 3] }));
                held.columns.truncate(3);
                for column in &mut held.columns {
                    column.name = self.of(&["b", "f", "g", "t", "y", "m", "l", "n", "s", "x"]).to_owned();
                }
                let column = |name: &str, values| Column { name: name.to_owned(), null_rows: Vec::new(), values };
                held.columns.extend([column("event_time", times), column("event_id", ids)]);
            });
        }
        let as_of_micros = self.of(&[None, Some(0), Some(i64::MIN), Some(i64::MAX)]);
        GetFeaturesRequest { features, entities, as_of_micros, row_digests: true, in_hand }
    }

    /// A message that is none any more.
    fn broken(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.below(4) {
            let place = self.below(message.len().max(1));
            match self.below(4) {
                0 => message.truncate(place),
                1 => message.extend(self.bytes(20)),
                // The length of something, beyond all that follows.
                2 => message.splice(place..place, [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]).for_each(drop),
                _ => message.iter_mut().skip(place).take(1).for_each(|byte| *byte = !*byte),
            }
        }
        message
    }

    /// Messages nested as deeply as some decoders would follow.
    fn deep(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        for _ in 0..self.below(400) {
            let mut outer = vec![self.of(&[0x12, 0x2A, 0x0A])];
            prost::encoding::encode_varint(message.len() as u64, &mut outer);
            outer.extend(message);
            message = outer;
        }
        message
    }
}

/// A message with its frame, which may lie.
fn framed(random: &mut Random, message: &[u8]) -> Vec<u8> {
    let honest = message.len() as u32;
    let lie = random.below(8) == 0;
    let length = if lie { random.length() } else { honest };
    let flag = if random.below(16) == 0 { random.bits() as u8 } else { 0 };
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

/// A body that is there as a whole.
struct Whole(Option<Bytes>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn status_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// The status with which a body is answered. A handler that panicked would have none.
async fn send(channel: &mut Channel, path: &str, timeout: Option<&str>, body: Vec<u8>) -> Code {
    let said = format!("{path} with {} bytes: {}", body.len(), hexed(&body));
    let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    let request = timeout.into_iter().fold(request, |request, timeout| request.header("grpc-timeout", timeout));
    let request = request.body(Body::new(Whole(Some(body.into())))).unwrap();
    let response = channel.ready().await.unwrap().call(request).await;
    let response = match response {
        Ok(response) => response,
        // The client's side looks at the time, too.
        Err(error) if is_timeout(&error) => return Code::DeadlineExceeded,
        Err(error) => panic!("{said}: {error:?}"),
    };
    let mut status = status_of(response.headers());
    let mut body = response.into_body();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame {
            Ok(frame) => status = status.or(frame.trailers_ref().and_then(status_of)),
            Err(error) => panic!("{said}: {error}"),
        }
    }
    status.unwrap_or_else(|| panic!("{said}: no status"))
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<TimeoutExpired>() || error.source().is_some_and(is_timeout)
}

fn hexed(bytes: &[u8]) -> String {
    bytes.iter().take(200).map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_request_for_features_gets_a_status_and_no_panic() {
    const SEED: u64 = 7411;
    println!("seed {SEED}");
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let types = [
        ("id", "int64"),
        ("b", "bool"),
        ("f", "float64"),
        ("g", "float32"),
        ("t", "timestamp"),
        ("y", "binary"),
        ("m", "list<float32>"),
        ("l", "list<float64>"),
        ("n", "list<int64>"),
        ("s", "list<utf8>"),
    ];
    let versions = [score(), version(1, &echo("wide", &types, |_| ()))];
    for version in &versions {
        put(&store, version, Vec::new()).await;
    }
    let server = Online::limited(Arc::new(store), views(&versions), config()).await;
    let mut channel = server.channel().await;
    let mut random = Random(SEED);
    let get = "/trifold.online.v1.OnlineService/GetFeatures";
    let mut answered = 0;
    for round in 0..3_000 {
        let request = random.request();
        let message = request.encode_to_vec();
        let code =
            send(&mut channel, get, None, [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat())
                .await;
        let clean = [Code::Ok, Code::InvalidArgument, Code::NotFound, Code::ResourceExhausted];
        assert!(clean.contains(&code), "round {round}: {code:?} for {request:?}");
        answered += u32::from(code == Code::Ok);
        let broken = match random.below(3) {
            0 => random.bytes(300),
            1 => random.deep(),
            _ => random.broken(message),
        };
        let path = random.of(&[get, "/trifold.online.v1.OnlineService/ListViews", "/grpc.health.v1.Health/Check"]);
        let timeout = random.of(&[None, None, Some("1n"), Some("99999999H"), Some("-1m"), Some("x"), Some("")]);
        let body = framed(&mut random, &broken);
        send(&mut channel, path, timeout, body).await;
    }
    assert!(answered > 50, "{answered} of the requests were right");
    for path in ["/", "/trifold.online.v1.OnlineService/", "/trifold.online.v1.OnlineService/Nothing", "/x/y"] {
        assert_eq!(send(&mut channel, path, None, vec![0; 5]).await, Code::Unimplemented, "{path}");
    }
    let oversized = framed(&mut Random(1), &vec![0; 5_000]);
    assert_eq!(send(&mut channel, get, None, oversized).await, Code::ResourceExhausted);
    let mut client = server.raw().await;
    assert_eq!(
        client.list_views(trifold_server::api::ListViewsRequest {}).await.unwrap().into_inner().views.len(),
        2
    );
    server.until(|load| (load.computing, load.queued, load.received_bytes) == (0, 0, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_request_of_an_operator_gets_a_status_and_no_panic() {
    const SEED: u64 = 7412;
    println!("seed {SEED}");
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::local(&dir.path().join("registry"), true).unwrap();
    let sandbox = Sandbox::new(SandboxConfig { instances_max: 2, ..SandboxConfig::default() }).unwrap();
    let clock = || EventTime(0);
    let process = Process { command: "test", program: "", pid: 1, started: EventTime(0) };
    let publisher = Publisher::new(Versions::new(registry.clone(), sandbox), 1 << 20);
    let admin = Admin { process, desk: Desk::new(), registry, intake: Intake::new(publisher), clock };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(admin.run(listener));
    let mut channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut random = Random(SEED);
    for _ in 0..600 {
        let (view, version) = (random.text(), random.bits());
        let (by, note) = (random.text(), random.text());
        let (method, message) = match random.below(6) {
            // A look would wait for whoever follows the releases, and nobody does.
            0 => ("GetStatus", admin::GetStatusRequest { look: false }.encode_to_vec()),
            1 => ("ListVersions", admin::ListVersionsRequest { view }.encode_to_vec()),
            2 => ("ListReleases", admin::ListReleasesRequest { view }.encode_to_vec()),
            3 => ("Release", admin::ReleaseRequest { view, version, by, note }.encode_to_vec()),
            4 => ("RollBack", admin::RollBackRequest { view, by, note }.encode_to_vec()),
            _ => {
                let part = match random.below(2) {
                    0 => admin::push_request::Part::Component(random.bytes(200)),
                    _ => admin::push_request::Part::Order(admin::PushOrder { by, note, ..Default::default() }),
                };
                ("Push", admin::PushRequest { part: Some(part) }.encode_to_vec())
            }
        };
        let path = format!("/trifold.admin.v1.AdminService/{method}");
        let body = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
        let code = send(&mut channel, &path, None, body).await;
        let unclean = [Code::Unknown, Code::Internal, Code::Unavailable];
        // The registry is empty, so that there is nothing to be had.
        assert!((code == Code::Ok) == (method == "GetStatus") && !unclean.contains(&code), "{method}: {code:?}");
        let broken = random.broken(message);
        // What is broken may by chance ask for a look.
        let path = if method == "GetStatus" { "/trifold.admin.v1.AdminService/TryOut" } else { &path };
        let body = framed(&mut random, &broken);
        let answered = tokio::time::timeout(Duration::from_secs(60), send(&mut channel, path, None, body));
        answered.await.unwrap();
    }
}
