//! Directories that cannot be used, and files that are damaged.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use trifold_model::ComponentDigest;
use trifold_registry::{RecordDamage, Registry, RegistryError};

use crate::fixtures::{DESCRIPTION, NOW, component_object, edit, name, push, release_object, serve, view};
use crate::site::{Site, over_both};

#[test]
fn a_directory_that_is_missing_or_none_is_refused() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("registry");
    let error = Registry::local(&missing, false).unwrap_err();
    assert_eq!(error, RegistryError::Missing { place: missing.clone().into() });
    assert!(error.to_string().contains("push a component first"));
    Registry::local(&missing, true).unwrap();
    Registry::local(&missing, false).unwrap();

    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Registry::local(&file, false).unwrap_err();
    assert_eq!(error, RegistryError::Open { place: file.into(), reason: "it is not a directory".to_owned() });
}

/// Nobody, not even root, may write into the kernel's own directory.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_read_only_directory_is_named() {
    let created = Registry::local(Path::new("/sys/kernel/trifold"), true).unwrap_err();
    assert!(matches!(created, RegistryError::ReadOnly { .. }), "{created:?}");
    let registry = Registry::local(Path::new("/sys/kernel"), false).unwrap();
    assert!(registry.views().await.unwrap().is_empty());
    match registry.push(b"one", &view("flights"), DESCRIPTION, NOW).await.unwrap_err() {
        RegistryError::ReadOnly { place, .. } => {
            assert_eq!(place, Path::new("/sys/kernel").join(component_object(b"one")).into());
        }
        other => panic!("{other:?}"),
    }
}

async fn a_damaged_component_is_refused_until_it_is_pushed_again(site: &Site) {
    let registry = site.make().await;
    let (version, _) = push(&registry, "flights", b"one").await;
    let (path, place) = (site.file(component_object(b"one")), site.place(&component_object(b"one")));
    let digest = ComponentDigest::of(b"one");
    for bytes in [&b"onf"[..], b"", b"one and more"] {
        fs::write(&path, bytes).unwrap();
        let damaged = RegistryError::DamagedComponent { place: place.clone(), found: ComponentDigest::of(bytes) };
        assert_eq!(registry.component(&digest).await, Err(damaged.clone()));
        assert_eq!(registry.release(&name("flights"), version, NOW).await, Err(damaged.clone()));
        assert!(damaged.is_damage() && damaged.to_string().contains(&place.to_string()));
        assert_eq!(push(&registry, "flights", b"one").await, (version, false));
        assert_eq!(registry.component(&digest).await.unwrap(), b"one");
    }
    fs::remove_file(&path).unwrap();
    let missing = registry.component(&digest).await.unwrap_err();
    assert_eq!(missing, RegistryError::MissingComponent { place });
    assert_eq!(push(&registry, "flights", b"one").await, (version, false));
    assert_eq!(registry.release(&name("flights"), version, NOW).await.unwrap().seq, 1);
}

async fn a_damaged_release_hides_no_other_view(site: &Site) {
    let registry = site.make().await;
    for view in ["airports", "flights", "tails"] {
        serve(&registry, view, b"one").await;
    }
    let (path, place) = (site.file(release_object("flights", 1)), site.place(&release_object("flights", 1)));
    let whole = fs::read_to_string(&path).unwrap();
    for (from, to, expected) in [
        ("\"seq\"", "\"sequence\"", "unknown field `sequence`"),
        ("}", "", "EOF while parsing"),
        ("\"full\"", "\"duck\"", "field kind is `duck`: this version of trifold knows `full`, "),
        ("\"full\"", "\"canary\"", "field kind is `canary`: its candidate is missing"),
        ("\"flights\"", "\"tails\"", "field view is `tails`, but the path says `flights`"),
        ("\"seq\": 1", "\"seq\": 2", "field seq is `2`, but the path says `1`"),
        ("\"digest\": \"", "\"digest\": \"ab", "field digest is `ab"),
        ("\"seq\": 1", "\"seq\": -1", "invalid value: integer `-1`"),
    ] {
        edit(&path, from, to);
        let releases = registry.releases().await.unwrap();
        assert_eq!(releases.views.keys().collect::<Vec<_>>(), [&name("airports"), &name("tails")]);
        let problem = &releases.problems[&name("flights")];
        assert!(matches!(problem, RegistryError::DamagedRecord { .. }), "{problem:?}");
        let text = problem.to_string();
        assert!(text.contains(expected) && text.contains(&place.to_string()), "{text}");
        fs::write(&path, &whole).unwrap();
    }
    fs::write(&path, vec![b' '; 5 << 20]).unwrap();
    let releases = registry.releases().await.unwrap();
    let problem = &releases.problems[&name("flights")];
    assert!(matches!(problem, RegistryError::TooLarge { bytes: 5_242_880, .. }), "{problem:?}");
    // Releasing again is the way out.
    assert_eq!(registry.release(&name("flights"), 1, NOW).await.unwrap().seq, 2);
    let releases = registry.releases().await.unwrap();
    assert_eq!((releases.views.len(), releases.problems.len()), (3, 0));
}

async fn a_damaged_version_is_an_error_and_no_obstacle(site: &Site) {
    let registry = site.make().await;
    push(&registry, "flights", b"one").await;
    let object = "views/flights/versions/0000000001.json";
    edit(&site.file(object), "\"size\"", "\"sizes\"");
    let error = registry.version(&name("flights"), 1).await.unwrap_err();
    match &error {
        RegistryError::DamagedRecord { place, damage: RecordDamage::Json(reason) } => {
            assert_eq!(*place, site.place(object));
            assert!(reason.contains("unknown field `sizes`"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(registry.versions(&name("flights")).await, Err(error.clone()));
    assert_eq!(registry.release(&name("flights"), 1, NOW).await, Err(error));
    assert_eq!(push(&registry, "flights", b"two").await, (2, true));
    assert_eq!(push(&registry, "flights", b"one").await, (3, true));
    assert_eq!(registry.release(&name("flights"), 3, NOW).await.unwrap().version, 3);
}

over_both! {
    a_damaged_component_is_refused_until_it_is_pushed_again
    a_damaged_release_hides_no_other_view
    a_damaged_version_is_an_error_and_no_obstacle
}
