//! When a released version may answer: once its state has caught up with the state that answers now.

use trifold_store::{Marker, OnlineStore, StoreError};

use crate::catalog::LiveViews;

/// The released views with each one held back whose state lies behind the state of the version that serves now:
/// that version goes on until then. A view that nothing serves yet is not held back.
pub async fn take_over(
    store: &dyn OnlineStore,
    serving: &LiveViews,
    released: &LiveViews,
) -> Result<LiveViews, StoreError> {
    let mut next = released.clone();
    for (name, version) in &mut next.views {
        let Some(current) = serving.views.get(name).filter(|current| current.state_id() != version.state_id())
        else {
            continue;
        };
        let reached = store.marker(current.state_id()).await?;
        let own = store.marker(version.state_id()).await?;
        if !has_caught_up(own.as_ref(), reached.as_ref()) {
            *version = current.clone();
        }
    }
    Ok(next)
}

fn has_caught_up(own: Option<&Marker>, reached: Option<&Marker>) -> bool {
    let Some(reached) = reached else { return true };
    own.is_some_and(|own| {
        own.log == reached.log
            && reached.positions.0.iter().all(|(&partition, &next)| own.positions.next(partition) >= next)
    })
}
