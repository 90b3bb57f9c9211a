//! The macros of `trifold-sdk`, which re-exports and documents them.

use proc_macro::TokenStream;
use quote::quote;

mod arguments;
mod derive;
mod fields;
mod types;
mod units;
mod view;
mod window_view;
mod windows;
mod world;

/// Makes a struct one row of a view's inputs: each field is the column of its name.
///
/// `#[entity]` marks the fields that name the entity, in the order in which they stand. `event_time` (a
/// `Timestamp`) and `event_id` (a `&str` or `String`) are the event's own; every other field is a column of its
/// payload. Documentation comments become the fields' documentation. The struct may borrow from the batch with
/// one lifetime.
#[proc_macro_derive(Input, attributes(entity))]
pub fn input(item: TokenStream) -> TokenStream {
    expand(syn::parse(item).and_then(derive::input))
}

/// Makes a struct one row of an on-demand view's inputs: each field is a field of the request, as `#[request]` says
/// and need not, or with `#[reads("view.feature")]` a feature of another view.
///
/// A feature is an `Option`: a lookup may find that view without a value. The key fields of each view that is read are
/// fields of the request, of the same names and types. Documentation comments become the fields' documentation. The
/// struct may borrow from the batch with one lifetime.
#[proc_macro_derive(Request, attributes(request, reads))]
pub fn request(item: TokenStream) -> TokenStream {
    expand(syn::parse(item).and_then(derive::request))
}

/// Makes a struct one row of a view's features. Documentation comments become the features' documentation.
#[proc_macro_derive(Output)]
pub fn output(item: TokenStream) -> TokenStream {
    expand(syn::parse(item).and_then(derive::output))
}

/// Makes a struct what `prepare` of a window view leaves of an event. It may have the fields of an output struct,
/// and may borrow text and bytes from the batch with one lifetime. Documentation comments become the columns'.
#[proc_macro_derive(Prepared)]
pub fn prepared(item: TokenStream) -> TokenStream {
    expand(syn::parse(item).and_then(derive::prepared))
}

/// Makes a function a row view, and its crate the view's component. A crate holds one view.
///
/// The function takes the input struct by value and returns the output struct or a `Result` of it with
/// `RowError`; its documentation becomes the view's. The attributes are all optional:
///
/// | attribute | meaning | without it |
/// |---|---|---|
/// | `name = "flight_profile"` | the view's name | the function's name |
/// | `ttl = "30d"` | how long a value lives after its event | for ever |
/// | `lateness = "2h"` | how long after it happened an event may arrive | unlimited |
/// | `max_early = "5m"` | how far an event's time may lie ahead of its arrival | unlimited |
/// | `state_version = 2` | raised when stored state changes its meaning | 1 |
/// | `fuel = 20_000_000` | the most fuel that one row may burn | the host's default |
/// | `memory = "64MiB"` | the most memory that one row may take | the host's default |
#[proc_macro_attribute]
pub fn row_view(arguments: TokenStream, item: TokenStream) -> TokenStream {
    view(arguments, item, view::Kind::Row)
}

/// Makes a function an on-demand view, and its crate the view's component. A crate holds one view.
///
/// The view is computed when it is asked for, from fields of the request and features of row and window views at the
/// same time. The function takes a struct with [`derive@Request`] by value and returns the output struct or a `Result`
/// of it with `RowError`; its documentation becomes the view's. The attributes `name`, `fuel` and `memory` are those of
/// [`macro@row_view`]; the others are about events, which an on-demand view does not see.
#[proc_macro_attribute]
pub fn on_demand_view(arguments: TokenStream, item: TokenStream) -> TokenStream {
    view(arguments, item, view::Kind::OnDemand)
}

fn view(arguments: TokenStream, item: TokenStream, kind: view::Kind) -> TokenStream {
    expand(syn::parse(item).map(|function| {
        view::view(arguments.into(), &function, kind).unwrap_or_else(|error| {
            // The function stays, so that its callers and tests add no errors of their own.
            let error = error.into_compile_error();
            quote!(#function #error)
        })
    }))
}

/// Makes a struct of aggregators a window view, and its crate the view's component. A crate holds one view.
///
/// The struct is what is kept of an entity's events in one interval, a tile; the tiles of a window are merged into
/// what becomes of the window. Each field is an aggregator, and its `#[of(...)]` what the aggregator takes of an
/// event, which the expression calls `event`. An aggregator gives a feature per window, `<field>_<window>`, or
/// several, `<field>_<feature>_<window>`: those of the first field come first, window by window. Documentation
/// comments become the documentation of the view and its features.
///
/// | attribute | meaning | without it |
/// |---|---|---|
/// | `event = Departure<'_>` | the input struct | required |
/// | `windows = "15m, 1h, 1d/1h"` | the windows; after a slash the hop, in steps of which a window's older end moves | required; the hop is the largest of 1s 5s 10s 30s 1m 5m 15m 1h 6h 1d that divides the window and 48 of which fit into it, or 1s |
/// | `check = path` | a `fn(&Departure<'_>) -> Result<(), RowError>` that refuses events | all count |
/// | `order = "event-time"` | events are folded by (event time, event id) | as the aggregators need it |
/// | `deduplicate = false` | copies of an event count too | an event counts once |
///
/// The other attributes are those of [`macro@row_view`]. A view has 1 to 16 windows of at most 10,000 hops.
///
/// On an `impl WindowView for` a type the attribute makes that type the view, whose state and features are then of
/// the author's own making. There `order` is required, and `event` and `check` are not taken.
#[proc_macro_attribute]
pub fn window_view(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(syn::parse(item).map(|item| window_view::window_view(arguments.into(), item)))
}

/// Makes a type the exports of a window view's component. The other macros call it, and authors never do.
#[doc(hidden)]
#[proc_macro]
pub fn export_window_transform(component: TokenStream) -> TokenStream {
    expand(syn::parse(component).map(|component| world::export_window_transform(&component)))
}

fn expand(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(|error| error.into_compile_error()).into()
}
