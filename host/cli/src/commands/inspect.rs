//! `trifold inspect`.

use std::path::PathBuf;

use serde::Serialize;
use trifold_model::{FeatureView, Field, Span};
use trifold_sandbox::fuel_counted_by;

use super::component::Component;
use super::provenance::{Provenance, ToolLine, tool_lines, tools_text};
use crate::args::Inspect;
use crate::exit::{Exit, OrExit, Outcome};
use crate::output;
use crate::world::World;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Inspected {
    /// None for a version of the registry.
    file: Option<PathBuf>,
    /// None for a file.
    recorded: Option<Provenance>,
    bytes: u64,
    digest: String,
    state_id: String,
    fuel_counted_by: String,
    toolchain: Vec<ToolLine>,
    describe: serde_json::Value,
    #[serde(skip)]
    view: FeatureView,
}

/// Shows what a component says of itself.
pub async fn run(world: &World, args: Inspect) -> Outcome {
    let Component { file, record, bytes, live, .. } = Component::load(world, &args.component).await?;
    let transform = live.transform;
    let inspected = Inspected {
        file,
        recorded: record.map(Provenance::of),
        bytes,
        digest: transform.digest().to_string(),
        state_id: transform.view().state_id().to_string(),
        fuel_counted_by: fuel_counted_by(),
        toolchain: tool_lines(transform.tools()),
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
    let facts = [
        (
            "limits of a row",
            format!(
                "{} fuel (counted by {}), {} bytes of memory",
                view.limits.fuel, inspected.fuel_counted_by, view.limits.memory_bytes
            ),
        ),
        ("component", format!("{} bytes, sha256 {}", inspected.bytes, inspected.digest)),
        ("made by", tools_text(&inspected.toolchain)),
    ];
    let recorded = inspected.recorded.iter().flat_map(Provenance::facts);
    let facts: Vec<_> = of_events(view)
        .into_iter()
        .chain(facts)
        .chain(recorded)
        .map(|(name, value)| vec![format!("  {name}"), value])
        .collect();
    text.push_str(&output::table(&facts));
    let source = |field: &Field| {
        let on_demand = view.on_demand()?;
        Some(on_demand.feature(&field.name).map_or_else(|| "request".to_owned(), ToString::to_string))
    };
    text.push_str(&format!("\ninputs\n{}", fields(&view.inputs, source)));
    text.push_str(&format!("\noutputs\n{}", fields(&view.outputs, |_| None)));
    text
}

/// What only views over events have.
fn of_events(view: &FeatureView) -> Vec<(&'static str, String)> {
    if view.on_demand().is_some() {
        return Vec::new();
    }
    let keys: Vec<_> = view.entity.iter().map(ToString::to_string).collect();
    let span = |span: Option<Span>| span.map_or_else(|| "unlimited".to_owned(), |span| span.to_string());
    let mut facts = vec![
        ("entity", keys.join(", ")),
        ("time to live", span(view.ttl)),
        ("lateness", span(view.lateness)),
        ("max early", span(view.max_early)),
        ("state", format!("{} (version {})", view.state_id(), view.state_version)),
    ];
    if let Some(spec) = view.windows() {
        let windows: Vec<_> =
            spec.windows.iter().map(|window| format!("{} in hops of {}", window.length, window.hop)).collect();
        let copies = if spec.deduplicate { "count once" } else { "count each time" };
        facts.push(("windows", windows.join(", ")));
        facts.push(("fold order", spec.order.name().to_owned()));
        facts.push(("copies of events", copies.to_owned()));
    }
    facts
}

fn fields(fields: &[Field], source: impl Fn(&Field) -> Option<String>) -> String {
    let rows: Vec<_> = fields
        .iter()
        .map(|field| {
            let null = if field.nullable { "?" } else { "" };
            let mut row = vec![format!("  {}", field.name), format!("{}{null}", field.ty)];
            row.extend(source(field));
            row.push(field.doc.replace('\n', " "));
            row
        })
        .collect();
    output::table(&rows)
}
