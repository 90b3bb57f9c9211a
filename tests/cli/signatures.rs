//! Signed components, and processes that run no others.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_test_servers::free_address;
use trifold_tests::command::{Ran, Running, Trifold};
use trifold_tests::guests::component;

use crate::site::{departures, empty, log, of_view, parquet, stream};

const PROFILE: &str = "flight_profile";

/// Makes a key, and returns its file and its public key.
#[track_caller]
fn key(trifold: &Trifold, name: &str) -> (String, String) {
    let file = trifold.path(name).display().to_string();
    let made = trifold.run(["key", "new", &file, "--format", "json"]).succeeded().json();
    (file, made["public-key"].as_str().unwrap().to_owned())
}

/// The name of a public key.
fn key_id(trifold: &Trifold, file: &str) -> String {
    let shown = trifold.run(["key", "show", file, "--format", "json"]).succeeded().json();
    shown["key"].as_str().unwrap().to_owned()
}

fn push(trifold: &Trifold, features: &[&str], more: &[&str]) -> Ran {
    let wasm = component("flight-profile", features).path.clone();
    trifold.run(["push", wasm.to_str().unwrap()].iter().chain(more))
}

fn digest(features: &[&str]) -> String {
    component("flight-profile", features).digest.to_string()
}

/// A configuration file that trusts keys, whose processes look at the registry when they are told to.
fn trusting(trifold: &Trifold, keys: &[&str]) {
    let keys = keys.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
    let patient = "[server]\npoll-interval-ms = 3600000\n";
    fs::write(trifold.path("signed.toml"), format!("{patient}[signatures]\ntrusted-keys = [{keys}]\n")).unwrap();
}

const SIGNED: [&str; 2] = ["--config", "signed.toml"];

fn serve(trifold: &Trifold) -> (Running, String) {
    let address = free_address().unwrap();
    let running = trifold.start(["serve", "--admin", &address].iter().chain(&SIGNED));
    (running, format!("http://{address}"))
}

/// What a process says of the view, after a look.
fn standing(trifold: &Trifold, url: &str) -> Value {
    let status = trifold.run(["status", url, "--format", "json"]).succeeded().json();
    status[0]["views"][0].clone()
}

/// The version that answers a lookup.
fn answering(trifold: &Trifold, server: &Running) -> Value {
    let get = ["get", PROFILE, "--key", "carrier=UA,flight=1545", "--as-of", "0", "--format", "json"];
    let answer = trifold.run(get.iter().chain(&["--server", &server.url])).succeeded();
    answer.json()["rows"][0]["views"][0]["version"].clone()
}

