//! A window view with a state of its own: an implementation of `WindowView`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Error, ImplItem, ItemImpl, Result, Type};

use crate::fields::{Problems, doc};
use crate::window_view::{WindowArguments, order, snake_case};

pub(crate) fn view(arguments: TokenStream, item: &ItemImpl) -> Result<TokenStream> {
    let mut problems = Problems::default();
    let parsed = problems.collect(WindowArguments::parse(arguments)).unwrap_or_default();
    let name = problems.collect(type_name(item));
    problems.collect(check_prepare(item));
    if let Some(event) = &parsed.event {
        problems.push(Error::new_spanned(event, "the implementation says what the event is: leave `event` out"));
    }
    if let Some(check) = &parsed.check {
        problems.push(Error::new_spanned(check, "`prepare` itself refuses events: leave `check` out"));
    }
    if parsed.order.is_none() && !parsed.windows.is_empty() {
        let message = "nobody knows how a state of your own folds: write order = \"event-time\", or order = \"any\" \
                       where equal sets of events give equal bytes in every order and grouping";
        problems.push(Error::new(Span::call_site(), message));
    }
    let name = name.map(|ident| parsed.view.name(ident, &snake_case(ident), &mut problems));
    let is_event_time = parsed.order.as_ref().is_none_or(|order| order.is_event_time);
    let component =
        parsed.component(&item.self_ty, &name.unwrap_or_default(), &doc(&item.attrs), order(is_event_time));
    problems.finish(component)
}

fn type_name(item: &ItemImpl) -> Result<&syn::Ident> {
    let what = "write `impl WindowView for MyView`";
    let is_view = |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == "WindowView");
    if !item.trait_.as_ref().is_some_and(|(_, path, _)| is_view(path)) {
        return Err(Error::new_spanned(&item.self_ty, format!("this implements another trait: {what}")));
    }
    match &*item.self_ty {
        Type::Path(path) if item.generics.params.is_empty() => {
            path.path.get_ident().ok_or_else(|| Error::new_spanned(path, what))
        }
        other => Err(Error::new_spanned(other, format!("a view's types are fixed: {what}"))),
    }
}

/// The compiler takes no other way to write the lifetime that goes through `prepare`, and does not say so.
fn check_prepare(item: &ItemImpl) -> Result<()> {
    for member in &item.items {
        if let ImplItem::Fn(function) = member
            && function.sig.ident == "prepare"
            && !function.sig.to_token_stream().to_string().contains("Self :: Event")
        {
            let message = "write `fn prepare(event: Self::Event<'_>) -> Result<Self::Prepared<'_>, RowError>`";
            return Err(Error::new_spanned(&function.sig, message));
        }
    }
    Ok(())
}
