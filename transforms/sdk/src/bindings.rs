//! The generated bindings of the contract's row world.

wit_bindgen::generate!({
    path: "wit",
    world: "row-transform",
    pub_export_macro: true,
    export_macro_name: "export_row_transform",
    default_bindings_module: "trifold_sdk::rt::bindings",
});
