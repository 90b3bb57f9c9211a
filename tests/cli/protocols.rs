//! HTTP and lookups by ids, as the command and its configuration offer them.

use std::fs;

use serde_json::json;
use tonic::Code;
use trifold_cli::exit::Exit;
use trifold_server::feature_store::api::OnlineFeaturesRequest;
use trifold_server::feature_store::api::feature_store_client::FeatureStoreClient;
use trifold_tests::command::Trifold;
use trifold_tests::http;
use trifold_tests::online::runtime;

use crate::site::{departures, empty, log, parquet, stream, with_views};

fn by_id(url: &str) -> Result<usize, tonic::Status> {
    let entity_ids = vec!["N14228".to_owned()];
    let request = OnlineFeaturesRequest { entity_ids, feature_names: Vec::new() };
    runtime().block_on(async {
        let mut client = FeatureStoreClient::connect(url.to_owned()).await.unwrap();
        Ok(client.get_online_features(request).await?.into_inner().results.len())
    })
}

#[test]
fn flags_and_the_file_offer_the_other_protocols() {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(9));
    stream(&trifold).succeeded();
    let running = trifold.start(["serve", "--http", "127.0.0.1:0", "--feature-store-views", "aircraft_status"]);
    let address = running.http.as_ref().unwrap().trim_start_matches("http://").to_owned();
    let request = json!({"features": ["flight_profile"], "entities": {"carrier": ["UA"], "flight": [1545]}});
    let answer = http::features(&address, &request);
    assert_eq!((answer.status, &answer.json()["views"][0]["view"]), (200, &json!("flight_profile")), "{answer:?}");
    assert_eq!(by_id(&running.url).unwrap(), 1);
    running.terminate();
    running.wait().succeeded();

    let file = "[server]\nhttp-listen = \"127.0.0.1:0\"\nfeature-store-views = [\"aircraft_status\"]\n";
    fs::write(trifold.path("trifold.toml"), file).unwrap();
    let running = trifold.start(["serve"]);
    assert!(running.http.is_some());
    assert_eq!(by_id(&running.url).unwrap(), 1);
    drop(running);

    fs::remove_file(trifold.path("trifold.toml")).unwrap();
    let running = trifold.start(["serve"]);
    assert_eq!((running.http.as_deref(), by_id(&running.url).unwrap_err().code()), (None, Code::Unimplemented));
}

#[test]
fn what_cannot_be_offered_is_refused() {
    let trifold = with_views();
    let serve = |more: &[&str]| trifold.run(["serve", "--listen", "127.0.0.1:0"].iter().chain(more));
    serve(&["--http", "localhost"]).refused(Exit::Usage, &["--http", "no address with a port"]);
    let parts = ["view flight_profile cannot be served by an id", "carrier, flight", "feature-store-views"];
    serve(&["--feature-store-views", "flight_profile"]).refused(Exit::Usage, &parts);
    serve(&["--feature-store-views", "Flights!"]).refused(Exit::Usage, &["Flights!"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    serve(&["--http", &address]).refused(Exit::Unavailable, &["cannot listen on", &address, "--http"]);

    let file = "[server]\nhttp-listen = \"here\"\nreceive-ms = 0\nfeature-store-views = [\"a\", \"a\", \"B\"]\n";
    let other: Trifold = empty();
    fs::write(other.path("trifold.toml"), file).unwrap();
    let parts = [
        "server.http-listen: `here`: it is no address with a port",
        "server.receive-ms: it must be at least 1",
        "server.feature-store-views: `a` stands twice",
        "server.feature-store-views: `B`",
    ];
    other.run(["config"]).refused(Exit::Usage, &parts);
}
