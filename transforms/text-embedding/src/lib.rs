//! Words and a hashed embedding of a document's text: no model, no vocabulary, the same vector for ever.

use trifold_sdk::{hash64, prelude::*};

/// The length of the embedding.
pub const DIMENSIONS: usize = 64;

/// One version of a document.
#[derive(Input)]
pub struct Document<'a> {
    /// The document.
    #[entity]
    pub document_id: &'a str,
    /// Its text.
    pub text: Option<&'a str>,
}

/// What its words are.
#[derive(Output)]
pub struct Words {
    /// A unit vector of 64 dimensions, into which the words are hashed by weight; none without words.
    pub embedding: Option<Vec<f32>>,
    /// The distinct words in lower case, in ascending order.
    pub tokens: Vec<String>,
    /// A 64-bit hash of each word.
    pub token_hashes: Vec<i64>,
    /// The weight of each word: 1 + ln of how often it stands there.
    pub weights: Vec<f64>,
    /// 64 bits of which texts with many words in common share most.
    pub fingerprint: Vec<u8>,
    /// Whether there is no word.
    pub is_empty: bool,
}

/// Words and a hashed embedding of a document's latest text.
#[row_view]
pub fn text_embedding(document: Document<'_>) -> Words {
    let counts = count(document.text.unwrap_or_default());
    let token_hashes: Vec<u64> = counts.keys().map(|token| hash64(token.as_bytes())).collect();
    let weights: Vec<f64> = counts.values().map(|count| 1.0 + (*count as f64).ln()).collect();
    Words {
        embedding: embed(&token_hashes, &weights),
        fingerprint: fingerprint(&token_hashes, &weights).to_be_bytes().to_vec(),
        is_empty: counts.is_empty(),
        tokens: counts.into_keys().collect(),
        token_hashes: token_hashes.into_iter().map(u64::cast_signed).collect(),
        weights,
    }
}

/// A word is a run of letters and digits of any script.
fn count(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

/// The hashing trick: each word adds its weight to one dimension, with a sign so that collisions cancel.
fn embed(hashes: &[u64], weights: &[f64]) -> Option<Vec<f32>> {
    let mut vector = [0.0; DIMENSIONS];
    for (hash, weight) in hashes.iter().zip(weights) {
        vector[*hash as usize % DIMENSIONS] += if hash >> 63 == 0 { *weight } else { -*weight };
    }
    let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    (norm > 0.0).then(|| vector.iter().map(|value| (value / norm) as f32).collect())
}

/// SimHash: each bit is the weighted majority of the words' hashes.
fn fingerprint(hashes: &[u64], weights: &[f64]) -> u64 {
    (0..64).fold(0, |bits, bit| {
        let balance: f64 = hashes
            .iter()
            .zip(weights)
            .map(|(hash, weight)| if hash >> bit & 1 == 1 { *weight } else { -*weight })
            .sum();
        bits | u64::from(balance > 0.0) << bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: Option<&str>) -> Words {
        text_embedding(Document { document_id: "d", text })
    }

    fn cosine(a: &Words, b: &Words) -> f32 {
        let [a, b] = [a, b].map(|words| words.embedding.clone().unwrap());
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn words_are_counted_in_lower_case() {
        let words = words(Some("The cat, the DOG and \u{c9}t\u{e9} 42!"));
        assert_eq!(words.tokens, ["42", "and", "cat", "dog", "the", "\u{e9}t\u{e9}"]);
        assert_eq!(words.weights, [1.0, 1.0, 1.0, 1.0, 1.0 + 2.0_f64.ln(), 1.0]);
        assert_eq!(words.token_hashes[2], hash64(b"cat").cast_signed());
        assert!(!words.is_empty);
    }

    #[test]
    fn no_words_have_no_direction() {
        for text in [None, Some(""), Some(" ,.! \n")] {
            let words = words(text);
            assert!(words.is_empty && words.tokens.is_empty() && words.embedding.is_none());
            assert_eq!(words.fingerprint, [0; 8]);
        }
    }

    #[test]
    fn like_texts_have_like_vectors_and_fingerprints() {
        let one = words(Some("a late flight from New York to Los Angeles was delayed by snow"));
        let two = words(Some("a late flight from New York to San Francisco was delayed by snow"));
        let other = words(Some("chocolate cake needs butter, sugar and six eggs"));
        assert!((cosine(&one, &one) - 1.0).abs() < 1e-6);
        assert!(cosine(&one, &two) > cosine(&one, &other) + 0.3);
        let bits = |words: &Words| u64::from_be_bytes(words.fingerprint.as_slice().try_into().unwrap());
        assert!((bits(&one) ^ bits(&two)).count_ones() < (bits(&one) ^ bits(&other)).count_ones());
    }
}
