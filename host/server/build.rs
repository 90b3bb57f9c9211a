//! Generates the gRPC code from the published contracts, without a `protoc`.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

/// The contracts, and what their descriptors are called.
const CONTRACTS: [(&str, &str); 3] = [
    ("trifold/online/v1/online.proto", "online"),
    ("trifold/admin/v1/admin.proto", "admin"),
    ("feature_store/feature_store.proto", "feature_store"),
];

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script where to write by the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for (path, name) in CONTRACTS {
        let file = root.join(path);
        println!("cargo::rerun-if-changed={}", file.display());
        let descriptors = protox::compile([&file], [&root])?;
        std::fs::write(out.join(format!("{name}_descriptor.bin")), descriptors.encode_to_vec())?;
        // Maps keep an order, so that equal answers have equal bytes.
        tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    }
    Ok(())
}
