//! What an author's expression gives, as the aggregator wants it.

use crate::Timestamp;

/// A value that can serve as an aggregator's item: the item itself, or a plain value where the item is an `Option`
/// of it, a float32 where it is a float64; in tuples field by field. The macros convert what stands in `#[of(...)]` with it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the item of this aggregator, which is `{I}`",
    label = "this expression is a `{Self}`",
    note = "an aggregator's documentation says what its items are; a plain value serves where an Option is asked for"
)]
pub trait IntoItem<I> {
    /// The item.
    fn into_item(self) -> I;
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl<'a> IntoItem<$type> for $type {
            #[inline]
            fn into_item(self) -> $type {
                self
            }
        }

        impl<'a> IntoItem<Option<$type>> for $type {
            #[inline]
            fn into_item(self) -> Option<$type> {
                Some(self)
            }
        }

        impl<'a> IntoItem<Option<$type>> for Option<$type> {
            #[inline]
            fn into_item(self) -> Option<$type> {
                self
            }
        }
    )*};
}

plain!(bool, i64, f64, u64, Timestamp, &'a str);

impl IntoItem<Option<f64>> for f32 {
    #[inline]
    fn into_item(self) -> Option<f64> {
        Some(f64::from(self))
    }
}

impl IntoItem<Option<f64>> for Option<f32> {
    #[inline]
    fn into_item(self) -> Option<f64> {
        self.map(f64::from)
    }
}

macro_rules! tuple {
    ($($from:ident $to:ident $place:tt),*) => {
        impl<$($from: IntoItem<$to>, $to),*> IntoItem<($($to,)*)> for ($($from,)*) {
            #[inline]
            fn into_item(self) -> ($($to,)*) {
                ($(self.$place.into_item(),)*)
            }
        }
    };
}

impl IntoItem<()> for () {
    fn into_item(self) {}
}

tuple!(A X 0);
tuple!(A X 0, B Y 1);
tuple!(A X 0, B Y 1, C Z 2);
tuple!(A X 0, B Y 1, C Z 2, D W 3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_serve_where_options_are_asked_for() {
        let items: [Option<f64>; 2] = [1.5.into_item(), Some(1.5).into_item()];
        assert_eq!(items, [Some(1.5); 2]);
        let wider: [Option<f64>; 2] = [0.1_f32.into_item(), Some(0.1_f32).into_item()];
        assert_eq!(wider, [Some(f64::from(0.1_f32)); 2]);
        let at = Timestamp::from_micros(1);
        let item: (Timestamp, &str, Option<i64>) = (at, "id", 7_i64).into_item();
        assert_eq!(item, (at, "id", Some(7)));
    }
}
