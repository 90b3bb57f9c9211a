//! A window view that is a struct of aggregators.

mod features;
mod prepared;

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, Field, Fields, Ident, ItemStruct, Meta, Result, Type};

use crate::fields::{Problems, check_name, doc};
use crate::types::{Side, kind};
use crate::window_view::aggregators::features::{check_names, features};
use crate::window_view::aggregators::prepared::prepared;
use crate::window_view::{WindowArguments, order, rt, snake_case};

/// A field of the struct: an aggregator and what it takes of an event.
pub(crate) struct Aggregator {
    ident: Ident,
    name: String,
    ty: Type,
    doc: String,
    of: Expr,
    /// The expression as the author wrote it.
    text: String,
}

/// The fields, whose `#[of(...)]` the compiler must not see.
pub(crate) fn take_fields(item: &mut ItemStruct) -> Result<Vec<Aggregator>> {
    let shape =
        Error::new(item.ident.span(), "a window view has named fields: `struct View { name: Aggregator, ... }`");
    let Fields::Named(fields) = &mut item.fields else { return Err(shape) };
    if fields.named.is_empty() {
        return Err(Error::new(item.ident.span(), "write at least one aggregator"));
    }
    let mut problems = Problems::default();
    if !item.generics.params.is_empty() {
        let message = "the state of a tile owns its fields: write the struct without parameters";
        problems.push(Error::new(item.generics.span(), message));
    }
    let taken: Vec<_> = fields.named.iter_mut().filter_map(|field| problems.collect(take_field(field))).collect();
    problems.finish(taken)
}

fn take_field(field: &mut Field) -> Result<Aggregator> {
    let ident = field.ident.clone().ok_or_else(|| Error::new(field.span(), "write a name"))?;
    let (ofs, attributes) = std::mem::take(&mut field.attrs)
        .into_iter()
        .partition::<Vec<_>, _>(|attribute| attribute.path().is_ident("of"));
    field.attrs = attributes;
    let what = "write what it takes of an event, as in `#[of(event.amount)]`, or `#[of(())]` if nothing";
    let of = match &ofs[..] {
        [] => return Err(Error::new(ident.span(), format!("`{ident}` has no `#[of(...)]`: {what}"))),
        [of] => of,
        [_, second, ..] => return Err(Error::new(second.span(), "`#[of(...)]` is given twice")),
    };
    let text = text(of);
    let of = of.parse_args().map_err(|error| {
        let one = "write one expression, as in `#[of(event.amount)]`; several values are a tuple: `#[of((a, b))]`";
        Error::new(error.span(), one)
    })?;
    let name = ident.unraw().to_string();
    check_name(&name, "field", ident.span())?;
    if kind(&field.ty, Side::Output).is_ok() {
        let message = "this is a type of features and no aggregator: write Count, Sum, Mean, Max<f64>, Last<String> \
                       or another type of `trifold_sdk::aggregate`";
        return Err(Error::new_spanned(&field.ty, message));
    }
    Ok(Aggregator { name, ty: field.ty.clone(), doc: doc(&field.attrs), of, text, ident })
}

/// What stands between the parentheses of an attribute.
fn text(attribute: &Attribute) -> String {
    let Meta::List(list) = &attribute.meta else { return String::new() };
    // On stable compilers the source of a whole expression is to be had for a group of tokens alone.
    let source = list.delimiter.span().join().source_text();
    let inner = source.as_deref().and_then(|source| source.strip_prefix('(')?.strip_suffix(')'));
    inner.map_or_else(|| list.tokens.to_string(), |inner| inner.trim().to_owned())
}