#[test]
fn a_runtime_runs_what_its_keys_have_signed_and_nothing_else() {
    let trifold = empty();
    parquet(&log(&trifold).join("0.parquet"), &departures(50));
    let (ours, public) = key(&trifold, "ci.key");
    let (theirs, _) = key(&trifold, "other.key");
    trusting(&trifold, &[&public]);
    let pushed = push(&trifold, &[], &["--sign", &ours, "--format", "json"]).succeeded().json();
    assert_eq!(pushed["signed-by"], key_id(&trifold, &ours));
    trifold.run(["release", PROFILE].iter().chain(&SIGNED)).succeeded();
    stream(&trifold).succeeded();
    let (server, url) = serve(&trifold);
    assert_eq!(answering(&trifold, &server), 1);

    // Pushed and released by somebody who trusts anybody.
    push(&trifold, &["v2"], &[]).succeeded();
    let unsigned =
        ["flight_profile@2", &digest(&["v2"]), "nobody has signed it", "`trifold sign flight_profile@2"];
    let release = ["release", "flight_profile@2", "--process", &url];
    trifold.run(release.iter().chain(&SIGNED)).refused(Exit::Refused, &unsigned);
    trifold.run(release).succeeded();
    let held_back = standing(&trifold, &url);
    assert_eq!((&held_back["version"], &held_back["release"]), (&1.into(), &1.into()));
    assert_eq!(held_back["waiting"]["release"], 2);
    let reason = held_back["waiting"]["reason"].as_str().unwrap();
    for part in ["view flight_profile, release 2: "].iter().chain(&unsigned) {
        assert!(reason.contains(part), "`{part}` is not in {reason}");
    }
    assert_eq!(answering(&trifold, &server), 1);

    // Another's signature changes nothing but the reason; ours lets the very release in.
    let sign = |file: &str| trifold.run(["sign", "flight_profile@2", "--key", file]);
    sign(&theirs).succeeded();
    let told = trifold.run(release).succeeded();
    assert!(told.stderr.contains(&key_id(&trifold, &theirs)) && told.stderr.contains("not trusted"), "{told:?}");
    let said = sign(&ours).succeeded().stdout;
    assert!(said.starts_with("signed flight_profile@2") && said.contains(&digest(&["v2"])), "{said}");
    trifold.run(release.iter().chain(&["--wait", "30"])).succeeded();
    let running = standing(&trifold, &url);
    assert_eq!(
        (&running["version"], &running["release"], &running["waiting"]),
        (&2.into(), &2.into(), &Value::Null)
    );
    assert_eq!(answering(&trifold, &server), 2);

    assert!(sign(&ours).succeeded().stdout.starts_with("already signed:"));
    let listed = trifold.run(["versions", PROFILE, "--format", "json"].iter().chain(&SIGNED)).succeeded().json();
    let signatures = |version: usize| {
        let found = listed[version]["signatures"].as_array().unwrap().iter();
        let mut found: Vec<_> = found.map(|of| (of["key"].as_str().unwrap(), of["trusted"] == true)).collect();
        found.sort_unstable();
        found.into_iter().map(|(key, trusted)| (key.to_owned(), trusted)).collect::<Vec<_>>()
    };
    let (ours, theirs) = (key_id(&trifold, &ours), key_id(&trifold, &theirs));
    assert_eq!(signatures(0), [(ours.clone(), true)]);
    let mut both = [(ours.clone(), true), (theirs, false)];
    both.sort();
    assert_eq!(signatures(1), both);
    let text = trifold.run(["versions", PROFILE]).succeeded().stdout;
    assert!(text.contains("SIGNED BY KEY") && text.contains(&ours[..12]), "{text}");
}

/// The component is in the compile cache of all of them: the signature is looked for all the same.
#[test]
fn every_command_that_runs_a_version_asks_for_a_signature() {
    let trifold = empty();
    parquet(&log(&trifold).join("0.parquet"), &departures(50));
    let (ours, public) = key(&trifold, "ci.key");
    push(&trifold, &[], &["--release"]).succeeded();
    stream(&trifold).succeeded();
    let log = log(&trifold).display().to_string();
    let events = ["--events", &log];
    let trusted = ["--trusted-keys", &public];
    let parts = ["flight_profile@1", &digest(&[]), "nobody has signed it"];
    let commands: [&[&str]; 5] = [
        &["backfill", PROFILE, "--out", "out", "--events", &log],
        &["explain", PROFILE, "UA", "1545", "--as-of", "0", "--events", &log],
        &["audit", PROFILE, "--events", &log],
        &["inspect", PROFILE],
        &["rollback", PROFILE],
    ];
    for command in &commands[..4] {
        trifold.run(command.iter().chain(&trusted)).refused(Exit::Refused, &parts);
    }
    let streamed = trifold.run(["stream"].iter().chain(&events).chain(&trusted));
    streamed.refused(Exit::Data, &parts);
    // So does what the environment says, and a release that takes another back.
    push(&trifold, &["v2"], &["--release"]).succeeded();
    let rollback = Ran::of(trifold.command(commands[4]).env("TRIFOLD_TRUSTED_KEYS", &public));
    rollback.refused(Exit::Refused, &parts);

    // A push may be signed by what the file and the environment say, too.
    fs::write(trifold.path("trifold.toml"), "[signatures]\nkey = \"ci.key\"\n").unwrap();
    assert!(push(&trifold, &[], &[]).succeeded().stdout.contains("signed by key"));
    trifold.run(["rollback", PROFILE].iter().chain(&trusted)).succeeded();
    for command in &commands[..4] {
        trifold.run(command.iter().chain(&trusted)).succeeded();
    }
    assert_eq!(
        of_view(
            &trifold.run(["stream", "--format", "json"].iter().chain(&events).chain(&trusted)).json(),
            PROFILE
        )["version"],
        1
    );

    // A signature that was damaged is none, and made again by signing.
    let id = key_id(&trifold, &ours);
    let signature = trifold.data(format!("registry/components/sha256/{}/signatures/{id}", digest(&[])));
    let whole = fs::read(&signature).unwrap();
    fs::write(&signature, &whole[1..]).unwrap();
    let damaged = ["flight_profile@1", &id, "does not hold", "sign again to restore it"];
    trifold.run(commands[0].iter().chain(&trusted)).refused(Exit::Refused, &damaged);
    assert!(trifold.run(["versions", PROFILE]).succeeded().stdout.contains("(damaged)"));
    let sign = Ran::of(trifold.command(["sign", "flight_profile@1"]).env("TRIFOLD_SIGN_KEY", &ours));
    assert!(sign.succeeded().stdout.starts_with("signed"));
    assert_eq!(fs::read(&signature).unwrap(), whole);
}

