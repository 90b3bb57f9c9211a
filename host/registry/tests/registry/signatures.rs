//! Signatures of components, and running none without.

use std::fs;
use std::path::PathBuf;

use trifold_model::ComponentDigest;
use trifold_registry::{KeyId, PrivateKey, Registry, RegistryError, TrustedKeys};

use crate::fixtures::{NOW, component_object, edit, name, push, release_object, serve};
use crate::site::{Site, over_both};

fn key(seed: u8) -> PrivateKey {
    PrivateKey::of_seed([seed; 32]).unwrap()
}

/// What may run where these keys are trusted.
fn trusting(site: &Site, keys: &[&PrivateKey]) -> Registry {
    site.open().trusting(keys.iter().map(|key| key.public()).collect())
}

fn signature_object(wasm: &[u8], key: &PrivateKey) -> String {
    format!("components/sha256/{}/signatures/{}", ComponentDigest::of(wasm), key.public().id())
}

async fn run(registry: &Registry, wasm: &[u8]) -> Result<Vec<u8>, RegistryError> {
    registry.runnable(&name("flights"), 1, &ComponentDigest::of(wasm)).await
}

/// The keys whose signatures lie beside a component, each with whether it holds.
async fn found(registry: &Registry, wasm: &[u8]) -> Vec<(KeyId, bool)> {
    let found = registry.signatures(&ComponentDigest::of(wasm)).await.unwrap();
    found.into_iter().map(|found| (found.key, found.problem.is_none())).collect()
}

async fn a_component_is_signed_once_by_each_key_and_stays_as_it_was(site: &Site) {
    let registry = site.make().await;
    push(&registry, "flights", b"one").await;
    let pushed =
        ["views/flights/versions/0000000001.json", &component_object(b"one")].map(|object| site.file(object));
    let read = |files: &[PathBuf]| files.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    let before = read(&pushed);
    let digest = ComponentDigest::of(b"one");
    assert_eq!(found(&registry, b"one").await, []);
    for key in [key(1), key(2)] {
        assert_eq!(registry.sign(&digest, &key.sign(&digest)).await, Ok(true));
        assert_eq!(site.open().sign(&digest, &key.sign(&digest)).await, Ok(false));
    }
    let mut keys = [key(1).public().id(), key(2).public().id()];
    keys.sort();
    assert_eq!(found(&registry, b"one").await, keys.map(|key| (key, true)));
    assert_eq!(read(&pushed), before);
    // Somebody else's file is no signature.
    fs::write(site.file(signature_object(b"one", &key(1))).with_file_name("README"), "").unwrap();
    assert_eq!(found(&registry, b"one").await.len(), 2);
    // A signature of another component is refused before it is written.
    let wrong = registry.sign(&digest, &key(3).sign(&ComponentDigest::of(b"two"))).await.unwrap_err();
    assert_eq!(wrong, RegistryError::WrongSignature { digest, key: key(3).public().id() });
    assert_eq!(found(&registry, b"one").await.len(), 2);
}

async fn what_no_trusted_key_has_signed_does_not_run(site: &Site) {
    let anybody = site.make().await;
    assert_eq!(serve(&anybody, "flights", b"one").await, 1);
    let (ours, others) = (key(1), key(2));
    let registry = trusting(site, &[&ours, &key(9)]);
    let digest = ComponentDigest::of(b"one");
    let refused = run(&registry, b"one").await.unwrap_err();
    let found = Vec::new();
    assert_eq!(refused, RegistryError::Untrusted { view: name("flights"), version: 1, digest, found });
    let text = refused.to_string();
    for part in ["flights@1", &digest.to_string(), "nobody has signed it", "`trifold sign flights@1 --key FILE`"] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(!refused.is_damage() && !refused.is_passing() && !refused.is_unknown());
    assert_eq!(registry.release(&name("flights"), 1, NOW).await, Err(refused));
    assert!(!site.file(release_object("flights", 2)).exists());

    anybody.sign(&digest, &others.sign(&digest)).await.unwrap();
    let text = run(&registry, b"one").await.unwrap_err().to_string();
    assert!(text.contains(&format!("key {}, which is not trusted", others.public().id())), "{text}");
    anybody.sign(&digest, &ours.sign(&digest)).await.unwrap();
    assert_eq!(run(&registry, b"one").await.unwrap(), b"one");
    assert_eq!(registry.release(&name("flights"), 1, NOW).await.unwrap().seq, 2);
    assert_eq!(run(&trusting(site, &[&others]), b"one").await.unwrap(), b"one");

    // The component is read whoever has signed it.
    fs::write(site.file(component_object(b"one")), b"onf").unwrap();
    assert!(matches!(run(&registry, b"one").await, Err(RegistryError::DamagedComponent { .. })));
    assert!(TrustedKeys::default().is_empty() && anybody.trusted().is_empty());
}

async fn a_damaged_signature_is_none_until_it_is_made_again(site: &Site) {
    let anybody = site.make().await;
    for wasm in [b"one", b"two"] {
        push(&anybody, "flights", wasm).await;
        for key in [key(1), key(2)] {
            let digest = ComponentDigest::of(wasm);
            anybody.sign(&digest, &key.sign(&digest)).await.unwrap();
        }
    }
    let registry = trusting(site, &[&key(1)]);
    let (object, digest) = (signature_object(b"one", &key(1)), ComponentDigest::of(b"one"));
    let path = site.file(&object);
    let whole = fs::read_to_string(&path).unwrap();
    let of_another = |object: String| fs::read_to_string(site.file(object)).unwrap();
    let last = whole.trim_end().chars().last().unwrap();
    let turned = format!("{}{}\n", &whole[..whole.len() - 2], if last == '0' { '1' } else { '0' });
    for (text, expected) in [
        (String::new(), "it is no signature: that is a public key"),
        (whole[..100].to_owned(), "it is no signature: that is a public key"),
        (whole.to_uppercase(), "it is no signature: that is a public key"),
        (turned, "it is no signature of the component"),
        (of_another(signature_object(b"two", &key(1))), "it is no signature of the component"),
        (of_another(signature_object(b"one", &key(2))), "field key is `"),
        (" ".repeat(5 << 20), "5242880 bytes"),
    ] {
        fs::write(&path, text).unwrap();
        let error = run(&registry, b"one").await.unwrap_err();
        assert!(matches!(error, RegistryError::Untrusted { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains(&site.place(&object).to_string()), "{text}");
        // Another trusted key is enough.
        assert_eq!(run(&trusting(site, &[&key(1), &key(2)]), b"one").await.unwrap(), b"one");
        assert_eq!(anybody.sign(&digest, &key(1).sign(&digest)).await, Ok(true));
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        assert_eq!(run(&registry, b"one").await.unwrap(), b"one");
    }
    edit(&path, "ed25519:", "ed25518:");
    assert!(found(&registry, b"one").await.contains(&(key(1).public().id(), false)));
}

over_both! {
    a_component_is_signed_once_by_each_key_and_stays_as_it_was
    what_no_trusted_key_has_signed_does_not_run
    a_damaged_signature_is_none_until_it_is_made_again
}
