//! Reading the values of a window view from an online store.

use arrow_array::RecordBatch;
use trifold_model::{ArrivalTime, EntityKey, EventTime, decode_keys};
use trifold_sandbox::Budget;
use trifold_store::{EntityQuery, Marker, OnlineStore};
use trifold_windows::{Entity, Layout, Plan, Question};

use crate::lookup::{LookupError, ViewKeys, distinct};
use crate::rows::{Outcome, Rows};
use crate::version::LiveVersion;
use crate::windows::fold::ComponentFold;

/// The entities of a lookup, each read once, however often it is asked for.
pub(crate) struct WindowRead {
    /// The entity of each row, as an index into the entities.
    pub(crate) entity: Vec<usize>,
    pub(crate) marker: Option<Marker>,
    keys: Vec<EntityKey>,
    entities: Vec<Result<Entity, String>>,
    layout: Layout,
}

impl WindowRead {
    /// Reads the tiles of all keys in one transaction.
    pub(crate) async fn read(store: &dyn OnlineStore, view: &ViewKeys) -> Result<Self, LookupError> {
        let (entity, keys) = distinct(&view.keys);
        let version = &view.version;
        let spec =
            version.view().windows().ok_or_else(|| LookupError::Kind { view: version.view().name.to_string() })?;
        let layout = Layout::new(spec, version.view().lateness_limit());
        let queries: Vec<_> =
            keys.iter().map(|key| EntityQuery { key: key.clone(), events: Vec::new() }).collect();
        let snapshot = store.read_slots(version.state_id(), &queries).await?;
        let decode = |slots: &Vec<(_, Vec<u8>)>| {
            let slots = slots.iter().map(|(slot, bytes)| (*slot, bytes.as_slice()));
            Entity::decode(&layout, slots).map_err(|damage| {
                format!("its tiles are damaged: {damage}; clear the state with `trifold clear` and replay")
            })
        };
        let entities = snapshot.entities.iter().map(decode).collect();
        Ok(WindowRead { entity, marker: snapshot.marker, keys, entities, layout })
    }

    /// The latest event time of the entity of a row.
    pub(crate) fn latest(&self, row: usize) -> Option<EventTime> {
        self.entities[self.entity[row]].as_ref().ok().and_then(Entity::latest)
    }

    /// The value of each row at its as-of time.
    pub(crate) fn values(
        mut self,
        version: &LiveVersion,
        marker: &Marker,
        as_of: &[EventTime],
        budget: &mut Budget,
    ) -> Result<Rows, LookupError> {
        let floor = marker.arrivals.values().min().and_then(|clock| self.layout.floor(Some(ArrivalTime(*clock))));
        let mut plan = Plan::new(&self.layout);
        let mut nobody = Entity::new(&self.layout);
        for (&entity, &at) in self.entity.iter().zip(as_of) {
            let place = self.entities[entity].as_mut().unwrap_or(&mut nobody);
            plan.ask(place, Question { key: entity as u32, at });
        }
        let fields: Vec<_> = version.view().key_fields().cloned().collect();
        let damaged = |source| LookupError::Record { view: version.view().name.to_string(), source };
        let keys = decode_keys(&fields, &self.keys).map_err(damaged)?;
        let prepared = RecordBatch::new_empty(version.transform.prepared().clone());
        let mut fold = ComponentFold::new(version, &prepared, &keys, budget).map_err(LookupError::Type)?;
        let settled = plan.carry_out(&mut fold)?;
        let mut rows = fold.rows(&settled)?;
        for (row, &entity) in self.entity.iter().enumerate() {
            match (&self.entities[entity], floor) {
                (Err(reason), _) => rows.outcomes[row] = Outcome::Unavailable(reason.clone()),
                // What is left of the entity, if it ever was, is what values from then on need.
                (Ok(entity), Some(floor))
                    if as_of[row] < floor && entity.latest().is_none_or(|latest| latest < floor) =>
                {
                    let reason = format!(
                        "unknown at that time: the state reaches back to {} us since 1970, as far as events may still arrive; \
                         ask for a later time, or backfill",
                        floor.0
                    );
                    rows.outcomes[row] = Outcome::Unavailable(reason);
                }
                _ => {}
            }
        }
        Ok(rows)
    }
}