#[test]
fn a_private_key_is_its_owners_and_made_once() {
    let trifold = empty();
    let (file, public) = key(&trifold, "ci.key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(trifold.run(["key", "show", &file]).succeeded().stdout.trim_end(), public);
    trifold.run(["key", "new", &file]).refused(Exit::Usage, &[&file, "exists", "name another file"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_ne!(key(&trifold, "another.key").1, public);
    trifold.run(["key", "new", "none/ci.key"]).refused(Exit::Io, &["cannot write the key none/ci.key"]);
}

#[test]
fn what_is_no_key_is_named_and_nothing_is_pushed() {
    let trifold = empty();
    let (file, public) = key(&trifold, "ci.key");
    fs::write(trifold.path("ci.pub"), &public).unwrap();
    fs::write(trifold.path("noise"), [0xFF; 40]).unwrap();
    for (name, exit, part) in [
        ("ci.pub", Exit::Data, "it holds a public key, with which nothing can be signed"),
        ("noise", Exit::Data, "it holds no private key"),
        ("none", Exit::NotFound, "cannot read none"),
        (".", Exit::Usage, "is a directory"),
    ] {
        push(&trifold, &[], &["--sign", name]).refused(exit, &[name, part]);
        trifold.run(["key", "show", name]).refused(exit, &[name, part]);
    }
    assert!(!trifold.data("registry").exists());

    push(&trifold, &[], &[]).succeeded();
    trifold.run(["sign", "flight_profile@1"]).refused(Exit::Usage, &["no key is named", "trifold key new"]);
    let sign = |version: &str| trifold.run(["sign", version, "--key", &file]);
    sign(PROFILE).refused(Exit::Usage, &["names no version", "flight_profile@2"]);
    sign("flight_profile@2").refused(Exit::NotFound, &["has no version 2"]);
    // What nobody can look at, nobody vouches for.
    let blob = trifold.data(format!("registry/components/sha256/{}.wasm", digest(&[])));
    fs::write(&blob, "no component").unwrap();
    sign("flight_profile@1").refused(Exit::Data, &["is damaged"]);

    // A secret that stands in the wrong place is not told to whoever reads the logs.
    let secret = fs::read_to_string(&file).unwrap();
    trusting(&trifold, &[&public, secret.trim_end(), "ed25519:12"]);
    let parts = [
        "signatures.trusted-keys: number 2: it is a private key",
        "number 3: it is no public key",
        "64 hexadecimal",
    ];
    let refused = trifold.run(["views"].iter().chain(&SIGNED)).refused(Exit::Usage, &parts);
    assert!(!refused.stderr.contains(secret.trim_end()), "{refused:?}");
    trifold.run(["views", "--trusted-keys", "ci.key"]).refused(Exit::Usage, &["--trusted-keys", "no public key"]);
    let shown = trifold.run(["config", "--trusted-keys", &public]).succeeded().stdout;
    assert!(shown.contains(&format!("trusted-keys = [\"{public}\"]")), "{shown}");
}
