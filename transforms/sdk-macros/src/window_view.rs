//! The attribute macro of window views: what both forms share.

mod aggregators;
mod own;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::{Error, Ident, Item, LitBool, LitStr, Path, Result, Type};

use crate::arguments::{Arguments, text};
use crate::windows::{Window, windows};

const ATTRIBUTES: &str = "event, windows, check, order, deduplicate, name, ttl, lateness, max_early, state_version, \
                          fuel and memory";

/// Makes a view of what stands under the attribute. A mistake leaves the item, so that its users and tests add no
/// errors of their own.
pub(crate) fn window_view(arguments: TokenStream, item: Item) -> TokenStream {
    let (item, view) = match item {
        Item::Struct(mut item) => {
            let fields = aggregators::take_fields(&mut item);
            let view = fields.and_then(|fields| aggregators::view(arguments, &item, &fields));
            (quote!(#[derive(Clone, Default)] #item), view)
        }
        Item::Impl(item) => (item.to_token_stream(), own::view(arguments, &item)),
        other => {
            let message = "a window view is a struct of aggregators, or an `impl WindowView for` a type";
            (other.to_token_stream(), Err(Error::new_spanned(&other, message)))
        }
    };
    let view = view.unwrap_or_else(Error::into_compile_error);
    quote!(#item #view)
}

/// What the attribute says, beside what every view may say.
#[derive(Default)]
struct WindowArguments {
    view: Arguments,
    event: Option<Type>,
    windows: Vec<Window>,
    check: Option<Path>,
    order: Option<Order>,
    drops_no_copies: bool,
}

/// The order in which events are folded.
struct Order {
    literal: LitStr,
    is_event_time: bool,
}

impl WindowArguments {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let mut own = WindowArguments::default();
        let view = Arguments::parse(tokens.clone(), ATTRIBUTES, |name, meta| own.take(name, meta))?;
        if own.windows.is_empty() {
            let message = "a window view has windows: write windows = \"15m, 1h, 1d\"";
            return Err(Error::new(proc_macro2::Span::call_site(), message));
        }
        Ok(WindowArguments { view, ..own })
    }

    fn take(&mut self, name: &str, meta: &ParseNestedMeta<'_>) -> Result<bool> {
        match name {
            "event" => {
                let refuse = |error: Error| Error::new(error.span(), "write a type, as in event = Departure<'_>");
                self.event = Some(meta.value().and_then(|value| value.parse()).map_err(refuse)?);
            }
            "check" => {
                let refuse =
                    |error: Error| Error::new(error.span(), "write the path of a function, as in check = check");
                self.check = Some(meta.value().and_then(|value| value.parse()).map_err(refuse)?);
            }
            "windows" => {
                self.windows = windows(&text(meta, "windows in quotes, as in windows = \"15m, 1h, 1d/1h\"")?)?
            }
            "order" => self.order = Some(Order::parse(meta)?),
            "deduplicate" => {
                let refuse = |error: Error| Error::new(error.span(), "write true or false");
                let value: LitBool = meta.value().and_then(|value| value.parse()).map_err(refuse)?;
                self.drops_no_copies = !value.value;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The crate's component over a type that is a `WindowView`, folded in an order that is a constant expression.
    fn component(&self, view: &Type, name: &str, doc: &str, order: TokenStream) -> TokenStream {
        let rt = rt();
        let described = self.view.view(name, doc);
        let count = self.windows.len();
        let deduplicate = !self.drops_no_copies;
        let windows = self.windows.iter().map(|Window { seconds, hop_seconds, .. }| {
            quote!(#rt::Window { seconds: #seconds, hop_seconds: #hop_seconds })
        });
        quote! {
            /// The crate's view as the host sees it.
            #[doc(hidden)]
            #[allow(unreachable_pub)]
            pub struct TrifoldComponent;

            const _: () = {
                type TrifoldAnswer<T> = ::core::result::Result<T, #rt::Failure>;

                impl #rt::WindowGuest for TrifoldComponent {
                    fn describe() -> ::std::string::String {
                        const TRIFOLD_VIEW: #rt::View = #described;
                        const TRIFOLD_FOLD: #rt::WindowFold =
                            #rt::WindowFold { windows: &[#(#windows),*], order: #order, deduplicate: #deduplicate };
                        #rt::describe_window::<#view>(&TRIFOLD_VIEW, &TRIFOLD_FOLD)
                    }

                    fn prepare(events: #rt::Batch) -> TrifoldAnswer<#rt::Outcome> {
                        #rt::prepare::<#view>(&events)
                    }

                    fn accumulate(
                        states: #rt::Batch,
                        groups: ::std::vec::Vec<#rt::Group>,
                        prepared: #rt::Batch,
                    ) -> TrifoldAnswer<#rt::Batch> {
                        #rt::accumulate::<#view>(&states, &groups, &prepared)
                    }

                    fn merge(states: #rt::Batch, spans: ::std::vec::Vec<#rt::Span>) -> TrifoldAnswer<#rt::Batch> {
                        #rt::merge::<#view>(&states, &spans)
                    }

                    fn finish(
                        tiles: #rt::Batch,
                        picks: ::std::vec::Vec<u32>,
                        windows: ::std::vec::Vec<#rt::Span>,
                        keys: #rt::Batch,
                        as_of: ::std::vec::Vec<i64>,
                    ) -> TrifoldAnswer<#rt::Outcome> {
                        #rt::finish::<#view>(#count, &tiles, &picks, &windows, &keys, &as_of)
                    }
                }
            };

            #[cfg(target_arch = "wasm32")]
            #rt::export_window_transform!(TrifoldComponent);
        }
    }
}

impl Order {
    fn parse(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let what = "order = \"any\" or order = \"event-time\"";
        let literal = text(meta, what)?;
        let is_event_time = match literal.value().as_str() {
            "any" => false,
            "event-time" => true,
            _ => return Err(Error::new(literal.span(), format!("write {what}"))),
        };
        Ok(Order { literal, is_event_time })
    }
}

/// What the expansion refers to. Nothing is imported: the author's own names must keep their meaning.
fn rt() -> TokenStream {
    quote!(::trifold_sdk::rt)
}

fn order(is_event_time: bool) -> TokenStream {
    if is_event_time {
        quote!(::trifold_sdk::aggregate::FoldOrder::EventTime)
    } else {
        quote!(::trifold_sdk::aggregate::FoldOrder::Any)
    }
}

/// The name of a view after its type: `AirportLoad` is `airport_load`.
fn snake_case(ty: &Ident) -> String {
    let mut name = String::new();
    for character in crate::arguments::plain(ty).chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}
