use trifold_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    #[entity]
    pub key: &'a str,
}

#[window_view(evnt = Row<'_>, windows = "1h")]
pub struct Unknown {
    #[of(())]
    pub rows: Count,
}

#[window_view(event = Row<'_>)]
pub struct NoWindows {
    #[of(())]
    pub rows: Count,
}

#[window_view(windows = "1h")]
pub struct NoEvent {
    #[of(())]
    pub rows: Count,
}

#[window_view(event = Row<'_>, windows = "1h", order = "any")]
pub struct AnyOrder {
    #[of(())]
    pub rows: Count,
}

#[window_view(event = Row<'_>, windows = "1h", order = "time", deduplicate = "no")]
pub struct BadOrder {
    #[of(())]
    pub rows: Count,
}

#[window_view(event = Row<'_>, windows = "1h", deduplicate = 0)]
pub struct BadBool {
    #[of(())]
    pub rows: Count,
}

#[window_view(event = Row<'_>, windows = "1h", ttl = "1 day")]
pub struct BadDuration {
    #[of(())]
    pub rows: Count,
}

#[window_view(event = Row<'_>, windows = "1h", check = "check")]
pub struct BadCheck {
    #[of(())]
    pub rows: Count,
}

#[window_view(event = Row<'_>, windows = "1h", windows = "2h")]
pub struct Twice {
    #[of(())]
    pub rows: Count,
}

#[window_view(windows = "1h")]
pub fn function() {}

fn main() {}
