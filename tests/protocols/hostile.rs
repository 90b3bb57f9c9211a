//! Requests from random numbers: each has a clean answer, and the next good request is answered.

use serde_json::{Value, json};
use tonic::Code;
use trifold_server::feature_store::api::OnlineFeaturesRequest;
use trifold_server::feature_store::api::feature_store_client::FeatureStoreClient;
use trifold_tests::http;
use trifold_tests::random::SplitMix64;

use crate::openapi::Contract;
use crate::site::{Site, event};

const SEED: u64 = 0x7e57;

/// Words that requests are made of, right and wrong ones.
const WORDS: [&str; 16] = [
    "features",
    "entities",
    "id",
    "types",
    "types.whole_out",
    "echoed",
    "in_hand",
    "event_time",
    "event_id",
    "whole",
    "as_of_micros",
    "row_digests",
    "int64_as_text",
    "NaN",
    "",
    "\u{0}\u{10ffff}",
];

fn word(random: &mut SplitMix64) -> String {
    WORDS[random.between(0, WORDS.len() as u64) as usize].to_owned()
}

fn value(random: &mut SplitMix64, depth: u64) -> Value {
    match random.between(0, if depth == 0 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => json!(random.between(0, 2) == 0),
        2 => json!(random.bits()),
        3 => json!(random.bits() as i64 % 5),
        4 => json!(f64::from_bits(random.bits())),
        5 | 6 => json!(word(random)),
        7 => (0..random.between(0, 4)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let members = (0..random.between(0, 5)).map(|_| (word(random), value(random, depth - 1)));
            Value::Object(members.collect())
        }
    }
}

/// A request that is right but for a random value somewhere.
fn nearly(random: &mut SplitMix64) -> Value {
    let mut request = json!({
        "features": ["types", "echoed.whole_back"], "entities": {"id": [1, 2], "whole": [1, null]},
        "in_hand": {"types": {"event_time": [1, null], "event_id": ["x", null], "whole": [1, 2]}},
    });
    let places = [
        "",
        "/features",
        "/features/0",
        "/entities",
        "/entities/id",
        "/entities/id/1",
        "/in_hand",
        "/in_hand/types",
        "/in_hand/types/event_time",
        "/in_hand/types/event_time/0",
    ];
    let place = places[random.between(0, places.len() as u64) as usize];
    *request.pointer_mut(place).unwrap() = value(random, 3);
    request
}

fn check_alive(site: &Site) {
    let good = json!({"features": ["echoed.whole_back"], "entities": {"id": [1], "whole": [5]}});
    let answer = http::features(&site.server.http, &good);
    assert_eq!(answer.json()["views"][0]["columns"], json!({"whole_back": [5]}), "{answer:?}");
}

#[test]
fn whatever_comes_over_http_has_a_clean_answer() {
    let (site, contract) = (Site::new(&[], &[]), Contract::load());
    let mut random = SplitMix64(SEED);
    for round in 0..600 {
        let body = match round % 3 {
            0 => (0..random.between(0, 200)).map(|_| random.bits() as u8).collect(),
            1 => value(&mut random, 4).to_string().into_bytes(),
            _ => nearly(&mut random).to_string().into_bytes(),
        };
        let answer = http::send(&site.server.http, "POST", "/v1/features", &body);
        let said = String::from_utf8_lossy(&body);
        match answer.status {
            200 => contract.check("FeaturesAnswer", &answer.json()),
            400 | 404 => contract.check("Problem", &answer.json()),
            other => panic!("seed {SEED:#x}, round {round}: {other} for {said}: {answer:?}"),
        }
    }
    check_alive(&site);
}

#[test]
fn nesting_does_not_reach_the_stack() {
    let site = Site::new(&[], &[]);
    let deep = |open: &str, shut: &str| {
        format!("{}{}", open.repeat(1_000_000 / open.len()), shut.repeat(1_000_000 / open.len()))
    };
    let (arrays, objects) = (deep("[", "]"), "{\"a\":".repeat(200_000));
    let bodies = [
        arrays.clone(),
        objects.clone(),
        format!("{{\"features\": {arrays}}}"),
        format!("{{\"features\": [\"types\"], \"entities\": {{\"id\": {arrays}}}}}"),
        format!("{{\"features\": [\"types\"], \"entities\": {{\"id\": [{arrays}]}}}}"),
        format!("{{\"features\": [\"echoed\"], \"entities\": {{\"id\": [1], \"wholes\": [[\"1\", {arrays}]]}}}}"),
        format!("{{\"features\": [\"types\"], \"in_hand\": {{\"types\": {{\"whole\": {objects}"),
        format!("{{\"nought\": {arrays}}}"),
    ];
    for body in bodies {
        let answer = http::send(&site.server.http, "POST", "/v1/features", body.as_bytes());
        assert_eq!(answer.status, 400, "{}: {answer:?}", &body[..60]);
    }
    check_alive(&site);
}

#[test]
fn bytes_that_are_no_http_end_their_connection() {
    let site = Site::new(&[], &[]);
    let mut random = SplitMix64(SEED);
    for _ in 0..50 {
        let bytes: Vec<u8> = (0..random.between(1, 400)).map(|_| random.bits() as u8).collect();
        http::raw(&site.server.http, &[&bytes[..], b"\r\n\r\n"].concat());
    }
    check_alive(&site);
}

#[test]
fn whatever_comes_by_id_has_a_clean_answer() {
    let place = json!({"event_time": 1, "event_id": "p", "place": "x"});
    let site = Site::new(&[event(1, 1, json!({})), place], &["types", "twice", "places"]);
    let mut random = SplitMix64(SEED);
    let ids = ["1", "-1", "9223372036854775808", "x", "", "\u{0}", "1.5", "types"];
    let names = ["id_twice", "twice.id_twice", "text_out", ".", "types.", "a.b.c", "TYPES", "\u{10ffff}"];
    site.server.runtime().block_on(async {
        let mut client = FeatureStoreClient::connect(site.server.url.clone()).await.unwrap();
        for round in 0..300 {
            let mut some = |words: &[&str]| -> Vec<String> {
                let count = random.between(0, 4);
                (0..count).map(|_| words[random.between(0, words.len() as u64) as usize].to_owned()).collect()
            };
            let request = OnlineFeaturesRequest { entity_ids: some(&ids), feature_names: some(&names) };
            if let Err(status) = client.get_online_features(request.clone()).await {
                let clean = [Code::InvalidArgument, Code::NotFound];
                assert!(clean.contains(&status.code()), "seed {SEED:#x}, round {round}, {request:?}: {status}");
            }
        }
        let entity_ids = vec!["5".to_owned()];
        let good = OnlineFeaturesRequest { entity_ids, feature_names: vec!["id_twice".to_owned()] };
        assert_eq!(client.get_online_features(good).await.unwrap().into_inner().results["5"].features.len(), 1);
    });
}
