//! Asks a lookup, and answers by id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status};
use trifold_model::{FieldType, ViewName};

use super::api::feature_store_server::FeatureStore;
use super::api::{FeatureSet, OnlineFeaturesRequest, OnlineFeaturesResponse};
use super::names::Asked;
use super::offered::Offered;
use super::{ids, values};
use crate::api::{GetFeaturesRequest, GetFeaturesResponse, RowStatus, ViewAnswer};
use crate::caller::Caller;
use crate::limits::receive::Begun;
use crate::service::Online;

/// Answers by id, with the views that are configured.
pub(crate) struct ById {
    pub(crate) online: Arc<Online>,
    pub(crate) views: Vec<ViewName>,
}

/// A question to views with the same key.
struct Question<'a> {
    key: (String, FieldType),
    /// The rows.
    ids: Vec<&'a str>,
    features: Vec<String>,
}

#[tonic::async_trait]
impl FeatureStore for ById {
    async fn get_online_features(
        &self,
        request: Request<OnlineFeaturesRequest>,
    ) -> Result<Response<OnlineFeaturesResponse>, Status> {
        let begun = request.extensions().get::<Begun>().map_or_else(Instant::now, |begun| begun.0);
        let caller = Caller::new(request.metadata().as_ref(), request.remote_addr()).since(begun);
        let caller = self.online.let_in(caller)?;
        let request = request.into_inner();
        let ids: BTreeSet<&str> = request.entity_ids.iter().map(String::as_str).collect();
        if ids.is_empty() {
            return Err(Status::invalid_argument("no entity ids are given"));
        }
        let (asked, questions) = self.questions(&request.feature_names, &ids)?;
        let mut results: BTreeMap<String, FeatureSet> =
            ids.iter().map(|&id| (id.to_owned(), FeatureSet::default())).collect();
        for question in questions {
            let answer = self.online.answer(&caller, question.request()).await?;
            question.enter(answer, &asked, &mut results)?;
        }
        Ok(Response::new(OnlineFeaturesResponse { results }))
    }
}

impl ById {
    /// What is asked of views: those with the same key at once.
    fn questions<'a>(
        &self,
        names: &[String],
        ids: &BTreeSet<&'a str>,
    ) -> Result<(Asked, Vec<Question<'a>>), Status> {
        let live = self.online.live.borrow().clone();
        let offered = Offered::new(&self.views, &live);
        let asked = Asked::new(names, &offered)?;
        let mut questions: BTreeMap<(String, FieldType), Vec<String>> = BTreeMap::new();
        for name in asked.views() {
            if let Some(served) = offered.views.get(name) {
                let key = (served.key.name.to_string(), served.key.ty);
                questions.entry(key).or_default().extend(asked.of_view(name));
            }
        }
        if let Some(id) = ids.iter().find(|id| !questions.keys().any(|(_, ty)| ids::fits(id, *ty))) {
            return Err(no_key(id, questions.keys()));
        }
        let questions = questions.into_iter().map(|(key, features)| {
            let ids = ids.iter().copied().filter(|id| ids::fits(id, key.1)).collect();
            Question { key, ids, features }
        });
        Ok((asked, questions.filter(|question| !question.ids.is_empty()).collect()))
    }
}

fn no_key<'a>(id: &str, keys: impl Iterator<Item = &'a (String, FieldType)>) -> Status {
    let id: String = id.chars().take(100).collect();
    let keys: Vec<_> = keys.map(|(name, ty)| format!("{name} ({ty})")).collect();
    let keys = keys.join(", ");
    Status::invalid_argument(format!("the id `{id}` is no key of an asked view; their keys are {keys}"))
}

impl Question<'_> {
    fn request(&self) -> GetFeaturesRequest {
        GetFeaturesRequest {
            features: self.features.clone(),
            entities: vec![ids::column(&self.key.0, &self.ids, self.key.1)],
            as_of_micros: None,
            row_digests: false,
            in_hand: Vec::new(),
        }
    }

    /// Enters what was answered under the ids.
    fn enter(
        &self,
        answer: GetFeaturesResponse,
        asked: &Asked,
        results: &mut BTreeMap<String, FeatureSet>,
    ) -> Result<(), Status> {
        for view in &answer.views {
            if let Some(row) = view.statuses().position(|status| status == RowStatus::Unavailable) {
                return Err(self.unavailable(view, row));
            }
            for column in &view.columns {
                let names = asked.answered_as(&view.view, &column.name);
                let values = values::values(column);
                for ((id, value), status) in self.ids.iter().zip(values).zip(view.statuses()) {
                    // An error is not absence: its features are there, and null.
                    if let (RowStatus::Value | RowStatus::Error, Some(set)) = (status, results.get_mut(*id)) {
                        set.features.extend(names.iter().map(|name| (name.clone(), value.clone())));
                    }
                }
            }
        }
        Ok(())
    }

    /// This contract has no other way to say that a value cannot be told now.
    fn unavailable(&self, view: &ViewAnswer, row: usize) -> Status {
        let problem = view.problems.iter().find(|problem| problem.row as usize == row);
        let reason = problem.map_or("no reason is given", |problem| &problem.message);
        let id: String = self.ids.get(row).into_iter().flat_map(|id| id.chars().take(100)).collect();
        Status::unavailable(format!("view {}, entity `{id}`: {reason}", view.view))
    }
}
