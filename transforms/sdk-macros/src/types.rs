//! The types that fields can have, as authors write them.
//!
//! They are told by their names. That refuses an alias, but the set is closed, and so a wrong type is one error
//! that says what to write instead of a page about traits.

use syn::{Error, GenericArgument, PathArguments, Result, Type};

/// Which struct a field belongs to.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Input,
    Request,
    Output,
    Prepared,
}

impl Side {
    pub(crate) fn derive(self) -> &'static str {
        match self {
            Side::Input => "Input",
            Side::Request => "Request",
            Side::Output => "Output",
            Side::Prepared => "Prepared",
        }
    }

    fn types(self) -> &'static str {
        match self {
            Side::Input | Side::Request => {
                "bool, i64, f64, f32, Timestamp, &'a str, &'a [u8], &'a [f32], &'a [f64], &'a [i64], Vec<&'a str>, \
                 an owned String or Vec of these, or an Option of one of them"
            }
            Side::Output => {
                "bool, i64, f64, f32, Timestamp, String, Vec<u8>, Vec<f32>, Vec<f64>, Vec<i64>, Vec<String>, or an \
                 Option of one of them"
            }
            Side::Prepared => {
                "bool, i64, f64, f32, Timestamp, &'a str, &'a [u8], String, Vec<u8>, Vec<f32>, Vec<f64>, Vec<i64>, \
                 Vec<String>, or an Option of one of them"
            }
        }
    }

    /// Whether fields may be references to such items.
    fn borrows(self, item: Option<&str>) -> bool {
        match self {
            Side::Input | Side::Request => true,
            Side::Output => false,
            Side::Prepared => matches!(item, Some("str" | "u8")),
        }
    }
}

/// What a field's type is, apart from who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int64,
    Float,
    Timestamp,
    Utf8,
    Binary,
    List,
    Nullable,
}

/// The kind of a type, or what to write instead.
pub(crate) fn kind(ty: &Type, side: Side) -> Result<Kind> {
    match generic(ty) {
        Some((name, Some(inner))) if name == "Option" => match kind(inner, side)? {
            Kind::Nullable => refuse(ty, "an Option cannot hold an Option: write a single one"),
            _ => Ok(Kind::Nullable),
        },
        _ => value(ty, side),
    }
}

fn value(ty: &Type, side: Side) -> Result<Kind> {
    if let Some(item) = list_item(ty, side) {
        return list(ty, item, side);
    }
    match name(ty).as_deref() {
        Some("bool") => Ok(Kind::Bool),
        Some("i64") => Ok(Kind::Int64),
        Some("f64" | "f32") => Ok(Kind::Float),
        Some("Timestamp") => Ok(Kind::Timestamp),
        Some("String") => Ok(Kind::Utf8),
        Some(
            name @ ("i8" | "i16" | "i32" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize"),
        ) => refuse(ty, &format!("`{name}` is not a type of the contract: write i64")),
        Some("char") => refuse(ty, "`char` is not a type of the contract: write String"),
        _ if side.borrows(Some("str")) && reference(ty).and_then(name).as_deref() == Some("str") => Ok(Kind::Utf8),
        _ => other(ty, side),
    }
}

fn list(ty: &Type, item: &Type, side: Side) -> Result<Kind> {
    match name(item).as_deref() {
        Some("u8") => Ok(Kind::Binary),
        Some("f32" | "f64" | "i64") => Ok(Kind::List),
        Some("String") if matches!(generic(ty), Some((name, _)) if name == "Vec") => Ok(Kind::List),
        Some("Option") => refuse(
            ty,
            "items of a list cannot be absent: write `Vec<T>` and leave absent items out, or `Option<Vec<T>>` for \
             a list that may be absent",
        ),
        _ if side == Side::Input && reference(item).and_then(name).as_deref() == Some("str") => Ok(Kind::List),
        _ => other(ty, side),
    }
}

fn other(ty: &Type, side: Side) -> Result<Kind> {
    refuse(
        ty,
        &format!("this is not a type of the contract (an alias is not seen through): write {}", side.types()),
    )
}

fn refuse(ty: &Type, message: &str) -> Result<Kind> {
    Err(Error::new_spanned(ty, message))
}

/// Refuses what cannot name an entity.
pub(crate) fn check_key(field: &str, ty: &Type, kind: &Kind) -> Result<()> {
    let problem = match kind {
        Kind::Nullable => "an entity always has its key, so it cannot be an Option",
        Kind::Float => "floats have no useful equality",
        Kind::List => "a list is not an identity",
        Kind::Bool | Kind::Int64 | Kind::Timestamp | Kind::Utf8 | Kind::Binary => return Ok(()),
    };
    let message = format!(
        "`{field}` cannot be a key: {problem}; write bool, i64, Timestamp, &'a str, String, &'a [u8] or Vec<u8>"
    );
    Err(Error::new_spanned(ty, message))
}

/// The item of a `Vec<T>`, or of a `&[T]` where fields may borrow.
fn list_item(ty: &Type, side: Side) -> Option<&Type> {
    match (generic(ty), reference(ty)) {
        (Some((name, item)), _) if name == "Vec" => item,
        (_, Some(Type::Slice(slice))) if side.borrows(name(&slice.elem).as_deref()) => Some(&slice.elem),
        _ => None,
    }
}

fn reference(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => Some(&reference.elem),
        _ => None,
    }
}

fn name(ty: &Type) -> Option<String> {
    generic(ty).map(|(name, _)| name)
}

/// The name of a path and its first type argument.
fn generic(ty: &Type) -> Option<(String, Option<&Type>)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let argument = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        }),
        _ => None,
    };
    Some((last.ident.to_string(), argument))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Input, Output};

    #[track_caller]
    fn check(ty: &str, side: Side, expected: Option<Kind>) {
        assert_eq!(kind(&syn::parse_str(ty).unwrap(), side).ok(), expected, "{ty}");
    }

    #[test]
    fn types_are_told_by_their_names() {
        for side in [Input, Output] {
            check("bool", side, Some(Kind::Bool));
            check("trifold_sdk::Timestamp", side, Some(Kind::Timestamp));
            check("std::string::String", side, Some(Kind::Utf8));
            check("Vec<u8>", side, Some(Kind::Binary));
            check("Vec<String>", side, Some(Kind::List));
            check("Option<Vec<f32>>", side, Some(Kind::Nullable));
            for wrong in
                ["u64", "Vec<bool>", "Vec<Timestamp>", "Option<Option<i64>>", "Vec<Option<i64>>", "[f32; 4]"]
            {
                check(wrong, side, None);
            }
            for wrong in ["Vec<Vec<f32>>", "Box<str>", "(i64, i64)", "&'a mut str", "Option", "Vec", "()"] {
                check(wrong, side, None);
            }
        }
    }

    #[test]
    fn inputs_alone_borrow() {
        for (ty, expected) in [
            ("&'a str", Kind::Utf8),
            ("&'a [u8]", Kind::Binary),
            ("&'a [i64]", Kind::List),
            ("Vec<&'a str>", Kind::List),
            ("Option<&'a str>", Kind::Nullable),
        ] {
            check(ty, Input, Some(expected));
            check(ty, Output, None);
        }
        check("&'a [String]", Input, None);
    }
}
