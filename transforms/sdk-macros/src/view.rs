//! The attribute macro of row views.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, LitInt, LitStr, Result, ReturnType, Type};

use crate::fields::{Problems, check_name, doc};
use crate::units::{bytes, seconds};

const ATTRIBUTES: &str = "name, ttl, lateness, max_early, state_version, fuel and memory";
const SIGNATURE: &str = "write `pub fn view(row: Row<'_>) -> Result<Features, RowError>`, or `-> Features` where no \
                         row is ever refused";

#[derive(Default)]
struct Arguments {
    name: Option<LitStr>,
    ttl: Option<u64>,
    lateness: Option<u64>,
    max_early: Option<u64>,
    state_version: Option<u32>,
    fuel: Option<u64>,
    memory: Option<u64>,
    seen: Vec<String>,
}

pub(crate) fn row_view(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let mut problems = Problems::default();
    let parsed = problems.collect(Arguments::parse(arguments)).unwrap_or_default();
    let types = problems.collect(signature(function));
    problems.collect(parsed.name.as_ref().map_or(Ok(()), |name| check_name(&name.value(), "view", name.span())));
    let ident = &function.sig.ident;
    let name = parsed.name.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value);
    if parsed.name.is_none() {
        problems.collect(check_name(&name, "view", ident.span()));
    }
    let (row, features) = problems.finish(types)?.unzip();
    let doc = doc(&function.attrs);
    let [ttl, lateness, max_early, fuel, memory] =
        [parsed.ttl, parsed.lateness, parsed.max_early, parsed.fuel, parsed.memory].map(optional);
    let state_version = parsed.state_version.unwrap_or(1);
    Ok(quote! {
        #function

        /// The crate's view as the host sees it.
        #[doc(hidden)]
        #[allow(unreachable_pub)]
        pub struct TrifoldComponent;

        impl ::trifold_sdk::rt::Guest for TrifoldComponent {
            fn describe() -> ::std::string::String {
                const VIEW: ::trifold_sdk::rt::View = ::trifold_sdk::rt::View {
                    name: #name,
                    doc: #doc,
                    ttl_seconds: #ttl,
                    lateness_seconds: #lateness,
                    max_early_seconds: #max_early,
                    state_version: #state_version,
                    fuel: #fuel,
                    memory_bytes: #memory,
                };
                ::trifold_sdk::rt::describe::<#row, #features>(&VIEW)
            }

            fn apply(
                batch: ::trifold_sdk::rt::Batch,
            ) -> ::core::result::Result<::trifold_sdk::rt::Outcome, ::trifold_sdk::rt::Failure> {
                ::trifold_sdk::rt::apply::<#row, #features>(&batch, #ident)
            }
        }

        #[cfg(target_arch = "wasm32")]
        ::trifold_sdk::rt::export_row_transform!(TrifoldComponent with_types_in ::trifold_sdk::rt::bindings);
    })
}

impl Arguments {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let mut arguments = Arguments::default();
        syn::meta::parser(|meta| arguments.argument(&meta)).parse2(tokens)?;
        Ok(arguments)
    }

    fn argument(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta.path.to_token_stream().to_string();
        if self.seen.contains(&name) {
            return Err(meta.error(format!("`{name}` is given twice")));
        }
        match name.as_str() {
            "name" => self.name = Some(text(meta, "a name, as in name = \"flight_profile\"")?),
            "ttl" => self.ttl = Some(duration(meta)?),
            "lateness" => self.lateness = Some(duration(meta)?),
            "max_early" => self.max_early = Some(duration(meta)?),
            "memory" => self.memory = Some(bytes(&text(meta, "a size, as in memory = \"64MiB\"")?)?),
            "state_version" => self.state_version = Some(number(meta)?),
            "fuel" => self.fuel = Some(number(meta)?),
            other => {
                return Err(meta.error(format!("unknown attribute `{other}`; the attributes are {ATTRIBUTES}")));
            }
        }
        self.seen.push(name);
        Ok(())
    }
}

fn text(meta: &ParseNestedMeta<'_>, what: &str) -> Result<LitStr> {
    meta.value().and_then(|value| value.parse()).map_err(|error| Error::new(error.span(), format!("write {what}")))
}

fn duration(meta: &ParseNestedMeta<'_>) -> Result<u64> {
    seconds(&text(meta, "a duration in quotes, as in \"30d\"")?)
}

fn number<N>(meta: &ParseNestedMeta<'_>) -> Result<N>
where
    N: std::str::FromStr,
    N::Err: std::fmt::Display,
{
    let literal: Result<LitInt> = meta.value().and_then(|value| value.parse());
    literal
        .and_then(|number| number.base10_parse())
        .map_err(|error| Error::new(error.span(), "write a whole number without a sign, as in 20_000_000"))
}

fn optional(value: Option<u64>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
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
