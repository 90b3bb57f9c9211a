//! The views in force, as JSON.

use serde::Serialize;
use trifold_pipeline::LiveViews;

use crate::{answer, api};

/// All views in force.
#[derive(Serialize)]
pub(super) struct Views {
    views: Vec<View>,
}

#[derive(Serialize)]
struct View {
    name: String,
    version: u64,
    component_digest: String,
    kind: String,
    doc: String,
    entity: Vec<Field>,
    features: Vec<Field>,
    request: Vec<Field>,
    reads: Vec<String>,
    event: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: String,
    r#type: String,
    nullable: bool,
    doc: String,
}

impl Views {
    pub(super) fn new(live: &LiveViews) -> Self {
        Views { views: live.views.values().map(answer::view).map(View::from).collect() }
    }
}

impl From<api::View> for View {
    fn from(view: api::View) -> Self {
        let fields = |fields: Vec<api::Field>| fields.into_iter().map(Field::from).collect();
        View {
            name: view.name,
            version: view.version,
            component_digest: hex::encode(view.component_digest),
            kind: view.kind,
            doc: view.doc,
            entity: fields(view.entity),
            features: fields(view.features),
            request: fields(view.request),
            reads: view.reads,
            event: fields(view.event),
        }
    }
}

impl From<api::Field> for Field {
    fn from(field: api::Field) -> Self {
        Field { name: field.name, r#type: field.r#type, nullable: field.nullable, doc: field.doc }
    }
}
