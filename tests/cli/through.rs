//! Components that are pushed through a process, from where the registry is out of reach.

use std::fs;
use std::thread;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_model::ComponentDigest;
use trifold_registry::PrivateKey;
use trifold_server::admin::api::admin_service_client::AdminServiceClient;
use trifold_server::admin::api::push_request::Part;
use trifold_server::admin::api::{PushOrder, PushRequest};
use trifold_test_servers::free_address;
use trifold_tests::command::{Ran, Running, Trifold};
use trifold_tests::guests::component;
use trifold_tests::online::runtime;

use crate::site::{departures, empty, log, parquet, stream, with_views};

/// A server over a registry, which nobody looks at before the test is over unless they are told to.
fn serve(trifold: &Trifold, more: &str) -> (Running, String) {
    let config = format!("[server]\npoll-interval-ms = 3600000\n{more}");
    fs::write(trifold.path("trifold.toml"), config).unwrap();
    let address = free_address().unwrap();
    (trifold.start(["serve", "--admin", &address]), format!("http://{address}"))
}

/// Pushes a guest from a machine that has no registry.
fn push(client: &Trifold, url: &str, (package, features): (&str, &[&str]), more: &[&str]) -> Ran {
    let wasm = component(package, features).path.clone();
    client.run(["push", wasm.to_str().unwrap(), "--through", url, "--format", "json"].iter().chain(more))
}

fn versions(trifold: &Trifold, view: &str) -> Vec<Value> {
    trifold.run(["versions", view, "--format", "json"]).succeeded().json().as_array().unwrap().clone()
}

/// The command line of a lookup, of which the server at `url` is asked.
fn get(url: &str) -> Vec<&str> {
    let key = "carrier=UA,flight=1545";
    vec!["get", "flight_profile", "--key", key, "--as-of", "0", "--format", "json", "--server", url]
}

#[test]
fn a_process_publishes_what_a_push_beside_the_registry_would() {
    let (server, client) = (with_views(), empty());
    parquet(&log(&server).join("0.parquet"), &departures(50));
    stream(&server).succeeded();
    let (running, url) = serve(&server, "");
    let v2: (&str, &[&str]) = ("flight-profile", &["v2"]);
    client.run(["key", "new", "ci.key"]).succeeded();
    let said = ["--release", "--by", "ada", "--note", "from afar", "--sign", "ci.key"];
    let pushed = push(&client, &url, v2, &said).succeeded().json();
    let digest = component(v2.0, v2.1).digest.to_string();
    assert_eq!((&pushed["view"], &pushed["version"]), (&"flight_profile".into(), &2.into()));
    assert_eq!((&pushed["digest"], &pushed["new"]), (&digest.as_str().into(), &true.into()));
    assert_eq!(pushed["release"], 2);
    assert!(!client.data("registry").exists(), "the client has no registry");
    let answer = client.run(get(&running.url)).succeeded().json();
    assert_eq!(answer["rows"][0]["views"][0]["version"], 2, "the process runs it as soon as it has answered");

    let through = &versions(&server, "flight_profile")[1];
    assert_eq!((&through["pushed-by"], &through["note"]), (&"ada".into(), &"from afar".into()));
    assert_eq!(through["signatures"][0]["key"], pushed["signed-by"]);
    // The very record that the command makes where the registry is.
    let beside = empty();
    beside.run(["push", component(v2.0, v2.1).path.to_str().unwrap()]).succeeded();
    let beside = &versions(&beside, "flight_profile")[0];
    for same in ["digest", "bytes", "state-id", "toolchain", "gate"] {
        assert_eq!(through[same], beside[same], "{same}");
    }

    let again = push(&client, &url, v2, &["--release"]).succeeded().json();
    assert_eq!((&again["version"], &again["new"], &again["release"]), (&2.into(), &false.into(), &2.into()));
    let text = client.run(["push", component(v2.0, v2.1).path.to_str().unwrap(), "--through", &url]);
    assert!(text.succeeded().stdout.starts_with("already pushed: flight_profile@2"));
    // Others are told of a release as they are of any.
    let told = ["--release", "--process", &url, "--wait", "30"];
    let back = push(&client, &url, ("flight-profile", &[]), &told).succeeded().json();
    assert_eq!((&back["version"], &back["release"]), (&1.into(), &3.into()));
}

#[test]
fn what_the_gate_says_is_said_through_a_process() {
    let (server, client) = (with_views(), empty());
    let (_running, url) = serve(&server, "");
    let beside = |package: &str, features: &[&str]| {
        server.run(["push", component(package, features).path.to_str().unwrap()])
    };
    beside("window-fold", &[]).succeeded();
    for (guest, parts) in [
        // Compared with the version whose state it would share.
        (("window-fold", &["repacked"][..]), ["state shared with earlier versions: ", "raise `state_version`"]),
        (("static-counter", &[]), ["the publish gate refuses component", "all rows in one batch: "]),
        (("departure-context", &[]), ["cannot read what it asks for", "push and release it first"]),
    ] {
        let through = push(&client, &url, guest, &["--release"]).refused(Exit::Refused, &parts);
        assert_eq!(through.stderr, beside(guest.0, guest.1).refused(Exit::Refused, &[]).stderr);
    }
    fs::write(client.path("notes.txt"), "no component").unwrap();
    let notes = ["push", "notes.txt", "--through", &url];
    client.run(notes).refused(Exit::Data, &["notes.txt: this is not WebAssembly"]);
    let views = server.run(["views"]).succeeded().stdout;
    assert!(!views.contains("static_counter") && !views.contains("departure_context"), "{views}");
}

