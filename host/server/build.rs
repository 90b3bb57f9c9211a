//! Generates the gRPC code from the published contracts, without a `protoc`.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script where to write by the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for name in ["online", "admin"] {
        let file = root.join(format!("trifold/{name}/v1/{name}.proto"));
        println!("cargo::rerun-if-changed={}", file.display());
        let descriptors = protox::compile([&file], [&root])?;
        std::fs::write(out.join(format!("{name}_descriptor.bin")), descriptors.encode_to_vec())?;
        tonic_prost_build::configure().compile_fds(descriptors)?;
    }
    Ok(())
}
