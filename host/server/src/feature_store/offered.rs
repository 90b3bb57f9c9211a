//! Which views are served by their entities' ids.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tonic::Status;
use trifold_model::{FeatureView, Field, ViewName};
use trifold_pipeline::LiveViews;

/// What there is to serve at a moment.
pub(super) struct Offered<'a> {
    /// The views that are served.
    pub(super) views: BTreeMap<&'a ViewName, Served<'a>>,
    /// The others of the configuration.
    pub(super) missing: BTreeMap<&'a ViewName, Missing>,
}

/// A view that is served.
#[derive(Clone, Copy)]
pub(super) struct Served<'a> {
    pub(super) view: &'a FeatureView,
    /// The field that the id is the value of.
    pub(super) key: &'a Field,
}

/// Why a view is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing of the view is released, as far as this server is.
    NotInForce,
    /// One id is not what it takes.
    Unfit(String),
}

impl<'a> Offered<'a> {
    pub(super) fn new(configured: &'a [ViewName], live: &'a LiveViews) -> Self {
        let mut offered = Offered { views: BTreeMap::new(), missing: BTreeMap::new() };
        for name in configured {
            match live.views.get(name).map(|version| served(version.view())) {
                None => drop(offered.missing.insert(name, Missing::NotInForce)),
                Some(Err(reason)) => drop(offered.missing.insert(name, Missing::Unfit(reason))),
                Some(Ok(view)) => drop(offered.views.insert(name, view)),
            }
        }
        offered
    }

    /// The views that are served, as a list.
    pub(super) fn names(&self) -> String {
        let names = self.views.keys().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        if names.is_empty() { "none".to_owned() } else { names }
    }

    /// What is said where none can be served.
    pub(super) fn nothing(&self) -> Status {
        let reasons: Vec<_> = self.missing.iter().map(|(name, missing)| missing.told(name)).collect();
        Status::failed_precondition(format!("no view can be served here: {}", reasons.join("; ")))
    }
}

impl Missing {
    /// What is wrong, for those who ask and those who run the server.
    pub(super) fn told(&self, name: &ViewName) -> String {
        match self {
            Missing::NotInForce => format!("no version of view {name} is in force"),
            Missing::Unfit(reason) => format!("view {name} cannot be served by an id: {reason}"),
        }
    }
}

/// The one key or request field of a view, or why there is none.
fn served(view: &FeatureView) -> Result<Served<'_>, String> {
    let (what, fields): (_, Vec<_>) = match view.on_demand() {
        Some(_) => ("request", view.request_fields().collect()),
        None => ("key", view.key_fields().iter().collect()),
    };
    let [key] = fields[..] else {
        let names = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(format!("it takes the {what} fields {names}, and an id is one"));
    };
    if !key.ty.is_key() {
        return Err(format!("its {what} field {} is of type {}, which is no id", key.name, key.ty));
    }
    Ok(Served { view, key })
}

/// The configured views in force that cannot be served, each with the reason.
pub(crate) fn unfit(configured: &[ViewName], live: &LiveViews) -> Vec<String> {
    let offered = Offered::new(configured, live);
    let unfit = offered.missing.iter().filter(|(_, missing)| **missing != Missing::NotInForce);
    unfit.map(|(name, missing)| missing.told(name)).collect()
}

/// Tells of each configured view why it is not served, once for as long as it stays so. Does not end.
pub(crate) async fn tell_missing(
    configured: Vec<ViewName>,
    mut live: watch::Receiver<std::sync::Arc<LiveViews>>,
    tell: fn(&str),
) {
    let mut told: BTreeMap<ViewName, Missing> = BTreeMap::new();
    loop {
        let now = live.borrow_and_update().clone();
        let missing = Offered::new(&configured, &now).missing;
        for (name, missing) in &missing {
            if told.get(*name) != Some(missing) {
                tell(&missing.told(name));
            }
        }
        told = missing.into_iter().map(|(name, missing)| (name.clone(), missing)).collect();
        if live.changed().await.is_err() {
            // Whoever followed the releases is gone, so that nothing changes any more.
            std::future::pending::<()>().await;
        }
    }
}