#[test]
fn what_a_process_may_not_run_is_pushed_and_not_released() {
    let (server, client) = (with_views(), empty());
    let made = client.run(["key", "new", "ci.key", "--format", "json"]).succeeded().json();
    let trusted = format!("[signatures]\ntrusted-keys = [{}]\n", made["public-key"]);
    let (_running, url) = serve(&server, &trusted);
    let v2: (&str, &[&str]) = ("flight-profile", &["v2"]);
    let parts = ["flight_profile@2 is pushed, but not released", "nobody has signed it", "`trifold sign flight"];
    let through = push(&client, &url, v2, &["--release"]).refused(Exit::Refused, &parts);
    let beside = server.run(["push", component(v2.0, v2.1).path.to_str().unwrap(), "--release"]);
    assert_eq!(through.stderr, beside.refused(Exit::Refused, &[]).stderr);
    assert_eq!(versions(&server, "flight_profile")[1]["release"], Value::Null);
    let signed = push(&client, &url, v2, &["--release", "--sign", "ci.key"]).succeeded().json();
    assert_eq!((&signed["new"], &signed["release"]), (&false.into(), &2.into()));
}

#[test]
fn limits_and_addresses() {
    let (server, client) = (with_views(), empty());
    let (running, url) = serve(&server, "[sandbox]\ncomponent-bytes-max = 20000\n");
    let v2: (&str, &[&str]) = ("flight-profile", &["v2"]);
    let parts = ["component size limit of 20000 bytes reached", "`component-bytes-max` of the process"];
    push(&client, &url, v2, &[]).refused(Exit::Data, &parts);
    // Larger than any message.
    fs::write(client.path("large.wasm"), vec![0; 9 << 20]).unwrap();
    client.run(["push", "large.wasm", "--through", &url]).refused(Exit::Data, &parts);
    push(&client, &running.url, v2, &[]).refused(Exit::Unavailable, &["name the address of its `--admin`"]);
    let nobody = format!("http://{}", free_address().unwrap());
    push(&client, &nobody, v2, &[]).refused(Exit::Unavailable, &["no server answers at", &nobody]);
    push(&client, &url, v2, &["--sample", "rows.jsonl"]).refused(Exit::Usage, &["--through", "--sample"]);
    assert_eq!(versions(&server, "flight_profile").len(), 1);
}

/// What the command never sends.
#[test]
fn a_push_that_is_not_in_order() {
    let server = with_views();
    let (_running, url) = serve(&server, "");
    let wasm = &component("flight-profile", &["v2"]).component;
    let of_another = PrivateKey::of_seed([1; 32]).unwrap().sign(&ComponentDigest::of(b"another"));
    let bytes = || Part::Component(wasm.clone());
    let signed =
        |signature: &str| Part::Order(PushOrder { signature: signature.to_owned(), ..PushOrder::default() });
    let sent = |parts: Vec<Part>| {
        runtime().block_on(async {
            let mut client = AdminServiceClient::connect(url.clone()).await.unwrap();
            let requests = parts.into_iter().map(|part| PushRequest { part: Some(part) });
            client.push(futures::stream::iter(requests.collect::<Vec<_>>())).await.unwrap_err()
        })
    };
    for (parts, said) in [
        (vec![], "the first message of a push has the order"),
        (vec![bytes()], "the first message of a push has the order"),
        (vec![signed(""), signed("")], "the messages behind the order have bytes"),
        (vec![signed("ed25519:00"), bytes()], "the signature: it is no signature"),
        (vec![signed(&of_another.to_string()), bytes()], "is none of component"),
        (vec![signed("")], "this is not WebAssembly"),
    ] {
        let status = sent(parts);
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
        assert!(status.message().contains(said), "`{said}` is not in {status}");
    }
    assert_eq!(versions(&server, "flight_profile").len(), 1);
}

/// Each waits for its turn, and lookups are answered meanwhile.
#[test]
fn several_push_through_one_process_at_once() {
    let server = with_views();
    parquet(&log(&server).join("0.parquet"), &departures(50));
    stream(&server).succeeded();
    let (running, url) = serve(&server, "");
    let guests: [(&str, &[&str]); 4] =
        [("flight-profile", &["v2"]), ("aircraft", &[]), ("airport-load", &[]), ("carrier-load", &[])];
    // Made before, so that the pushes meet.
    guests.iter().for_each(|(package, features)| drop(component(package, features)));
    let pushed = thread::scope(|scope| {
        let url = &url;
        let pushing: Vec<_> =
            guests.iter().map(|guest| scope.spawn(move || push(&empty(), url, *guest, &[]))).collect();
        let mut lookups = 0;
        while lookups == 0 || !pushing.iter().all(|push| push.is_finished()) {
            server.run(get(&running.url)).succeeded();
            lookups += 1;
        }
        pushing.into_iter().map(|push| push.join().unwrap().succeeded().json()).collect::<Vec<_>>()
    });
    let told: Vec<_> = pushed.iter().map(|pushed| (pushed["version"].clone(), pushed["new"].clone())).collect();
    let version = |number: u64, new: bool| (Value::from(number), Value::from(new));
    assert_eq!(told, [version(2, true), version(1, false), version(1, true), version(1, true)]);
}
