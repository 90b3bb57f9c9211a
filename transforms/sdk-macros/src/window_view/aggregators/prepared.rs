//! The columns of what a struct of aggregators takes of events.

use proc_macro2::TokenStream;
use quote::quote;

use crate::window_view::aggregators::Aggregator;
use crate::window_view::rt;

/// What is left of an event: what the expressions give, each in columns of its own unless an earlier field has the
/// same expression and columns of the same types. A view that needs no column has one that says nothing, for a
/// batch has at least one.
pub(crate) fn prepared(fields: &[Aggregator]) -> TokenStream {
    let rt = rt();
    let count = fields.len();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let names = fields.iter().map(|field| &field.name);
    let texts = fields.iter().map(|field| &field.text);
    let items: Vec<_> = fields.iter().map(|field| field.aggregate(quote!(Item<'a>))).collect();
    let columns = fields.iter().map(|field| {
        let expression = fields.iter().position(|other| other.tokens() == field.tokens());
        let item = field.aggregate(quote!(Item<'static>));
        quote!((#expression, <#item as #rt::OutputValues>::TYPES))
    });
    let onces: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(place, item)| quote!(#rt::Once<#item, { TRIFOLD_SOURCES[#place] == #place }>))
        .collect();
    quote! {
        const TRIFOLD_COLUMNS: [(usize, &[#rt::ColumnType]); #count] = [#(#columns),*];
        const TRIFOLD_SOURCES: [usize; #count] = #rt::sources(TRIFOLD_COLUMNS);
        type TrifoldNothing = #rt::Once<bool, { #rt::are_none(TRIFOLD_COLUMNS) }>;

        #[doc(hidden)]
        pub struct TrifoldPrepared<'a> {
            #(#idents: #onces,)*
        }

        #[doc(hidden)]
        pub struct TrifoldRead<'a> {
            #(#idents: <#items as #rt::InputValues<'a>>::Columns,)*
        }

        #[doc(hidden)]
        pub struct TrifoldWritten<'a, 'words> {
            #(#idents: <#onces as #rt::OutputValues>::Columns<'words>,)*
        }

        #[automatically_derived]
        impl<'a> #rt::Record<'a> for TrifoldPrepared<'a> {
            type Columns = TrifoldRead<'a>;

            fn read(reader: &mut #rt::Reader<'a>) -> ::core::result::Result<TrifoldRead<'a>, #rt::SlabError> {
                let mut fields = #rt::FieldColumns::new(reader, &TRIFOLD_SOURCES);
                let columns = TrifoldRead { #(#idents: fields.next::<#items>(#names)?,)* };
                <TrifoldNothing as #rt::InputValues<'a>>::read(reader)?;
                Ok(columns)
            }

            #[inline]
            fn row(columns: &TrifoldRead<'a>, row: usize) -> Self {
                TrifoldPrepared { #(#idents: #rt::Once(Some(<#items as #rt::InputValues<'a>>::get(&columns.#idents, row))),)* }
            }
        }

        #[automatically_derived]
        impl<'a> ::trifold_sdk::Output for TrifoldPrepared<'a> {
            type Columns<'words> = TrifoldWritten<'a, 'words>;

            const DOC: &'static str = "";

            fn fields(each: &mut dyn FnMut(#rt::OutputField<'_>)) {
                let mut next = 0;
                #(#rt::prepared::<#onces>(#texts, &mut next, each);)*
                #rt::prepared::<TrifoldNothing>("No column is needed.", &mut next, each);
            }

            fn words(rows: usize) -> usize {
                <TrifoldNothing as #rt::OutputValues>::words(rows) #(+ <#onces as #rt::OutputValues>::words(rows))*
            }

            #[inline]
            fn columns<'words>(places: &mut #rt::Places<'words>) -> TrifoldWritten<'a, 'words> {
                let columns = TrifoldWritten { #(#idents: <#onces as #rt::OutputValues>::columns(places),)* };
                <TrifoldNothing as #rt::OutputValues>::columns(places);
                columns
            }

            #[inline]
            fn set(self, columns: &mut TrifoldWritten<'a, '_>, row: usize) {
                #(<#onces as #rt::OutputValues>::set(self.#idents, &mut columns.#idents, row);)*
            }

            #[inline]
            fn skip(columns: &mut TrifoldWritten<'a, '_>, row: usize) {
                #(<#onces as #rt::OutputValues>::skip(&mut columns.#idents, row);)*
            }

            fn tails(columns: TrifoldWritten<'a, '_>, tails: &mut ::std::vec::Vec<#rt::Tail>) {
                #(<#onces as #rt::OutputValues>::tails(columns.#idents, tails);)*
            }
        }
    }
}
