use trifold_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    #[entity]
    pub key: &'a str,
}

#[derive(Prepared)]
pub struct Item<'a> {
    pub key: &'a str,
}

#[derive(Prepared)]
pub struct Wrong<'a> {
    pub wrong: &'a [i64],
}

#[derive(Output)]
pub struct Features {
    pub y: f64,
}

pub struct View;

macro_rules! view {
    ($arguments:meta, fn prepare($row:ident: $event:ty) -> $prepared:ty) => {
        #[$arguments]
        impl WindowView for View {
            type Event<'a> = Row<'a>;
            type Prepared<'a> = Item<'a>;
            type State = ();
            type Features = Features;

            fn prepare($row: $event) -> Result<$prepared, RowError> {
                Ok(Item { key: $row.key })
            }

            fn accumulate(_state: &mut (), _item: Item<'_>) {}

            fn merge(_state: &mut (), _later: &()) {}

            fn finish(_windows: &[()], _key: &str, _as_of: Timestamp) -> Result<Features, RowError> {
                Ok(Features { y: 0.0 })
            }
        }
    };
}

mod arguments {
    use super::*;

    pub struct View;

    view!(
        window_view(event = Row<'_>, windows = "1h", check = check),
        fn prepare(row: Self::Event<'_>) -> Self::Prepared<'_>
    );
}

view!(window_view(windows = "1h", order = "any"), fn prepare(row: Row<'_>) -> Item<'_>);

#[window_view(windows = "1h", order = "any")]
impl Drop for Features {
    fn drop(&mut self) {}
}

fn main() {}
