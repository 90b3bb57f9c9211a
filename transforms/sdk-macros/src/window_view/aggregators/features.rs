//! The features of a struct of aggregators.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::window_view::aggregators::Aggregator;
use crate::window_view::{WindowArguments, rt};

/// What the windows come to: for each field the features of each window.
pub(crate) fn features(fields: &[Aggregator], arguments: &WindowArguments) -> TokenStream {
    let rt = rt();
    let windows = arguments.windows.iter().map(|window| &window.text);
    let count = arguments.windows.len();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let values: Vec<_> = fields.iter().map(|field| field.aggregate(quote!(Feature))).collect();
    let shown = fields.iter().map(
        |Aggregator { name, ty, doc, .. }| quote!(#rt::features::<#ty>(#name, #doc, &TRIFOLD_WINDOWS, each);),
    );
    quote! {
        const TRIFOLD_WINDOWS: [&str; #count] = [#(#windows),*];

        #[doc(hidden)]
        pub struct TrifoldFeatures {
            #(#idents: [#values; #count],)*
        }

        #[doc(hidden)]
        pub struct TrifoldFeatureColumns<'words> {
            #(#idents: [<#values as #rt::OutputValues>::Columns<'words>; #count],)*
        }

        #[automatically_derived]
        impl ::trifold_sdk::Output for TrifoldFeatures {
            type Columns<'words> = TrifoldFeatureColumns<'words>;

            const DOC: &'static str = "";

            fn fields(each: &mut dyn FnMut(#rt::OutputField<'_>)) {
                #(#shown)*
            }

            fn words(rows: usize) -> usize {
                #count * (0 #(+ <#values as #rt::OutputValues>::words(rows))*)
            }

            #[inline]
            fn columns<'words>(places: &mut #rt::Places<'words>) -> TrifoldFeatureColumns<'words> {
                TrifoldFeatureColumns {
                    #(#idents: ::core::array::from_fn(|_| <#values as #rt::OutputValues>::columns(places)),)*
                }
            }

            #[inline]
            fn set(self, columns: &mut TrifoldFeatureColumns<'_>, row: usize) {
                #(for (column, value) in columns.#idents.iter_mut().zip(self.#idents) {
                    <#values as #rt::OutputValues>::set(value, column, row);
                })*
            }

            #[inline]
            fn skip(columns: &mut TrifoldFeatureColumns<'_>, row: usize) {
                #(for column in &mut columns.#idents {
                    <#values as #rt::OutputValues>::skip(column, row);
                })*
            }

            fn tails(columns: TrifoldFeatureColumns<'_>, tails: &mut ::std::vec::Vec<#rt::Tail>) {
                #(for column in columns.#idents {
                    <#values as #rt::OutputValues>::tails(column, tails);
                })*
            }
        }
    }
}

/// Refuses features whose names are not valid, which shows only when the names of the aggregators' features are
/// known.
pub(crate) fn check_names(fields: &[Aggregator], arguments: &WindowArguments) -> TokenStream {
    let rt = rt();
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
            const _: () = match #rt::has_names(TRIFOLD_NAMES, #place, #longest) {
                Ok(()) => (),
                Err(#rt::NameProblem::Taken) => panic!(#taken),
                Err(#rt::NameProblem::Long) => panic!(#long),
            };
        }
    });
    quote! {
        const TRIFOLD_NAMES: [(&str, &[&str]); #count] = [#(#names),*];
        #(#checks)*
    }
}
