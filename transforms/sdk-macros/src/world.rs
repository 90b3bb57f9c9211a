//! The bindings of the window world.
//!
//! They are generated in the crate of the view and not in the SDK: what wit-bindgen leaves in a library names the
//! world's imports, and would give the window world's types to every row view's component.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

/// The line with which each file of the contract begins.
const PACKAGE: &str = "package trifold:feature@1.0.0;";
const FILES: [&str; 2] = [include_str!("../wit/row.wit"), include_str!("../wit/window.wit")];

/// Makes a type that is a `WindowGuest` the exports of the crate's component.
pub(crate) fn export_window_transform(component: &Ident) -> TokenStream {
    let wit = FILES.into_iter().fold(PACKAGE.to_owned(), |wit, file| wit + &file.replacen(PACKAGE, "", 1));
    quote! {
        #[cfg(target_arch = "wasm32")]
        #[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)]
        mod trifold_window_transform {
            use ::trifold_sdk::rt::WindowGuest;

            ::trifold_sdk::rt::wit_bindgen::generate!({
                inline: #wit,
                world: "window-transform",
                runtime_path: "::trifold_sdk::rt::wit_bindgen::rt",
                with: {
                    "trifold:feature/types@1.0.0": ::trifold_sdk::rt::bindings::trifold::feature::types,
                    "trifold:feature/diagnostics@1.0.0": ::trifold_sdk::rt::bindings::trifold::feature::diagnostics,
                    "trifold:feature/window-types@1.0.0": ::trifold_sdk::rt,
                },
            });

            use super::#component as Component;

            impl Guest for Component {
                fn describe() -> String {
                    <Component as WindowGuest>::describe()
                }

                fn prepare(events: Batch) -> Result<Outcome, Failure> {
                    <Component as WindowGuest>::prepare(events)
                }

                fn accumulate(states: Batch, groups: Vec<Group>, prepared: Batch) -> Result<Batch, Failure> {
                    <Component as WindowGuest>::accumulate(states, groups, prepared)
                }

                fn merge(states: Batch, spans: Vec<Span>) -> Result<Batch, Failure> {
                    <Component as WindowGuest>::merge(states, spans)
                }

                fn finish(
                    tiles: Batch,
                    picks: Vec<u32>,
                    windows: Vec<Span>,
                    keys: Batch,
                    as_of: Vec<i64>,
                ) -> Result<Outcome, Failure> {
                    <Component as WindowGuest>::finish(tiles, picks, windows, keys, as_of)
                }
            }

            export!(Component);
        }
    }
}
