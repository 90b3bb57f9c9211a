use trifold_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    #[entity]
    pub key: &'a str,
}

macro_rules! view {
    ($name:ident, $windows:literal) => {
        #[window_view(event = Row<'_>, windows = $windows)]
        pub struct $name {
            #[of(())]
            pub rows: Count,
        }
    };
}

// A hop that does not divide its window, and one that is longer.
view!(Divides, "1h/7m");
view!(Shorter, "1m/1h");
view!(Zero, "0s");
view!(NoHop, "1h/0s");
view!(TooLong, "9223372036855s");
view!(TooMany, "1d/1s");
view!(NoSuitableHop, "86401s");
view!(Unit, "15min");
view!(Empty, "");
view!(Comma, "1h,");
view!(Same, "1h, 60m");
view!(Seventeen, "1m,2m,3m,4m,5m,6m,7m,8m,9m,10m,11m,12m,13m,14m,15m,16m,17m");

#[window_view(event = Row<'_>, windows = 60)]
pub struct Number {
    #[of(())]
    pub rows: Count,
}

fn main() {}
