//! Bounding the texts that guests send.

/// The longest prefix of at most `bytes_max` bytes that ends between characters.
pub(crate) fn truncated(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(truncated("Tromsø", 6), "Troms");
        assert_eq!(truncated("Tromsø", 7), "Tromsø");
        assert_eq!(truncated("", 7), "");
    }
}
