//! From the names of features to the views that have them.

use std::collections::{BTreeMap, BTreeSet};

use tonic::Status;
use trifold_model::ViewName;

use super::offered::Offered;

/// The most names that an error proposes.
const PROPOSED_MAX: usize = 8;

/// The longest part of a name that is compared and shown: names come from outside.
const SHOWN_CHARS: usize = 100;

/// What a request asks for.
pub(super) struct Asked {
    /// By view, its features, each with the names that it goes by in the answer.
    views: BTreeMap<ViewName, BTreeMap<String, BTreeSet<String>>>,
    /// Whether no names were given: a view may have features by now that were not known when the request was read.
    is_all: bool,
    /// The features that several views have.
    shared: BTreeSet<String>,
}

impl Asked {
    pub(super) fn new(names: &[String], offered: &Offered<'_>) -> Result<Self, Status> {
        let owners = owners(offered);
        if names.is_empty() {
            if offered.views.is_empty() {
                return Err(offered.nothing());
            }
            let views = offered.views.keys().map(|name| ((*name).clone(), BTreeMap::new())).collect();
            let shared = owners.iter().filter(|(_, owners)| owners.len() > 1).map(|(name, _)| (*name).to_owned());
            return Ok(Asked { views, is_all: true, shared: shared.collect() });
        }
        let mut views: BTreeMap<ViewName, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for name in names {
            let (view, feature) = find(name, offered, &owners)?;
            let features = views.entry(view.clone()).or_default();
            features.entry(feature.to_owned()).or_default().insert(name.clone());
        }
        Ok(Asked { views, is_all: false, shared: BTreeSet::new() })
    }

    /// The views that are asked for.
    pub(super) fn views(&self) -> impl Iterator<Item = &ViewName> {
        self.views.keys()
    }

    /// What a view is asked for, in the words of a lookup.
    pub(super) fn of_view(&self, view: &ViewName) -> Vec<String> {
        if self.is_all {
            return vec![view.to_string()];
        }
        let features = self.views.get(view).into_iter().flat_map(BTreeMap::keys);
        features.map(|feature| format!("{view}.{feature}")).collect()
    }

    /// The names by which a feature is answered.
    pub(super) fn answered_as(&self, view: &str, feature: &str) -> Vec<String> {
        if self.is_all {
            let is_shared = self.shared.contains(feature);
            return vec![if is_shared { format!("{view}.{feature}") } else { feature.to_owned() }];
        }
        let features = view.parse::<ViewName>().ok().and_then(|view| self.views.get(&view));
        let names = features.and_then(|features| features.get(feature));
        names.into_iter().flatten().cloned().collect()
    }
}

/// By feature, the views that have it.
fn owners<'a>(offered: &Offered<'a>) -> BTreeMap<&'a str, Vec<&'a ViewName>> {
    let mut owners: BTreeMap<&str, Vec<&ViewName>> = BTreeMap::new();
    for (name, served) in &offered.views {
        for output in &served.view.outputs {
            owners.entry(output.name.as_str()).or_default().push(name);
        }
    }
    owners
}

fn find<'a>(
    name: &'a str,
    offered: &Offered<'a>,
    owners: &BTreeMap<&'a str, Vec<&'a ViewName>>,
) -> Result<(&'a ViewName, &'a str), Status> {
    if let Some((view, feature)) = name.split_once('.') {
        let found = view.parse().ok().and_then(|name: ViewName| offered.views.get_key_value(&name));
        let Some((view, served)) = found else { return Err(no_view(view, offered)) };
        let output = served.view.outputs.iter().find(|output| output.name == *feature);
        let output = output.ok_or_else(|| unknown(name, owners))?;
        return Ok((view, output.name.as_str()));
    }
    match owners.get_key_value(name).map(|(feature, views)| (feature, views.as_slice())) {
        Some((feature, [view])) => Ok((view, feature)),
        Some((feature, views)) => {
            let names: Vec<_> = views.iter().map(|view| format!("{view}.{feature}")).collect();
            let several = names.join(" and ");
            Err(Status::invalid_argument(format!("`{feature}` is ambiguous: name one of {several}")))
        }
        None if owners.is_empty() => Err(offered.nothing()),
        None => Err(unknown(name, owners)),
    }
}

fn no_view(view: &str, offered: &Offered<'_>) -> Status {
    let missing = view.parse().ok().and_then(|name: ViewName| offered.missing.get_key_value(&name));
    match missing {
        Some((name, missing @ super::offered::Missing::Unfit(_))) => {
            Status::failed_precondition(missing.told(name))
        }
        Some((name, missing)) => Status::not_found(missing.told(name)),
        None => {
            let (view, served) = (shown(view), offered.names());
            Status::not_found(format!("no view `{view}` is served by ids here; served are {served}"))
        }
    }
}

fn unknown(name: &str, owners: &BTreeMap<&str, Vec<&ViewName>>) -> Status {
    let name = shown(name);
    let qualified = owners.iter().flat_map(|(feature, views)| {
        views.iter().map(move |view| match views.len() {
            1 => (*feature).to_owned(),
            _ => format!("{view}.{feature}"),
        })
    });
    let mut known: Vec<_> = qualified.map(|known| (distance(&name, &known), known)).collect();
    known.sort();
    let more = if known.len() > PROPOSED_MAX { ", ..." } else { "" };
    let close: Vec<_> = known.into_iter().take(PROPOSED_MAX).map(|(_, known)| known).collect();
    Status::not_found(format!("there is no feature `{name}`; closest are {}{more}", close.join(", ")))
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).collect()
}

/// The edits that make one name of another.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (place, from) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = place + 1;
        for (column, &to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let cases =
            [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("spend_1h", "spend_1d", 1)];
        for (from, to, edits) in cases {
            assert_eq!((distance(from, to), distance(to, from)), (edits, edits), "{from} {to}");
        }
    }
}
