//! A window view that is a struct of aggregators.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, Expr, Field, Fields, Ident, ItemStruct, Result, Type};

use crate::fields::{Problems, check_name, doc};
use crate::window_view::{WindowArguments, order, snake_case};

/// A field of the struct: an aggregator and what it takes of an event.
pub(crate) struct Aggregator {
    ident: Ident,
    name: String,
    ty: Type,
    doc: String,
    of: Expr,
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
        [of] => of.parse_args().map_err(|error| {
            let one =
                "write one expression, as in `#[of(event.amount)]`; several values are a tuple: `#[of((a, b))]`";
            Error::new(error.span(), one)
        })?,
        [_, second, ..] => return Err(Error::new(second.span(), "`#[of(...)]` is given twice")),
    };
    let name = ident.unraw().to_string();
    check_name(&name, "field", ident.span())?;
    Ok(Aggregator { name, ty: field.ty.clone(), doc: doc(&field.attrs), of, ident })
}

pub(crate) fn view(arguments: TokenStream, item: &ItemStruct, fields: &[Aggregator]) -> Result<TokenStream> {
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
            quote!(::trifold_sdk::rt::order([#(#orders),*]))
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
            use ::trifold_sdk::{aggregate::Aggregate, rt};
            use rt::{InputValues, OutputValues};

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
        let ty = &self.ty;
        quote_spanned!(ty.span()=> <#ty as ::trifold_sdk::aggregate::Aggregate>::#item)
    }

    /// The expression, the same however it is laid out.
    fn tokens(&self) -> String {
        self.of.to_token_stream().to_string()
    }

    /// The expression as the author wrote it.
    fn text(&self) -> String {
        self.of.span().source_text().unwrap_or_else(|| self.tokens())
    }
}

/// Refuses features whose names are not valid, which shows only when the names of the aggregators' features are
/// known.
fn check_names(fields: &[Aggregator], arguments: &WindowArguments) -> TokenStream {
    let count = fields.len();
    let names = fields.iter().map(|field| {
        let (name, features) = (&field.name, field.aggregate(quote!(FEATURES)));
        quote!((#name, #features))
    });
    let longest = arguments.windows.iter().map(|window| window.text.len()).max().unwrap_or_default();
    let checks = fields.iter().enumerate().map(|(place, field)| {
        let taken =
            format!("a field before `{}` has a feature of the same name: rename one of the fields", field.name);
        let long = format!("`{}` and a window make a name of more than 64 characters: shorten it", field.name);
        quote_spanned! {field.ident.span()=>
            const _: () = match rt::has_names(NAMES, #place, #longest) {
                Ok(()) => (),
                Err(rt::NameProblem::Taken) => panic!(#taken),
                Err(rt::NameProblem::Long) => panic!(#long),
            };
        }
    });
    quote! {
        const NAMES: [(&str, &[&str]); #count] = [#(#names),*];
        #(#checks)*
    }
}

/// How the struct crosses as the state of a tile.
fn state(ident: &Ident, fields: &[Aggregator]) -> TokenStream {
    let count = fields.len();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    quote! {
        #[automatically_derived]
        impl ::trifold_sdk::State for #ident {
            #[inline]
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                let mut fields = rt::FieldsWriter::new(#count, out);
                #(fields.put(&self.#idents);)*
                fields.finish();
            }

            #[inline]
            fn decode(
                input: &mut ::trifold_sdk::aggregate::StateReader<'_>,
            ) -> ::core::result::Result<Self, ::trifold_sdk::aggregate::StateError> {
                let mut fields = rt::FieldsReader::new(#count, input)?;
                Ok(Self { #(#idents: fields.take()?,)* })
            }
        }
    }
}

/// What is left of an event: what the expressions give, each in columns of its own unless an earlier field has the
/// same expression and columns of the same types. A view that needs no column has one that says nothing, for a
/// batch has at least one.
fn prepared(fields: &[Aggregator]) -> TokenStream {
    let count = fields.len();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let names = fields.iter().map(|field| &field.name);
    let texts = fields.iter().map(Aggregator::text);
    let items: Vec<_> = fields.iter().map(|field| field.aggregate(quote!(Item<'a>))).collect();
    let columns = fields.iter().map(|field| {
        let expression = fields.iter().position(|other| other.tokens() == field.tokens());
        let item = field.aggregate(quote!(Item<'static>));
        quote!((#expression, <#item as OutputValues>::TYPES))
    });
    let onces: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(place, item)| quote!(rt::Once<#item, { SOURCES[#place] == #place }>))
        .collect();
    quote! {
        const COLUMNS: [(usize, &[rt::ColumnType]); #count] = [#(#columns),*];
        const SOURCES: [usize; #count] = rt::sources(COLUMNS);
        type Nothing = rt::Once<bool, { rt::are_none(COLUMNS) }>;

        #[doc(hidden)]
        pub struct Prepared<'a> {
            #(#idents: #onces,)*
        }

        #[doc(hidden)]
        pub struct Read<'a> {
            #(#idents: <#items as InputValues<'a>>::Columns,)*
        }

        #[doc(hidden)]
        pub struct Written<'a, 'words> {
            #(#idents: <#onces as OutputValues>::Columns<'words>,)*
        }

        #[automatically_derived]
        impl<'a> rt::Record<'a> for Prepared<'a> {
            type Columns = Read<'a>;

            fn read(reader: &mut rt::Reader<'a>) -> ::core::result::Result<Read<'a>, rt::SlabError> {
                let mut fields = rt::FieldColumns::new(reader, &SOURCES);
                let columns = Read { #(#idents: fields.next::<#items>(#names)?,)* };
                Nothing::read(reader)?;
                Ok(columns)
            }

            #[inline]
            fn row(columns: &Read<'a>, row: usize) -> Self {
                Prepared { #(#idents: rt::Once(Some(<#items as InputValues<'a>>::get(&columns.#idents, row))),)* }
            }
        }

        #[automatically_derived]
        impl<'a> ::trifold_sdk::Output for Prepared<'a> {
            type Columns<'words> = Written<'a, 'words>;

            const DOC: &'static str = "";

            fn fields(each: &mut dyn FnMut(rt::OutputField<'_>)) {
                let mut next = 0;
                #(rt::prepared::<#onces>(#texts, &mut next, each);)*
                rt::prepared::<Nothing>("No column is needed.", &mut next, each);
            }

            fn words(rows: usize) -> usize {
                Nothing::words(rows) #(+ <#onces as OutputValues>::words(rows))*
            }

            #[inline]
            fn columns<'words>(places: &mut rt::Places<'words>) -> Written<'a, 'words> {
                let columns = Written { #(#idents: <#onces as OutputValues>::columns(places),)* };
                Nothing::columns(places);
                columns
            }

            #[inline]
            fn set(self, columns: &mut Written<'a, '_>, row: usize) {
                #(self.#idents.set(&mut columns.#idents, row);)*
            }

            #[inline]
            fn skip(columns: &mut Written<'a, '_>, row: usize) {
                #(<#onces as OutputValues>::skip(&mut columns.#idents, row);)*
            }

            fn tails(columns: Written<'a, '_>, tails: &mut ::std::vec::Vec<rt::Tail>) {
                #(<#onces as OutputValues>::tails(columns.#idents, tails);)*
            }
        }
    }
}

/// What the windows come to: for each field the features of each window.
fn features(fields: &[Aggregator], arguments: &WindowArguments) -> TokenStream {
    let windows = arguments.windows.iter().map(|window| &window.text);
    let count = arguments.windows.len();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let values: Vec<_> = fields.iter().map(|field| field.aggregate(quote!(Feature))).collect();
    let shown = fields
        .iter()
        .map(|Aggregator { name, ty, doc, .. }| quote!(rt::features::<#ty>(#name, #doc, &WINDOWS, each);));
    quote! {
        const WINDOWS: [&str; #count] = [#(#windows),*];

        #[doc(hidden)]
        pub struct Features {
            #(#idents: [#values; #count],)*
        }

        #[doc(hidden)]
        pub struct FeatureColumns<'words> {
            #(#idents: [<#values as OutputValues>::Columns<'words>; #count],)*
        }

        #[automatically_derived]
        impl ::trifold_sdk::Output for Features {
            type Columns<'words> = FeatureColumns<'words>;

            const DOC: &'static str = "";

            fn fields(each: &mut dyn FnMut(rt::OutputField<'_>)) {
                #(#shown)*
            }

            fn words(rows: usize) -> usize {
                #count * (0 #(+ <#values as OutputValues>::words(rows))*)
            }

            #[inline]
            fn columns<'words>(places: &mut rt::Places<'words>) -> FeatureColumns<'words> {
                FeatureColumns {
                    #(#idents: ::core::array::from_fn(|_| <#values as OutputValues>::columns(places)),)*
                }
            }

            #[inline]
            fn set(self, columns: &mut FeatureColumns<'_>, row: usize) {
                #(for (column, value) in columns.#idents.iter_mut().zip(self.#idents) {
                    value.set(column, row);
                })*
            }

            #[inline]
            fn skip(columns: &mut FeatureColumns<'_>, row: usize) {
                #(for column in &mut columns.#idents {
                    <#values as OutputValues>::skip(column, row);
                })*
            }

            fn tails(columns: FeatureColumns<'_>, tails: &mut ::std::vec::Vec<rt::Tail>) {
                #(for column in columns.#idents {
                    <#values as OutputValues>::tails(column, tails);
                })*
            }
        }
    }
}

/// The struct as a window view.
fn implementation(ident: &Ident, event: &Type, fields: &[Aggregator], arguments: &WindowArguments) -> TokenStream {
    let event = with_lifetime(event.to_token_stream());
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    // What the author wrote is seen with this name.
    let row = Ident::new("event", Span::call_site());
    let check = arguments.check.iter();
    let items = fields.iter().map(|field| {
        let (of, item) = (&field.of, field.aggregate(quote!(Item<'a>)));
        quote_spanned!(of.span()=> ::trifold_sdk::aggregate::IntoItem::<#item>::into_item(#of))
    });
    quote! {
        #[automatically_derived]
        impl ::trifold_sdk::WindowView for #ident {
            type Event<'a> = #event;
            type Prepared<'a> = Prepared<'a>;
            type State = Self;
            type Features = Features;

            #[inline]
            #[allow(unused_variables)]
            fn prepare<'a>(
                #row: Self::Event<'a>,
            ) -> ::core::result::Result<Self::Prepared<'a>, ::trifold_sdk::RowError> {
                #(#check(&#row)?;)*
                Ok(Prepared { #(#idents: rt::Once::new(|| #items),)* })
            }

            #[inline]
            fn accumulate(state: &mut Self, event: Self::Prepared<'_>) {
                #(if let Some(item) = event.#idents.0 {
                    Aggregate::add(&mut state.#idents, item);
                })*
            }

            #[inline]
            fn merge(state: &mut Self, later: &Self) {
                #(Aggregate::merge(&mut state.#idents, &later.#idents);)*
            }

            fn finish(
                windows: &[Self],
                _key: ::trifold_sdk::Key<'_, Self>,
                as_of: ::trifold_sdk::Timestamp,
            ) -> ::core::result::Result<Features, ::trifold_sdk::RowError> {
                Ok(Features {
                    #(#idents: ::core::array::from_fn(|window| Aggregate::finish(&windows[window].#idents, as_of)),)*
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
