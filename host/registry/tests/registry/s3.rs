//! What only an object store can do to a registry.

use std::fs;
use std::net::TcpListener;
use std::sync::OnceLock;

use trifold_registry::{Location, Registry, RegistryError, S3Settings};
use trifold_test_servers::{Proxy, S3};

use crate::fixtures::{NOW, name, push, release_object, serve, view};
use crate::gateway::{Fate, Gateway};
use crate::site::{Site, id, over_both, s3, settings};

/// An object store that does not notice a gateway's changes.
fn unsigned() -> &'static S3 {
    static STORE: OnceLock<S3> = OnceLock::new();
    STORE.get_or_init(|| S3::start_unsigned().unwrap())
}

/// A place behind a gateway.
fn behind_gateway() -> (Gateway, Site) {
    let gateway = Gateway::to(unsigned().address());
    let mut site = Site::of(unsigned());
    site.settings = settings(&gateway.endpoint);
    (gateway, site)
}

/// The files of a registry, with what is in them.
fn files(site: &Site) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![site.files.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push((path.display().to_string(), fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
fn check_unguarded(error: &RegistryError, found: &str) {
    assert!(matches!(error, RegistryError::Unguarded { .. }), "{error:?}");
    let text = error.to_string();
    for part in [found, "does not support conditional writes", "If-None-Match", "use another object store"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
}

#[tokio::test]
async fn a_store_that_passes_over_conditions_is_found_out_and_left_as_it_was() {
    let (gateway, site) = behind_gateway();
    let overwrote = "it overwrote an object that it was told to leave alone";
    gateway.plan(Fate::Unconditional, 0, usize::MAX);
    let pushed = site.create().push(b"one", &view("flights"), "{}", NOW).await.unwrap_err();
    check_unguarded(&pushed, overwrote);
    assert_eq!(files(&site), []);
    // A registry that was made while the store knew conditions.
    gateway.plan(Fate::Unconditional, 0, 0);
    let registry = site.create();
    serve(&registry, "flights", b"one").await;
    let before = files(&site);
    gateway.plan(Fate::Unconditional, 0, usize::MAX);
    check_unguarded(&site.open().release(&name("flights"), 1, NOW).await.unwrap_err(), overwrote);
    assert_eq!(files(&site), before);
    assert_eq!(site.open().releases().await.unwrap().views.len(), 1);
}

#[tokio::test]
async fn a_store_that_refuses_conditions_is_named() {
    let (gateway, site) = behind_gateway();
    gateway.plan(Fate::Answered("501 Not Implemented"), 0, usize::MAX);
    let pushed = site.create().push(b"one", &view("flights"), "{}", NOW).await.unwrap_err();
    check_unguarded(&pushed, "it answered `501 Not Implemented`");
    assert_eq!(files(&site), []);
}

/// The writes of a push and a release are those of the id, twice, of the component, the version and the release.
#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_record() {
    const WRITES: usize = 5;
    for fate in [
        Fate::AnswerLost,
        Fate::Answered("409 Conflict"),
        Fate::Answered("503 Service Unavailable"),
        Fate::Answered("429 Too Many Requests"),
    ] {
        for first in 0..WRITES {
            let (gateway, site) = behind_gateway();
            gateway.plan(fate, first, 2);
            let registry = site.create();
            assert_eq!(push(&registry, "flights", b"one").await, (1, true), "{fate:?} {first}");
            assert_eq!(registry.release(&name("flights"), 1, NOW).await.unwrap().seq, 1, "{fate:?} {first}");
            assert!(gateway.is_done(), "{fate:?} {first}");
            assert_eq!(registry.versions(&name("flights")).await.unwrap().len(), 1);
            assert_eq!(registry.history(&name("flights")).await.unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn what_stays_unclear_is_said() {
    let (gateway, site) = behind_gateway();
    let registry = site.create();
    push(&registry, "flights", b"one").await;
    gateway.plan(Fate::Answered("503 Service Unavailable"), 0, usize::MAX);
    let error = registry.release(&name("flights"), 1, NOW).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RegistryError::Unclear { .. }) && error.is_passing(), "{error:?}");
    let place = site.place(&release_object("flights", 1)).to_string();
    for part in [place.as_str(), "cannot tell whether", &gateway.endpoint, "503 Service Unavailable"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
}

/// What reading and writing fail with.
async fn failures(site: &Site) -> [RegistryError; 2] {
    let registry = site.create();
    let read = registry.views().await.unwrap_err();
    [read, registry.push(b"one", &view("flights"), "{}", NOW).await.unwrap_err()]
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_named() {
    let mut site = Site::bucket();
    site.location = Location::S3 { bucket: "nobodys".into(), key: "a".into() };
    let (place, server) = (site.location.clone(), s3().endpoint().to_owned());
    for error in failures(&site).await {
        assert_eq!(error, RegistryError::MissingBucket { place: place.clone(), server: server.clone() });
        assert!(
            error.to_string().starts_with("cannot find the registry s3://nobodys/a: http://127.0.0.1:"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn credentials_that_are_wrong_are_refused_and_stay_secret() {
    for (variable, code) in
        [("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"), ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch")]
    {
        let mut site = Site::bucket();
        site.settings.environment.iter_mut().filter(|(name, _)| name == variable).for_each(|(_, value)| {
            *value = "guessed".to_owned();
        });
        let [read, written] = failures(&site).await;
        let place = |error: &RegistryError| match error {
            RegistryError::Denied { place, reason, .. } if reason.starts_with(code) => place.clone(),
            error => panic!("{error:?}"),
        };
        assert_eq!((place(&read), place(&written)), (site.place("views"), site.place("id")));
        let text = read.to_string();
        assert!(text.starts_with("may not list s3://registries/tests/") && !text.contains('<'), "{text}");
        let told = format!("{text} {written} {:?} {:?}", site.settings, site.create());
        assert!(!told.contains(S3::SECRET_ACCESS_KEY), "{told}");
    }
}

#[tokio::test]
async fn credentials_that_are_missing_are_asked_for() {
    let mut site = Site::bucket();
    // Where machines with a role would have theirs from.
    let nowhere = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    site.settings.environment = vec![("AWS_METADATA_ENDPOINT".to_owned(), nowhere)];
    for error in failures(&site).await {
        assert!(matches!(error, RegistryError::NoCredentials { .. }), "{error:?}");
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY are not set"), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_may_come_later() {
    let mut proxy = Proxy::start(s3().address()).unwrap();
    let mut site = Site::bucket();
    site.settings = settings(&format!("http://{}", proxy.address()));
    let registry = site.create();
    serve(&registry, "flights", b"one").await;
    let mut watcher = registry.watcher();
    watcher.poll().await.unwrap();
    proxy.cut();
    let lost = watcher.poll().await.unwrap_err();
    let parts = ["cannot list", &site.place("views").to_string(), proxy.address(), "Connection refused"];
    assert!(matches!(lost, RegistryError::Unavailable { .. }) && lost.is_passing(), "{lost:?}");
    assert!(parts.iter().all(|part| lost.to_string().contains(part)), "{lost}");
    assert_eq!(watcher.poll().await, Err(lost));
    proxy.mend().unwrap();
    assert_eq!(watcher.poll().await, Ok(None));
    serve(&site.open(), "flights", b"two").await;
    assert_eq!(watcher.poll().await.unwrap().unwrap().views[&name("flights")].seq, 2);
}

#[tokio::test]
async fn nothing_below_a_prefix_is_no_registry() {
    let site = Site::bucket();
    let registry = site.open();
    let missing = RegistryError::Missing { place: site.location.clone() };
    assert_eq!(registry.views().await, Err(missing.clone()));
    assert_eq!(registry.releases().await, Err(missing.clone()));
    assert_eq!(registry.release(&name("flights"), 1, NOW).await, Err(missing.clone()));
    assert_eq!(registry.id(&id("mine")).await, Err(missing.clone()));
    assert_eq!(registry.push(b"one", &view("flights"), "{}", NOW).await, Err(missing.clone()));
    assert!(missing.to_string().contains("push a component first"));
    assert_eq!(files(&site), []);
    push(&site.create(), "flights", b"one").await;
    assert_eq!(registry.views().await.unwrap(), [name("flights")]);
}

#[test]
fn settings_that_cannot_be_right_are_refused() {
    let site = Site::bucket();
    let refused = |change: &dyn Fn(&mut S3Settings), part: &str| {
        let mut settings = site.settings.clone();
        change(&mut settings);
        let error = Registry::open(&site.location, &settings, None).unwrap_err();
        assert!(matches!(error, RegistryError::Settings { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "`{part}` is missing: {error}");
    };
    refused(&|settings| settings.allow_http = false, "`allow-http = true`");
    for endpoint in ["127.0.0.1:9000", "ftp://127.0.0.1", "http://", "https://127.0.0.1/a b", "http:///x"] {
        refused(&|settings| settings.endpoint = Some(endpoint.to_owned()), "is no address of an object store");
    }
    refused(&|settings| settings.region = Some("Elbonia 1".to_owned()), "`Elbonia 1` is no region");
    refused(&|settings| drop(settings.environment.pop()), "SecretAccessKey");
}

/// An object store lists a thousand names at once.
async fn more_names_than_a_page_are_all_there(site: &Site) {
    const COUNT: u64 = 1_100;
    let registry = site.make().await;
    serve(&registry, "flights", b"one").await;
    for number in 2..=COUNT {
        fs::copy(site.file(release_object("flights", 1)), site.file(release_object("flights", number))).unwrap();
        let other = site.file(release_object(&format!("v{number}"), 1));
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(other, "?").unwrap();
    }
    assert_eq!(registry.views().await.unwrap().len() as u64, COUNT);
    assert_eq!(registry.release(&name("flights"), 1, NOW).await.unwrap().seq, COUNT + 1);
}

over_both! {
    more_names_than_a_page_are_all_there
}
