//! `ARCHITECTURE.md` against the manifests and the sources: what that page says of the workspace is so.
//!
//! [`page`] reads the page, [`workspace`] the manifests, [`source`] the sources without comments and strings;
//! [`layers`], [`knowledge`], [`code`] and [`tree`] hold them against each other.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod code;
mod knowledge;
mod layers;
mod page;
mod source;
mod tree;
mod workspace;
