//! Requests that are wrong, and what the client is told.

use tonic::Code;
use trifold_server::api::column::Values;
use trifold_server::api::{Column, GetFeaturesRequest, Int64s, Texts};

use crate::rig::{Online, echo, open, score, version, views};

fn ints(name: &str, values: &[i64]) -> Column {
    let values = Some(Values::Int64s(Int64s { values: values.to_vec() }));
    Column { name: name.to_owned(), null_rows: Vec::new(), values }
}

fn texts(name: &str, values: &[&str]) -> Column {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Column { name: name.to_owned(), null_rows: Vec::new(), values: Some(Values::Texts(Texts { values })) }
}

fn request(features: &[&str], entities: Vec<Column>) -> GetFeaturesRequest {
    let features = features.iter().map(|&feature| feature.to_owned()).collect();
    GetFeaturesRequest { features, entities, as_of_micros: None, row_digests: false, in_hand: Vec::new() }
}

#[tokio::test]
async fn a_bad_request_is_told_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let guest = echo("pair", &[("id", "int64"), ("place", "utf8")], |view| {
        view["entity"] = "id place".split(' ').collect()
    });
    let live = views(&[score(), version(1, &guest)]);
    let server = Online::start(std::sync::Arc::new(open(dir.path())), live).await;
    let mut client = server.raw().await;
    let null = |rows: &[u32]| Column { null_rows: rows.to_vec(), ..ints("id", &[1, 2]) };
    let unset = Column { values: None, ..ints("id", &[]) };
    let (invalid, missing, limit) = (Code::InvalidArgument, Code::NotFound, Code::ResourceExhausted);
    let one = || vec![ints("id", &[1])];
    let cases = [
        (request(&[], one()), invalid, vec!["no features", "`view.feature`"]),
        (request(&["score"], vec![]), invalid, vec!["no entities", "key fields"]),
        (request(&["score"], vec![ints("id", &[])]), invalid, vec!["`id`", "has no rows"]),
        (request(&["score"], vec![unset.clone()]), invalid, vec!["id", "no values"]),
        (
            request(&["pair"], vec![ints("id", &[1]), Column { name: "place".to_owned(), ..unset }]),
            invalid,
            vec!["place", "no values"],
        ),
        (request(&["score"], vec![texts("id", &["1"])]), invalid, vec!["id", "holds utf8", "must hold int64"]),
        (
            request(&["pair"], vec![ints("id", &[1, 2]), texts("place", &["x"])]),
            invalid,
            vec!["`place` has 1 rows", "`id` has 2"],
        ),
        (request(&["pair"], one()), invalid, vec!["pair", "id, place", "`place` is missing"]),
        (request(&["score"], vec![null(&[1])]), invalid, vec!["id", "row 1 is null"]),
        (request(&["score"], vec![null(&[2])]), invalid, vec!["id", "null row 2 is beyond its 2 rows"]),
        (request(&["score"], vec![ints("id", &[1]), ints("day", &[1])]), invalid, vec!["`day`", "leave it out"]),
        (request(&["score"], vec![ints("id", &[1]), ints("id", &[1])]), invalid, vec!["`id` is given twice"]),
        (request(&["score"], vec![ints("id", &[1; 101])]), limit, vec!["101 rows", "takes 100", "split it"]),
        (request(&["score"], vec![ints("id", &[1; 600])]), limit, vec!["4096 bytes"]),
        (request(&["nought"], one()), missing, vec!["`nought`", "views in force: pair, score"]),
        (request(&["no such name!"], one()), missing, vec!["`no such name!`", "views in force"]),
        (request(&["score.y"], one()), missing, vec!["score", "`y`", "it has id_out, x_out"]),
        (request(&["score.x_out.z"], one()), missing, vec!["`x_out.z`"]),
        (request(&["score."], one()), missing, vec!["no feature ``"]),
    ];
    for (request, code, parts) in cases {
        let said = format!("{:?} {:?}", request.features, request.entities);
        let status = client.get_features(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{said}: {status}");
        for part in parts {
            assert!(status.message().contains(part), "{said}: `{part}` is missing: {}", status.message());
        }
    }
    // None of it has harmed the connection.
    let answer = client.get_features(request(&["score.x_out"], one())).await.unwrap().into_inner();
    assert_eq!(answer.views[0].columns.len(), 1);
}
