//! What the compiler says when a view is written wrong.

#[test]
fn mistakes_say_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
