//! What the environment says of others' software. What it says of Trifold, the command line's parser reads.

/// The variables in which Amazon's tools, and those like them, find credentials and where the object store is.
pub fn aws() -> Vec<(String, String)> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    variables.filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty()).collect()
}
