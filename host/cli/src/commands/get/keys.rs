//! The key and request fields of lookups, of the views that a server names.

use trifold_model::Field;
use trifold_server::api::{self, View};
use trifold_server::client::model_fields;

use crate::exit::{Exit, Failure, Outcome};

/// The key fields and request fields of all views that are asked, each once.
pub(in crate::commands) fn asked_fields(features: &[String], views: &[View]) -> Outcome<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    for feature in features {
        let name = feature.split('.').next().unwrap_or_default();
        if let Some((_, version)) = name.split_once('@') {
            let message = format!("`{feature}`: lookups take the version in force, so leave out `@{version}`");
            return Err(Failure::new(Exit::Usage, message));
        }
        let view = view_named(name, views)?;
        for fields_of in [&view.entity, &view.request] {
            for field in known_fields(view, fields_of)? {
                if !fields.iter().any(|known| known.name == field.name) {
                    fields.push(field);
                }
            }
        }
    }
    Ok(fields)
}

/// A view in force.
pub(super) fn view_named<'a>(name: &str, views: &'a [View]) -> Outcome<&'a View> {
    views.iter().find(|view| view.name == name).ok_or_else(|| {
        let known = views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        Failure::new(Exit::NotFound, format!("no view `{name}` is in force; views in force: {known}"))
    })
}

/// Fields of a view, which a newer server may have of types of tomorrow.
pub(super) fn known_fields(view: &View, fields: &[api::Field]) -> Outcome<Vec<Field>> {
    model_fields(fields).ok_or_else(|| {
        let message = format!("view {} has fields of types that this client does not know", view.name);
        Failure::new(Exit::Data, message)
    })
}
