//! `trifold inspect`.

use std::path::PathBuf;

use serde::Serialize;
use trifold_model::{FeatureView, Field, Span};
use trifold_sandbox::{Transform, fuel_counted_by};

use crate::args::Inspect;
use crate::exit::{Exit, OrExit, Outcome};
use crate::output;
use crate::world::{World, named, read_file};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Inspected {
    file: PathBuf,
    bytes: usize,
    digest: String,
    state_id: String,
    fuel_counted_by: String,
    describe: serde_json::Value,
    #[serde(skip)]
    view: FeatureView,
}

/// Shows what a component says of itself.
pub fn run(world: &World, args: Inspect) -> Outcome {
    let wasm = read_file(&args.component)?;
    let transform: Transform = world.sandbox()?.admit(&wasm).map_err(named(&args.component))?;
    let inspected = Inspected {
        file: args.component,
        bytes: wasm.len(),
        digest: transform.digest().to_string(),
        state_id: transform.view().state_id().to_string(),
        fuel_counted_by: fuel_counted_by(),
        describe: serde_json::from_str(transform.description()).or_exit(Exit::Data)?,
        view: transform.view().clone(),
    };
    output::print(world.format, &inspected, text)
}

fn text(inspected: &Inspected) -> String {
    let view = &inspected.view;
    let mut text = format!("{} view {}\n", view.kind.name(), view.name);
    if !view.doc.is_empty() {
        text.push_str(&format!("{}\n", view.doc));
    }
    let keys: Vec<_> = view.entity.iter().map(ToString::to_string).collect();
    let span = |span: Option<Span>| span.map_or_else(|| "unlimited".to_owned(), |span| span.to_string());
    let facts = [
        ("entity", keys.join(", ")),
        ("time to live", span(view.ttl)),
        ("lateness", span(view.lateness)),
        ("max early", span(view.max_early)),
        (
            "limits of a row",
            format!(
                "{} fuel (counted by {}), {} bytes of memory",
                view.limits.fuel, inspected.fuel_counted_by, view.limits.memory_bytes
            ),
        ),
        ("state", format!("{} (version {})", inspected.state_id, view.state_version)),
        ("component", format!("{} bytes, sha256 {}", inspected.bytes, inspected.digest)),
    ];
    let facts: Vec<_> = facts.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect();
    text.push_str(&output::table(&facts));
    text.push_str(&format!("\ninputs\n{}", fields(&view.inputs)));
    text.push_str(&format!("\noutputs\n{}", fields(&view.outputs)));
    text
}

fn fields(fields: &[Field]) -> String {
    let rows: Vec<_> = fields
        .iter()
        .map(|field| {
            let null = if field.nullable { "?" } else { "" };
            vec![format!("  {}", field.name), format!("{}{null}", field.ty), field.doc.replace('\n', " ")]
        })
        .collect();
    output::table(&rows)
}
