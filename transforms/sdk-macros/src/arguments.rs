//! The arguments of the attributes that make a view.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Error, Ident, LitInt, LitStr, Result};

use crate::fields::{Problems, check_name};
use crate::units::{bytes, seconds};

/// What every view may say.
pub(crate) const ATTRIBUTES: &str = "name, ttl, lateness, max_early, state_version, fuel and memory";

/// Those of them that are not about events.
pub(crate) const STATELESS_ATTRIBUTES: &str = "name, fuel and memory";

/// What a view says of itself.
#[derive(Default)]
pub(crate) struct Arguments {
    name: Option<LitStr>,
    ttl: Option<u64>,
    lateness: Option<u64>,
    max_early: Option<u64>,
    state_version: Option<u32>,
    fuel: Option<u64>,
    memory: Option<u64>,
    seen: Vec<String>,
}

impl Arguments {
    /// Reads the arguments. `other` takes those that not every view has and says whether it knows one;
    /// `attributes` are the names of all.
    pub(crate) fn parse(
        tokens: TokenStream,
        attributes: &str,
        mut other: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<bool>,
    ) -> Result<Self> {
        let mut arguments = Arguments::default();
        let parser = syn::meta::parser(|meta| {
            let name = meta.path.to_token_stream().to_string();
            if arguments.seen.contains(&name) {
                return Err(meta.error(format!("`{name}` is given twice")));
            }
            if !arguments.take(&name, &meta)? && !other(&name, &meta)? {
                return Err(meta.error(format!("unknown attribute `{name}`; the attributes are {attributes}")));
            }
            arguments.seen.push(name);
            Ok(())
        });
        parser.parse2(tokens)?;
        Ok(arguments)
    }

    fn take(&mut self, name: &str, meta: &ParseNestedMeta<'_>) -> Result<bool> {
        match name {
            "name" => self.name = Some(text(meta, "a name, as in name = \"flight_profile\"")?),
            "ttl" => self.ttl = Some(duration(meta)?),
            "lateness" => self.lateness = Some(duration(meta)?),
            "max_early" => self.max_early = Some(duration(meta)?),
            "memory" => self.memory = Some(bytes(&text(meta, "a size, as in memory = \"64MiB\"")?)?),
            "state_version" => self.state_version = Some(number(meta)?),
            "fuel" => self.fuel = Some(number(meta)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The first argument that is about events, if there is one.
    pub(crate) fn of_events(&self) -> Option<&str> {
        let of_events = ["ttl", "lateness", "max_early", "state_version"];
        self.seen.iter().map(String::as_str).find(|name| of_events.contains(name))
    }

    /// The view's name: what it says, or that of an item in the case of names.
    pub(crate) fn name(&self, item: &Ident, item_name: &str, problems: &mut Problems) -> String {
        let (name, span) = match &self.name {
            Some(name) => (name.value(), name.span()),
            None => (item_name.to_owned(), item.span()),
        };
        problems.collect(check_name(&name, "view", span));
        name
    }

    /// The view as the run-time knows it.
    pub(crate) fn view(&self, name: &str, doc: &str) -> TokenStream {
        let [ttl, lateness, max_early, fuel, memory] =
            [self.ttl, self.lateness, self.max_early, self.fuel, self.memory].map(optional);
        let state_version = self.state_version.unwrap_or(1);
        quote! {
            ::trifold_sdk::rt::View {
                name: #name,
                doc: #doc,
                ttl_seconds: #ttl,
                lateness_seconds: #lateness,
                max_early_seconds: #max_early,
                state_version: #state_version,
                fuel: #fuel,
                memory_bytes: #memory,
            }
        }
    }
}

/// The name of an item without the mark of a raw identifier.
pub(crate) fn plain(item: &Ident) -> String {
    item.unraw().to_string()
}

/// A text in quotes; `what` it must be.
pub(crate) fn text(meta: &ParseNestedMeta<'_>, what: &str) -> Result<LitStr> {
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
