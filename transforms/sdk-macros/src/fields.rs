//! What the derive macros read of a struct, and what they refuse.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Ident, Lifetime, Lit, LitStr, Meta, Result,
    Type,
};

use crate::types::{Kind, Side, check_key, kind};

/// The longest name of a view or a field.
const NAME_BYTES_MAX: usize = 64;

/// A field, checked as far as its tokens tell.
pub(crate) struct Column {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) kind: Kind,
    pub(crate) doc: String,
    pub(crate) is_entity: bool,
    /// The view and the output that `#[reads(...)]` names.
    pub(crate) feature: Option<(String, String)>,
}

/// The fields of a struct; every problem is reported, not the first alone.
pub(crate) fn columns(item: &DeriveInput, side: Side) -> Result<Vec<Column>> {
    let derive = side.derive();
    let Data::Struct(data) = &item.data else {
        return Err(Error::new(item.span(), format!("#[derive({derive})] is for structs with named fields")));
    };
    let Fields::Named(fields) = &data.fields else {
        let message = format!(
            "#[derive({derive})] needs named fields, because each is the column of its name: write `struct {} {{ \
             name: type, ... }}`",
            item.ident
        );
        return Err(Error::new(item.ident.span(), message));
    };
    if fields.named.is_empty() {
        return Err(Error::new(item.ident.span(), "write at least one field"));
    }
    let mut columns = Vec::new();
    let mut problems = Problems::default();
    for field in &fields.named {
        columns.extend(problems.collect(column(field, side)));
    }
    problems.finish(columns)
}

fn column(field: &Field, side: Side) -> Result<Column> {
    let ident = field.ident.clone().ok_or_else(|| Error::new(field.span(), "write a name"))?;
    let name = ident.unraw().to_string();
    check_name(&name, "field", ident.span())?;
    let kind = kind(&field.ty, side)?;
    let is_entity = is_entity(field)?;
    if is_entity {
        check_key(&name, &field.ty, &kind)?;
    }
    let feature = feature(field)?;
    if feature.is_some() && kind != Kind::Nullable {
        let message = "a lookup may find the other view without a value, so a feature is an Option";
        return Err(Error::new_spanned(&field.ty, message));
    }
    Ok(Column { name, ty: field.ty.clone(), kind, doc: doc(&field.attrs), is_entity, feature, ident })
}

/// Where the values of a field come from, if that is another view.
fn feature(field: &Field) -> Result<Option<(String, String)>> {
    let find = |name: &str| field.attrs.iter().find(|attribute| attribute.path().is_ident(name));
    let request = find("request");
    if let Some(request) = request.filter(|request| !matches!(request.meta, Meta::Path(_))) {
        return Err(Error::new(
            request.span(),
            "write `#[request]` alone: the field's name is that of the request's",
        ));
    }
    let Some(feature) = find("reads") else { return Ok(None) };
    if request.is_some() {
        let message =
            "a field comes from the request or from another view: write one of `#[request]` and `#[reads]`";
        return Err(Error::new(feature.span(), message));
    }
    let text: LitStr = feature.parse_args().map_err(|_| {
        Error::new(
            feature.span(),
            "write the view and its feature, as in `#[reads(\"airport_load.departures_1h\")]`",
        )
    })?;
    let value = text.value();
    let Some((view, output)) = value.split_once('.') else {
        let message =
            format!("`{value}` names no feature: write the view and its feature, as in `airport_load.mean_1h`");
        return Err(Error::new(text.span(), message));
    };
    check_name(view, "view", text.span())?;
    check_name(output, "field", text.span())?;
    Ok(Some((view.to_owned(), output.to_owned())))
}

fn is_entity(field: &Field) -> Result<bool> {
    match field.attrs.iter().find(|attribute| attribute.path().is_ident("entity")) {
        None => Ok(false),
        Some(Attribute { meta: Meta::Path(_), .. }) => Ok(true),
        Some(other) => {
            Err(Error::new(other.span(), "write `#[entity]` alone: key fields count in declared order"))
        }
    }
}

/// Checks the rule for names of views and fields.
pub(crate) fn check_name(name: &str, what: &str, span: Span) -> Result<()> {
    let bytes = name.as_bytes();
    let is_valid = bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.len() <= NAME_BYTES_MAX
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_');
    if is_valid {
        return Ok(());
    }
    let message = format!(
        "`{name}` is not a valid {what} name: write a lower-case letter followed by lower-case letters, digits \
         and underscores, at most {NAME_BYTES_MAX} in all"
    );
    Err(Error::new(span, message))
}

/// The lifetime with which a struct borrows, if it has one.
pub(crate) fn lifetime(item: &DeriveInput) -> Result<Option<Lifetime>> {
    let message = "write at most one lifetime and no other parameters: every borrow is from the same batch";
    let mut lifetimes = item.generics.lifetimes();
    let first = lifetimes.next().map(|parameter| parameter.lifetime.clone());
    if lifetimes.next().is_some() || item.generics.params.len() > usize::from(first.is_some()) {
        return Err(Error::new(item.generics.span(), message));
    }
    Ok(first)
}

/// The text of documentation comments.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    lines.join("\n").trim().to_owned()
}

/// Collects errors, so that an author sees all of them at once.
#[derive(Default)]
pub(crate) struct Problems(Option<Error>);

impl Problems {
    pub(crate) fn collect<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}
