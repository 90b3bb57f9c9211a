//! Requests over HTTP that are wrong, and what the client is told.

use serde_json::{Value, json};
use trifold_tests::http;

use crate::openapi::Contract;
use crate::site::Site;

#[test]
fn a_wrong_request_is_told_what_is_wrong_with_it() {
    let (site, contract) = (Site::new(&[], &[]), Contract::load());
    let types = |entities: Value| json!({"features": ["types"], "entities": entities});
    let echoed = |name: &str, value: Value| json!({"features": ["echoed"], "entities": {"id": [1, 2], name: [null, value]}});
    let long: Vec<i64> = (0..10_001).collect();
    let cases = [
        (json!([]), 400, vec!["no JSON object"]),
        (json!({"features": ["types"], "entitys": {}}), 400, vec!["unknown field `entitys`", "line 1"]),
        (json!({"features": "types"}), 400, vec!["the body is no request", "expected a sequence"]),
        (json!({"features": []}), 400, vec!["no features are asked for"]),
        (json!({"features": ["types"]}), 400, vec!["no entities"]),
        (json!({"features": ["nought"]}), 404, vec!["no view `nought`", "pairs, places, twice, types"]),
        (json!({"features": ["types.x"]}), 404, vec!["no feature `x`"]),
        (types(json!({"id": 1})), 400, vec!["column `id` is no array"]),
        (types(json!({"id": []})), 400, vec!["has no rows"]),
        (types(json!({"id": [1], "day": [1]})), 400, vec!["`day`", "leave it out"]),
        (types(json!({"id": [1, 1.5]})), 400, vec!["column `id`, row 1", "int64", "1.5"]),
        (types(json!({"id": [9_223_372_036_854_775_808_u64]})), 400, vec!["`id`, row 0", "9223372036854775808"]),
        (types(json!({"id": ["x"]})), 400, vec!["`id`, row 0", "\"x\""]),
        (types(json!({"id": [true]})), 400, vec!["`id`, row 0", "true"]),
        (types(json!({"id": [null]})), 400, vec!["id", "row 0 is null"]),
        (types(json!({"id": long})), 413, vec!["10001 rows", "split it"]),
        (echoed("single", json!(1e39)), 400, vec!["`single`, row 1", "float32"]),
        (echoed("double", json!(9_007_199_254_740_993_i64)), 400, vec!["`double`, row 1", "float64"]),
        (echoed("double", json!("1.0")), 400, vec!["`double`, row 1"]),
        (echoed("bytes", json!("?")), 400, vec!["`bytes`, row 1", "base64"]),
        (echoed("flag", json!(1)), 400, vec!["`flag`, row 1", "bool"]),
        (echoed("text", json!(1)), 400, vec!["`text`, row 1"]),
        (echoed("moment", json!(0.5)), 400, vec!["`moment`, row 1"]),
        (echoed("wholes", json!([1, null])), 400, vec!["`wholes`, row 1", "item 1 is null"]),
        (echoed("wholes", json!([[1]])), 400, vec!["`wholes`, row 1"]),
        (json!({"features": ["types"], "entities": {"id": [1]}, "as_of_micros": 1.5}), 400, vec!["as_of_micros"]),
        (
            json!({"features": ["types"], "entities": {"id": [1]}, "in_hand": {"types": {"price": [1]}}}),
            400,
            vec!["events in hand of view types", "`price` is no field"],
        ),
        (
            json!({"features": ["types"], "entities": {"id": [1]}, "in_hand": {"gone": {}}}),
            404,
            vec!["no view `gone`"],
        ),
    ];
    for (request, status, parts) in cases {
        let answer = http::features(&site.server.http, &request);
        let problem = answer.json();
        contract.check("Problem", &problem);
        assert_eq!((answer.status, &problem["status"]), (status, &json!(status)), "{request}: {problem}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let message = problem["message"].as_str().unwrap();
        for part in parts {
            assert!(message.contains(part), "{request}: `{part}` is missing: {message}");
        }
    }
    let text = br#"{"features": ["types"], "entities": {"id": [1], "id": [2]}}"#;
    let twice = http::send(&site.server.http, "POST", "/v1/features", text);
    assert!(twice.status == 400 && twice.body.contains("`id` stands twice"), "{twice:?}");
}

#[test]
fn paths_and_methods_that_there_are_not() {
    let (site, contract) = (Site::new(&[], &[]), Contract::load());
    for (method, path, status) in [
        ("GET", "/", 404),
        ("POST", "/v1/nought", 404),
        ("GET", "/v1/features", 405),
        ("DELETE", "/v1/views", 405),
    ] {
        let answer = http::send(&site.server.http, method, path, b"");
        assert_eq!(answer.status, status, "{answer:?}");
        contract.check("Problem", &answer.json());
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{answer:?}");
    }
    let ready = http::send(&site.server.http, "GET", "/ready", b"");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
}
