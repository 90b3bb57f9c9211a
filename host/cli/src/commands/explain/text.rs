//! Explanations for people.

use serde_json::{Map, Value as Json};

use super::report::{Event, Head, Report, Request, Tile, Value};
use crate::output::table;

/// A value of a row or window view.
pub(super) fn stored(report: &Report) -> String {
    format!("{}{}", heading(&report.head, &report.entity), body(report))
}

/// A value of an on-demand view, then each value that it reads.
pub(super) fn on_demand(request: &Request) -> String {
    let mut text = heading(&request.head, &request.request);
    text.push_str(&value(&request.value));
    let read = request.reads.iter().flat_map(|read| {
        let head = &read.explained.head;
        read.inputs.iter().map(move |input| {
            let source = format!("{}@{}.{}", head.view, head.version, input.feature);
            vec![format!("  {}", input.input), source, input.value.to_string()]
        })
    });
    let read: Vec<_> = read.collect();
    if !read.is_empty() {
        text.push_str(&format!("\nreads\n{}", table(&read)));
    }
    for read in &request.reads {
        text.push_str(&format!("\n{}", stored(&read.explained)));
    }
    text
}

fn heading(head: &Head, entity: &Map<String, Json>) -> String {
    let entity: Vec<_> = entity.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    let cut = match (head.cut, &head.position) {
        ("position", Some(Json::Object(offsets))) => {
            let offsets: Vec<_> = offsets.iter().map(|(partition, next)| format!("{partition}:{next}")).collect();
            format!("events before the offsets {}", offsets.join(", "))
        }
        ("position", Some(position)) => format!("events before offset {position}"),
        ("arrival", _) => "events that had arrived by then".to_owned(),
        _ => "all events of the log".to_owned(),
    };
    let before = if head.before { ", without those at exactly that time" } else { "" };
    format!(
        "{}@{} ({}) of {} as of {}\n  cut: {cut}{before}\n",
        head.view,
        head.version,
        &head.digest[..12],
        entity.join(", "),
        when(&head.as_of)
    )
}

fn body(report: &Report) -> String {
    let mut text = format!("  log: {}, {} rows, ", report.log, report.rows_read);
    text.push_str(&match report.entity_events {
        0 => "no event of this entity\n".to_owned(),
        1 => "1 of them an event of this entity\n".to_owned(),
        count => format!("{count} of them events of this entity\n"),
    });
    text.push_str(&value(&report.value));
    if let Some(event) = &report.decided_by {
        text.push_str("\ndecided by the latest event in the order of time and id\n");
        text.push_str(&table(&[event_row(event)]));
        if let Some(micros) = report.expired_by_micros {
            text.push_str(&format!("  it is {} older than the view's time to live\n", span(micros)));
        }
    }
    for window in &report.windows {
        text.push_str(&format!(
            "\nwindow {} in hops of {}: {} to {}, {} in {}\n",
            window.window,
            window.hop,
            when(&window.start),
            when(&report.head.as_of),
            counted(window.events, "event"),
            counted(window.tiles.len() as u64, "tile"),
        ));
        text.push_str(&tiles(&window.tiles));
    }
    text.push_str(&events(report));
    text
}

fn value(value: &Value) -> String {
    let code = value.error_code.map_or_else(String::new, |code| format!(" {code}"));
    let message = value.message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
    let digest = value.row_digest.as_ref().map_or_else(String::new, |digest| format!(", row digest {digest}"));
    let mut text = format!("  status: {}{code}{message}{digest}\n", value.status);
    if ["value", "empty"].contains(&value.status) {
        let row = |feature: &super::report::Feature| {
            vec![format!("  {}", feature.name), feature.value.to_string(), feature.doc.clone()]
        };
        let features: Vec<_> = value.features.iter().map(row).collect();
        text.push_str(&format!("\nfeatures\n{}", table(&features)));
    }
    text
}

fn tiles(tiles: &[Tile]) -> String {
    if tiles.is_empty() {
        return String::new();
    }
    let heads = ["  tile", "events", "state bytes", "state"].map(str::to_owned).to_vec();
    let row = |tile: &Tile| {
        let state = match (&tile.failure, &tile.state_digest) {
            (Some(failure), _) => format!("unknown: {failure}"),
            (None, digest) => digest.clone().unwrap_or_default(),
        };
        let partial = if tile.partial { " partial: it ends later" } else { "" };
        let bytes = tile.state_bytes.map_or_else(String::new, |bytes| bytes.to_string());
        vec![
            format!("  {} to {}", when(&tile.start), when(&tile.end)),
            tile.events.to_string(),
            bytes,
            state + partial,
        ]
    };
    table(&[heads].into_iter().chain(tiles.iter().map(row)).collect::<Vec<_>>())
}

fn events(report: &Report) -> String {
    if report.entity_events == 0 {
        return String::new();
    }
    let counts: Vec<_> = report.counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
    let mut text = format!("\nevents: {}\n", counts.join(", "));
    let unlisted = report.entity_events - report.events.len() as u64;
    if unlisted > 0 {
        text.push_str(&format!(
            "  {} listed, the nearest; {unlisted} more with a larger --events-max\n",
            report.events.len()
        ));
    }
    text.push_str(&table(&report.events.iter().map(event_row).collect::<Vec<_>>()));
    text
}

fn event_row(event: &Event) -> Vec<String> {
    let unknown = || "?".to_owned();
    let mut row = vec![
        format!("  {}", event.event_time.as_deref().map_or_else(unknown, when)),
        event.event_id.clone().unwrap_or_else(unknown),
        match event.partition {
            0 => format!("offset {}", event.offset),
            partition => format!("partition {partition}, offset {}", event.offset),
        },
    ];
    row.extend(event.arrival.as_ref().map(|arrival| format!("arrived {}", when(arrival))));
    row.push(verdict(event));
    row.push(event.inputs.to_string());
    row
}

/// Whether an event counts, or why not.
fn verdict(event: &Event) -> String {
    let first = event.first_offset.map_or_else(String::new, |offset| offset.to_string());
    match event.verdict {
        "counts" => format!("counts in {}", event.windows.join(", ")),
        "superseded" => "another is later".to_owned(),
        "duplicate" => format!("duplicate of offset {first}"),
        "conflict" => format!("conflict with offset {first}"),
        "after-as-of" => "after the as-of time".to_owned(),
        "arrived-after-as-of" => "arrived after the as-of time".to_owned(),
        "behind-cut" => "behind the position of the cut".to_owned(),
        "before-windows" => "before every window".to_owned(),
        other => match &event.detail {
            Some(detail) => format!("{other}: {detail}"),
            None => other.to_owned(),
        },
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A time without the fraction of a second that it does not have.
fn when(time: &str) -> String {
    time.replace(".000000Z", "Z")
}

/// A JSON value as people write it.
fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A length of time in its two largest units.
fn span(micros: i64) -> String {
    const UNITS: [(&str, i64); 4] =
        [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)];
    let mut parts = Vec::new();
    let mut left = micros;
    for (unit, size) in UNITS {
        let count = left / size;
        left %= size;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { format!("{micros} us") } else { parts.join(" ") }
}
