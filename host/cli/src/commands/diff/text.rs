//! Differences for people.

use super::report::{Both, Changes, Field, FieldSide, Out, Report, Side, Values};
use crate::commands::provenance::{Fuel, tools_text};
use crate::output::{counts, table};

pub(super) fn text(report: &Report) -> String {
    let Report { view, kind, left, right, changes, values, .. } = report;
    let mut text = format!("{kind} view {view}: {} -> {}\n", left.name, right.name);
    let sides = [left, right].map(|side| {
        let digest = format!("sha256 {}", &side.digest[..12]);
        vec![format!("  {}", side.name), format!("{} bytes", side.bytes), digest]
    });
    text.push_str(&table(&sides));
    if left.toolchain == right.toolchain {
        text.push_str(&format!("  both made by {}\n", tools_text(&left.toolchain)));
    } else {
        let made_by = |side: &Side| vec![format!("  {} made by", side.name), tools_text(&side.toolchain)];
        text.push_str(&table(&[made_by(left), made_by(right)]));
    }
    if report.same_component {
        text.push_str("\nthe same component: nothing differs\n");
        return text;
    }
    text.push_str(&declarations(changes));
    match values {
        Some(values) => text.push_str(&compared(values)),
        None => text.push_str("\nvalues are not compared: the versions are of different kinds\n"),
    }
    text
}

fn declarations(changes: &Changes) -> String {
    let said = |side: &Option<String>| match side.as_deref() {
        None | Some("") => "nothing".to_owned(),
        Some(text) => line(text),
    };
    let settings = changes.settings.iter().map(|setting| {
        vec![format!("  {}", setting.setting), format!("{} -> {}", said(&setting.left), said(&setting.right))]
    });
    let settings: Vec<_> = settings.collect();
    let mut text = String::new();
    if !settings.is_empty() {
        text.push_str(&format!("\nthe view\n{}", table(&settings)));
    }
    for (what, fields) in
        [("inputs", &changes.inputs), ("prepared columns", &changes.prepared), ("outputs", &changes.outputs)]
    {
        if !fields.is_empty() {
            text.push_str(&format!("\n{what}\n{}", table(&fields.iter().map(field).collect::<Vec<_>>())));
        }
    }
    if text.is_empty() {
        text.push_str("\nboth declare the same\n");
    }
    text.push_str(match changes.state {
        "nothing" => "",
        "shared" => "\nthe stored state is shared: the right version serves at once\n",
        _ => "\nthe stored state must be rebuilt: the stream fills it from the beginning of the log\n",
    });
    if !changes.breaks.is_empty() {
        text.push_str("\nthis breaks those who use the left version:\n");
        changes.breaks.iter().for_each(|broken| text.push_str(&format!("  {broken}\n")));
    }
    text
}

/// A text on one line.
fn line(text: &str) -> String {
    text.replace('\n', " ")
}

/// A line for a field: what is new, what is gone, or what changed.
fn field(field: &Field) -> Vec<String> {
    let ty = |side: &FieldSide| format!("{}{}", side.r#type, if side.nullable { "?" } else { "" });
    let row = |mark: &str, ty: String, rest: String| vec![format!("  {mark} {}", field.name), ty, rest];
    let whole = |side: &FieldSide| [side.source.as_deref().unwrap_or(""), &side.doc].join(" ").trim().to_owned();
    match (&field.left, &field.right) {
        (Some(left), Some(right)) => {
            let types = if ty(left) == ty(right) { ty(left) } else { format!("{} -> {}", ty(left), ty(right)) };
            let rest = if whole(left) == whole(right) {
                String::new()
            } else {
                format!("{:?} -> {:?}", whole(left), whole(right))
            };
            row("~", types, rest)
        }
        (None, Some(right)) => row("+", ty(right), line(&whole(right))),
        (Some(left), None) => row("-", ty(left), line(&whole(left))),
        (None, None) => Vec::new(),
    }
}

fn compared(values: &Values) -> String {
    let rows = match &values.sample {
        Some(file) => format!("{} rows of {file}", values.rows),
        None => format!("{} generated rows", values.rows),
    };
    let mut text =
        format!("\nvalues on {rows}: {} compared, {} of them differ\n", values.compared, values.differing);
    let features: Vec<_> = values.features.iter().filter(|feature| feature.differing > 0).collect();
    let rows = features.iter().map(|feature| {
        vec![format!("  {}", feature.name), format!("differs in {} of {}", feature.differing, feature.compared)]
    });
    text.push_str(&table(&rows.collect::<Vec<_>>()));
    let same = values.features.len() - features.len();
    if same > 0 {
        text.push_str(&format!(
            "  {same} of {} features are the same wherever both have one\n",
            values.features.len()
        ));
    }
    if !values.not_compared.is_empty() {
        text.push_str(&format!(
            "  not compared, as only one has them, or with another type: {}\n",
            values.not_compared.join(", ")
        ));
    }
    text.push_str(&statuses(values));
    for row in &values.first_differing {
        text.push_str(&format!("\n  row {} {}\n", row.row, row.inputs));
        let lines = row
            .differences
            .iter()
            .map(|difference| {
                vec![
                    format!("    {}", difference.field),
                    format!("{} -> {}", line(&difference.left), line(&difference.right)),
                ]
            })
            .collect::<Vec<_>>();
        text.push_str(&table(&lines));
    }
    text.push_str(&states(values));
    text.push_str(&fuel(values));
    text
}

/// Rows that are errors in one version only, and rows that one of them leaves out.
fn statuses(values: &Values) -> String {
    let Values { errors_in_one: errors, taken_by_one: taken, left_out, .. } = values;
    let mut text = String::new();
    if values.differing_statuses > 0 {
        text.push_str(&format!(
            "  status differs in {} rows: {} are errors in the left version only, {} in the right one only\n",
            values.differing_statuses, errors.left, errors.right
        ));
    }
    if taken.left + taken.right > 0 {
        text.push_str(&format!(
            "  {} rows are taken by the left version only, {} by the right one only\n",
            taken.left, taken.right
        ));
    }
    let Both { left, right } = left_out;
    for (side, Out { by_reason, first }) in [("left", left), ("right", right)] {
        if let Some(first) = first {
            text.push_str(&format!("  left out by the {side} version: {}; {first}\n", counts(by_reason)));
        }
    }
    text
}

fn states(values: &Values) -> String {
    let Some(states) = &values.states else { return String::new() };
    let detail = states.detail.as_deref().unwrap_or_default();
    match states.equal {
        true => "\nboth fold the sample to the same state\n".to_owned(),
        false => format!(
            "\nthe left one {detail}, though the versions share what is stored: raise `state_version`, so that the new \
             version is filled from the log\n"
        ),
    }
}

fn fuel(values: &Values) -> String {
    let Both { left, right } = &values.fuel;
    if values.compared == 0 {
        return String::new();
    }
    let line = |name: &str, of: fn(&Fuel) -> u64| {
        let (left, right) = (of(left), of(right));
        let ratio = if left == 0 { String::new() } else { format!("x {:.3}", right as f64 / left as f64) };
        vec![format!("  {name}"), left.to_string(), right.to_string(), ratio]
    };
    let heading = ["fuel of a row", "left", "right", "right / left"].map(str::to_owned).to_vec();
    let rows = [
        heading,
        line("median", |fuel| fuel.median),
        line("most", |fuel| fuel.max),
        line("all", |fuel| fuel.total),
    ];
    format!("\n{}  counted by {}\n", table(&rows), values.fuel_counted_by)
}
