//! The attribute macros of row views and on-demand views.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, ItemFn, Result, ReturnType, Type};

use crate::arguments::{ATTRIBUTES, Arguments, STATELESS_ATTRIBUTES, plain};
use crate::fields::{Problems, doc};

const SIGNATURE: &str = "write `pub fn view(row: Row<'_>) -> Result<Features, RowError>`, or `-> Features` where no \
                         row is ever refused";

/// What a function becomes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Row,
    OnDemand,
}

impl Kind {
    fn arguments(self, tokens: TokenStream) -> Result<Arguments> {
        let span = tokens.span();
        let attributes = match self {
            Kind::Row => ATTRIBUTES,
            Kind::OnDemand => STATELESS_ATTRIBUTES,
        };
        let parsed = Arguments::parse(tokens, attributes, |_, _| Ok(false))?;
        match parsed.of_events().filter(|_| self == Kind::OnDemand) {
            None => Ok(parsed),
            Some(name) => {
                let message = format!(
                    "`{name}` is about events, which an on-demand view does not see; the attributes are \
                     {attributes}"
                );
                Err(Error::new(span, message))
            }
        }
    }

    /// The functions of the run-time that describe the view and compute its rows.
    fn functions(self) -> (Ident, Ident) {
        let (describe, apply) = match self {
            Kind::Row => ("describe", "apply"),
            Kind::OnDemand => ("describe_on_demand", "apply_on_demand"),
        };
        (Ident::new(describe, Span::call_site()), Ident::new(apply, Span::call_site()))
    }
}

pub(crate) fn view(arguments: TokenStream, function: &ItemFn, kind: Kind) -> Result<TokenStream> {
    let mut problems = Problems::default();
    let parsed = problems.collect(kind.arguments(arguments)).unwrap_or_default();
    let (describe, apply) = kind.functions();
    let types = problems.collect(signature(function));
    let ident = &function.sig.ident;
    let name = parsed.name(ident, &plain(ident), &mut problems);
    let (row, features) = problems.finish(types)?.unzip();
    let view = parsed.view(&name, &doc(&function.attrs));
    Ok(quote! {
        #function

        /// The crate's view as the host sees it.
        #[doc(hidden)]
        #[allow(unreachable_pub)]
        pub struct TrifoldComponent;

        impl ::trifold_sdk::rt::Guest for TrifoldComponent {
            fn describe() -> ::std::string::String {
                const VIEW: ::trifold_sdk::rt::View = #view;
                ::trifold_sdk::rt::#describe::<#row, #features>(&VIEW)
            }

            fn apply(
                batch: ::trifold_sdk::rt::Batch,
            ) -> ::core::result::Result<::trifold_sdk::rt::Outcome, ::trifold_sdk::rt::Failure> {
                ::trifold_sdk::rt::#apply::<#row, #features>(&batch, #ident)
            }
        }

        #[cfg(target_arch = "wasm32")]
        ::trifold_sdk::rt::export_row_transform!(TrifoldComponent with_types_in ::trifold_sdk::rt::bindings);
    })
}

/// The types of the row and of what becomes of it.
fn signature(function: &ItemFn) -> Result<(&Type, &Type)> {
    let signature = &function.sig;
    let refuse =
        |span: Span, problem: &str| Err::<(&Type, &Type), _>(Error::new(span, format!("{problem}: {SIGNATURE}")));
    if let Some(keyword) = &signature.asyncness {
        return refuse(keyword.span(), "a view has nothing to wait for");
    }
    if let Some(keyword) = &signature.unsafety {
        return refuse(keyword.span(), "a view's function is safe");
    }
    if let Some(parameter) = signature.generics.type_params().next() {
        return refuse(parameter.span(), "a view's types are fixed");
    }
    let mut arguments = signature.inputs.iter();
    let row = match (arguments.next(), arguments.next()) {
        (Some(FnArg::Typed(row)), None) => &*row.ty,
        (Some(FnArg::Receiver(receiver)), _) => return refuse(receiver.span(), "a view is a free function"),
        (None, _) => return refuse(signature.ident.span(), "a view's function takes one row"),
        (_, Some(second)) => return refuse(second.span(), "a view's function takes one row"),
    };
    if let Type::Reference(reference) = row {
        return refuse(reference.span(), "a view's function owns its row");
    }
    match &signature.output {
        ReturnType::Default => refuse(signature.ident.span(), "a view's function returns features"),
        ReturnType::Type(_, features) => Ok((row, features)),
    }
}
