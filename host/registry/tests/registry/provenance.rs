//! How a version was made and tried.

use std::collections::BTreeMap;
use std::fs;

use trifold_model::{ErrorCode, FuelSummary, Tool, ToolRole};
use trifold_registry::{GateRecord, GateSample, Provenance, RegistryError};

use crate::fixtures::{DESCRIPTION, NOW, edit, name, push, view};
use crate::site::{Site, over_both};

fn provenance() -> Provenance {
    let tool = |role, name: &str, version: &str| Tool { role, name: name.to_owned(), version: version.to_owned() };
    let sample = GateSample {
        file: None,
        rows: 256,
        errors: BTreeMap::from([(ErrorCode(2), 11), (ErrorCode::TRAP, 1)]),
        aside: BTreeMap::new(),
        fuel: FuelSummary { rows: 256, median: 900, max: 1_200, total: 231_000 },
        checks: vec![("all rows in one batch".to_owned(), 256), ("each row alone, again".to_owned(), 256)],
    };
    let from_file = GateSample {
        file: Some("events.jsonl".to_owned()),
        aside: BTreeMap::from([("null-key".to_owned(), 3)]),
        ..sample.clone()
    };
    Provenance {
        tools: vec![tool(ToolRole::Language, "Rust", ""), tool(ToolRole::ProcessedBy, "rustc", "1.95.0")],
        gate: Some(GateRecord { fuel_counted_by: "an engine".to_owned(), samples: vec![sample, from_file] }),
        ..NOW.into()
    }
}

async fn what_made_a_component_and_what_the_gate_saw_is_recorded(site: &Site) {
    let registry = site.make().await;
    let pushed = registry.push(b"one", &view("flights"), DESCRIPTION, provenance()).await.unwrap().version;
    assert_eq!((&pushed.tools, &pushed.gate), (&provenance().tools, &provenance().gate));
    let reopened = site.open();
    assert_eq!(reopened.version(&name("flights"), 1).await.unwrap(), pushed);

    let path = site.file("views/flights/versions/0000000001.json");
    let whole = fs::read_to_string(&path).unwrap();
    for (from, to, expected) in [
        (
            "\"processed-by\"",
            "\"eaten-by\"",
            "field role is `eaten-by`: the roles are language, processed-by, sdk",
        ),
        ("\"median\"", "\"mean\"", "unknown field `mean`"),
        ("\"fuel-counted-by\"", "\"counted-by\"", "unknown field `counted-by`"),
    ] {
        edit(&path, from, to);
        let error = registry.version(&name("flights"), 1).await.unwrap_err();
        assert!(matches!(error, RegistryError::DamagedRecord { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        fs::write(&path, &whole).unwrap();
    }
}

async fn a_record_that_says_nothing_of_it_is_read(site: &Site) {
    let registry = site.make().await;
    push(&registry, "flights", b"one").await;
    let text = fs::read_to_string(site.file("views/flights/versions/0000000001.json")).unwrap();
    assert!(!text.contains("toolchain") && !text.contains("gate"), "{text}");
    let version = registry.version(&name("flights"), 1).await.unwrap();
    assert_eq!((version.tools, version.gate), (Vec::new(), None));
}

over_both! {
    what_made_a_component_and_what_the_gate_saw_is_recorded
    a_record_that_says_nothing_of_it_is_read
}