pub(crate) fn view(arguments: TokenStream, item: &ItemStruct, fields: &[Aggregator]) -> Result<TokenStream> {
    let rt = rt();
    let mut problems = Problems::default();
    let parsed = problems.collect(WindowArguments::parse(arguments)).unwrap_or_default();
    let name = parsed.view.name(&item.ident, &snake_case(&item.ident), &mut problems);
    if parsed.event.is_none() && !parsed.windows.is_empty() {
        let message = "a window view has events: write event = Departure<'_>, the type of the input struct";
        problems.push(Error::new(Span::call_site(), message));
    }
    if let Some(order) = parsed.order.as_ref().filter(|order| !order.is_event_time) {
        let message =
            "the aggregators say whether any order will do: leave it out, or write order = \"event-time\"";
        problems.push(Error::new(order.literal.span(), message));
    }
    let Some(event) = problems.finish(parsed.event.as_ref())? else { return Ok(TokenStream::new()) };
    let ident = &item.ident;
    let folded = match &parsed.order {
        Some(forced) => order(forced.is_event_time),
        None => {
            let orders = fields.iter().map(|field| field.aggregate(quote!(ORDER)));
            quote!(#rt::order([#(#orders),*]))
        }
    };
    let ty = syn::parse_quote!(#ident);
    let component = parsed.component(&ty, &name, &doc(&item.attrs), folded);
    let (names, state) = (check_names(fields, &parsed), state(ident, fields));
    let (prepared, features) = (prepared(fields), features(fields, &parsed));
    let view = implementation(ident, event, fields, &parsed);
    Ok(quote! {
        #component

        const _: () = {
            #names
            #state
            #prepared
            #features
            #view
        };
    })
}

impl Aggregator {
    /// An item of the aggregator's trait, spanned as the type is, so that a type that is no aggregator is
    /// underlined.
    fn aggregate(&self, item: TokenStream) -> TokenStream {
        let rt = rt();
        let ty = &self.ty;
        quote_spanned!(ty.span()=> <#ty as #rt::Aggregate>::#item)
    }

    /// The expression, the same however it is laid out.
    fn tokens(&self) -> String {
        self.of.to_token_stream().to_string()
    }
}

/// How the struct crosses as the state of a tile.
fn state(ident: &Ident, fields: &[Aggregator]) -> TokenStream {
    let rt = rt();
    let count = fields.len();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    quote! {
        #[automatically_derived]
        impl ::trifold_sdk::State for #ident {
            #[inline]
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                let mut fields = #rt::FieldsWriter::new(#count, out);
                #(fields.put(&self.#idents);)*
                fields.finish();
            }

            #[inline]
            fn decode(
                input: &mut ::trifold_sdk::aggregate::StateReader<'_>,
            ) -> ::core::result::Result<Self, ::trifold_sdk::aggregate::StateError> {
                let mut fields = #rt::FieldsReader::new(#count, input)?;
                Ok(Self { #(#idents: fields.take()?,)* })
            }
        }
    }
}

/// The struct as a window view.
fn implementation(ident: &Ident, event: &Type, fields: &[Aggregator], arguments: &WindowArguments) -> TokenStream {
    let rt = rt();
    let event = with_lifetime(event.to_token_stream());
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    // What the author wrote is seen with this name.
    let row = Ident::new("event", Span::call_site());
    let check = arguments.check.iter();
    let items = fields.iter().map(|field| {
        let (of, item) = (&field.of, field.aggregate(quote!(Item<'a>)));
        quote_spanned!(of.span()=> #rt::IntoItem::<#item>::into_item(#of))
    });
    quote! {
        #[automatically_derived]
        impl ::trifold_sdk::WindowView for #ident {
            type Event<'a> = #event;
            type Prepared<'a> = TrifoldPrepared<'a>;
            type State = Self;
            type Features = TrifoldFeatures;

            #[inline]
            #[allow(unused_variables)]
            fn prepare<'a>(
                #row: Self::Event<'a>,
            ) -> ::core::result::Result<Self::Prepared<'a>, ::trifold_sdk::RowError> {
                #(#check(&#row)?;)*
                Ok(TrifoldPrepared { #(#idents: #rt::Once::new(|| #items),)* })
            }

            #[inline]
            fn accumulate(state: &mut Self, event: Self::Prepared<'_>) {
                #(#rt::Aggregate::add(&mut state.#idents, event.#idents.take());)*
            }

            #[inline]
            fn merge(state: &mut Self, later: &Self) {
                #(#rt::Aggregate::merge(&mut state.#idents, &later.#idents);)*
            }

            fn finish(
                windows: &[Self],
                _key: ::trifold_sdk::Key<'_, Self>,
                as_of: ::trifold_sdk::Timestamp,
            ) -> ::core::result::Result<TrifoldFeatures, ::trifold_sdk::RowError> {
                Ok(TrifoldFeatures {
                    #(#idents: ::core::array::from_fn(|window| #rt::Aggregate::finish(&windows[window].#idents, as_of)),)*
                })
            }
        }
    }
}

/// The type of the event with the lifetime of a batch in place of `'_`.
fn with_lifetime(ty: TokenStream) -> TokenStream {
    let mut after_quote = false;
    ty.into_iter()
        .map(|token| {
            let is_elided = after_quote && matches!(&token, TokenTree::Ident(ident) if ident == "_");
            after_quote = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\'');
            match token {
                TokenTree::Ident(ident) if is_elided => Ident::new("a", ident.span()).into(),
                TokenTree::Group(group) => Group::new(group.delimiter(), with_lifetime(group.stream())).into(),
                other => other,
            }
        })
        .collect()
}
