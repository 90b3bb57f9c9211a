//! The derive macros.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Lifetime, Result, Type};

use crate::fields::{Column, Problems, columns, doc, lifetime};
use crate::types::{Kind, Side};

pub(crate) fn input(item: DeriveInput) -> Result<TokenStream> {
    let columns = columns(&item, Side::Input)?;
    check_input(&item, &columns)?;
    let record = record(&item, &columns)?;
    let Borrow { a, own } = Borrow::of(&item)?;
    let name = &item.ident;
    let described = columns.iter().map(|Column { name, ty, doc, is_entity, .. }| {
        let value = value(ty, quote!(InputValue<#a>));
        quote! {
            ::trifold_sdk::rt::InputField {
                name: #name, ty: #value::TYPE, nullable: #value::NULLABLE, is_entity: #is_entity, doc: #doc,
            }
        }
    });
    let keys: Vec<_> = columns.iter().filter(|column| column.is_entity).map(|column| &column.ty).collect();
    let key = if let [key] = keys[..] { quote!(#key) } else { quote!((#(#keys,)*)) };
    Ok(quote! {
        #record

        #[automatically_derived]
        impl<#a> ::trifold_sdk::Input<#a> for #name #own {
            type Key = #key;

            const FIELDS: &'static [::trifold_sdk::rt::InputField] = &[#(#described),*];
        }
    })
}

pub(crate) fn request(item: DeriveInput) -> Result<TokenStream> {
    let columns = columns(&item, Side::Request)?;
    let record = record(&item, &columns)?;
    let Borrow { a, own } = Borrow::of(&item)?;
    let name = &item.ident;
    let described = columns.iter().map(|Column { name, ty, doc, feature, .. }| {
        let value = value(ty, quote!(InputValue<#a>));
        let feature = match feature {
            Some((view, output)) => quote!(::core::option::Option::Some((#view, #output))),
            None => quote!(::core::option::Option::None),
        };
        quote! {
            ::trifold_sdk::rt::RequestField {
                name: #name, ty: #value::TYPE, nullable: #value::NULLABLE, feature: #feature, doc: #doc,
            }
        }
    });
    Ok(quote! {
        #record

        #[automatically_derived]
        impl<#a> ::trifold_sdk::Request<#a> for #name #own {
            const FIELDS: &'static [::trifold_sdk::rt::RequestField] = &[#(#described),*];
        }
    })
}

pub(crate) fn output(item: DeriveInput) -> Result<TokenStream> {
    let columns = columns(&item, Side::Output)?;
    if !item.generics.params.is_empty() {
        let message = "an output struct owns its fields: write it without parameters";
        return Err(Error::new(item.generics.span(), message));
    }
    written(&item, &columns)
}

pub(crate) fn prepared(item: DeriveInput) -> Result<TokenStream> {
    let columns = columns(&item, Side::Prepared)?;
    let (record, written) = (record(&item, &columns)?, written(&item, &columns)?);
    Ok(quote!(#record #written))
}

/// The lifetime with which a struct borrows from a batch.
struct Borrow {
    /// Its name, which the struct need not have.
    a: Lifetime,
    /// The struct's parameters.
    own: Option<TokenStream>,
}

impl Borrow {
    fn of(item: &DeriveInput) -> Result<Self> {
        let declared = lifetime(item)?;
        let own = declared.as_ref().map(|a| quote!(<#a>));
        Ok(Borrow { a: declared.unwrap_or_else(|| Lifetime::new("'a", Span::call_site())), own })
    }
}

/// How a struct is read from columns.
fn record(item: &DeriveInput, columns: &[Column]) -> Result<TokenStream> {
    let Borrow { a, own } = Borrow::of(item)?;
    let name = &item.ident;
    let fields: Vec<_> = columns.iter().map(|column| &column.ident).collect();
    let names = columns.iter().map(|column| &column.name);
    let values: Vec<_> = columns.iter().map(|column| value(&column.ty, quote!(InputValue<#a>))).collect();
    Ok(quote! {
        const _: () = {
            #[doc(hidden)]
            #[allow(unreachable_pub)]
            pub struct Columns<#a> {
                #(#fields: #values::Column,)*
            }

            #[automatically_derived]
            impl<#a> ::trifold_sdk::rt::Record<#a> for #name #own {
                type Columns = Columns<#a>;

                #[inline]
                fn read(
                    reader: &mut ::trifold_sdk::rt::Reader<#a>,
                ) -> ::core::result::Result<Self::Columns, ::trifold_sdk::rt::SlabError> {
                    Ok(Columns { #(#fields: #values::read(reader.field(#names))?,)* })
                }

                #[inline]
                fn row(columns: &Self::Columns, row: usize) -> Self {
                    Self { #(#fields: #values::get(&columns.#fields, row),)* }
                }
            }
        };
    })
}

/// How a struct is written to columns.
fn written(item: &DeriveInput, columns: &[Column]) -> Result<TokenStream> {
    let Borrow { own, .. } = Borrow::of(item)?;
    let borrowed = lifetime(item)?.map(|a| quote!(#a,));
    let name = &item.ident;
    let text = doc(&item.attrs);
    let fields: Vec<_> = columns.iter().map(|column| &column.ident).collect();
    let values: Vec<_> = columns.iter().map(|column| value(&column.ty, quote!(OutputValue))).collect();
    let calls: Vec<_> =
        columns.iter().map(|Column { ty, .. }| quote!(::trifold_sdk::rt::OutputColumn::<'_, #ty>)).collect();
    let described = columns.iter().zip(&values).map(|(Column { name, doc, .. }, value)| {
        quote! {
            each(::trifold_sdk::rt::OutputField {
                name: #name, ty: #value::TYPE, nullable: #value::NULLABLE, doc: #doc,
            });
        }
    });
    Ok(quote! {
        const _: () = {
            #[doc(hidden)]
            #[allow(unreachable_pub)]
            pub struct Columns<#borrowed 'words> {
                #(#fields: #values::Column<'words>,)*
            }

            #[automatically_derived]
            impl #own ::trifold_sdk::Output for #name #own {
                type Columns<'words> = Columns<#borrowed 'words>;

                const DOC: &'static str = #text;

                fn fields(each: &mut dyn FnMut(::trifold_sdk::rt::OutputField<'_>)) {
                    #(#described)*
                }

                fn words(rows: usize) -> usize {
                    0 #(+ <#values::Column<'_> as #calls>::words(rows))*
                }

                #[inline]
                fn columns<'words>(places: &mut ::trifold_sdk::rt::Places<'words>) -> Self::Columns<'words> {
                    Columns { #(#fields: #calls::new(places),)* }
                }

                #[inline]
                fn set(self, columns: &mut Self::Columns<'_>, row: usize) {
                    #(#calls::set(&mut columns.#fields, row, self.#fields);)*
                }

                #[inline]
                fn skip(columns: &mut Self::Columns<'_>, row: usize) {
                    #(#calls::skip(&mut columns.#fields, row);)*
                }

                fn tails(columns: Self::Columns<'_>, tails: &mut ::std::vec::Vec<::trifold_sdk::rt::Tail>) {
                    #(#calls::tails(columns.#fields, tails);)*
                }
            }
        };
    })
}

/// `<T as Trait>`, spanned as the type is, so that what the compiler finds wrong is underlined where it stands.
fn value(ty: &Type, contract: TokenStream) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as ::trifold_sdk::rt::#contract>)
}

fn check_input(item: &DeriveInput, columns: &[Column]) -> Result<()> {
    let mut problems = Problems::default();
    if !columns.iter().any(|column| column.is_entity) {
        let message = "the input struct has no key: write `#[entity]` above each field that names the entity";
        problems.push(Error::new(item.ident.span(), message));
    }
    for column in columns {
        let is_right = match column.name.as_str() {
            "event_time" => column.kind == Kind::Timestamp,
            "event_id" => column.kind == Kind::Utf8,
            _ => true,
        };
        if !is_right {
            let message = "`event_time` and `event_id` are the event's own and always there: write `event_time: \
                           Timestamp`, `event_id: &'a str` or `event_id: String`, or choose another name";
            problems.push(Error::new_spanned(&column.ty, message));
        }
    }
    problems.finish(())
}
