use trifold_sdk::prelude::*;

#[derive(Input)]
pub struct Row {
    #[entity]
    pub key: i64,
    pub value: Option<f64>,
}

#[window_view(event = Row, windows = "1h")]
pub struct SameName {
    #[of(event.value)]
    pub delay: Moments,
    #[of(event.value)]
    pub delay_mean: Mean,
}

mod long {
    use super::*;

    #[window_view(event = Row, windows = "1h")]
    pub struct LongName {
        #[of(())]
        pub a_name_of_sixty_two_letters_leaves_no_place_for_its_own_window: Count,
    }
}

fn main() {}
