//! Which entities a canary answers for.

use std::fmt;
use std::str::FromStr;

use crate::identity::EntityKey;
use crate::name::ViewName;

/// So many parts make the whole: a part is 0.01 %.
const WHOLE: u16 = 10_000;

/// A part of all entities, in hundredths of a percent: from 0.01 % to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

/// Why a text is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share of the entities: write a percentage from 0.01% to 100%, as in `10%` or `0.5%`")]
pub struct NoShare(String);

impl Share {
    /// All entities.
    pub const ALL: Share = Share(WHOLE);

    /// How large it is, from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, rest) = (self.0 / 100, self.0 % 100);
        match (rest / 10, rest % 10) {
            (0, 0) => write!(f, "{percent}%"),
            (tenths, 0) => write!(f, "{percent}.{tenths}%"),
            _ => write!(f, "{percent}.{rest:02}%"),
        }
    }
}

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let digits =
            |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let parts = || {
            let number = text.strip_suffix('%')?;
            let (percent, rest) = number.split_once('.').unwrap_or((number, "0"));
            (digits(percent, 3) && digits(rest, 2)).then_some(())?;
            Some(percent.parse::<u16>().ok()? * 100 + format!("{rest:0<2}").parse::<u16>().ok()?)
        };
        parts().filter(|parts| (1..=WHOLE).contains(parts)).map(Share).ok_or_else(|| NoShare(text.to_owned()))
    }
}

/// What decides which entities belong to a share: another one for each view and each rollout, so that nobody's entities
/// are always the first to see something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// The salt of a view's rollout that began with this release.
    pub fn new(view: &ViewName, rollout: u64) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("trifold 2026 salt of a canary");
        hash.update(view.as_str().as_bytes());
        hash.update(&[0]);
        hash.update(&rollout.to_le_bytes());
        Salt(*hash.finalize().as_bytes())
    }

    /// Whether an entity belongs to a share. It stays in every larger one.
    pub fn takes(&self, share: Share, key: &EntityKey) -> bool {
        let hash = blake3::keyed_hash(&self.0, &key.0);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        (u128::from(u64::from_le_bytes(first)) * u128::from(WHOLE)) >> 64 < u128::from(share.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    #[test]
    fn shares_are_percentages() {
        for text in ["0.01%", "0.5%", "1%", "12.34%", "99.99%", "100%"] {
            assert_eq!(share(text).to_string(), text);
        }
        assert_eq!(share("10.00%"), share("10%"));
        assert_eq!(share("100%"), Share::ALL);
        assert!((share("2.5%").fraction() - 0.025).abs() < 1e-12);
        for wrong in
            ["", "%", "10", "0%", "0.00%", "100.01%", "-1%", "+1%", "1.%", ".5%", "1.234%", "1e1%", "10 %"]
        {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_as_large_as_they_say_and_hold_on_to_their_keys() {
        const KEYS: u64 = 100_000;
        let (view, other): (ViewName, ViewName) = ("cards".parse().unwrap(), "terminals".parse().unwrap());
        let keys: Vec<_> = (0..KEYS).map(|key| EntityKey(key.to_be_bytes().into())).collect();
        for rollout in [1, 2, 77] {
            let salt = Salt::new(&view, rollout);
            let mut before: Vec<bool> = vec![false; keys.len()];
            for text in ["0.5%", "10%", "50%", "99.5%", "100%"] {
                let taken: Vec<_> = keys.iter().map(|key| salt.takes(share(text), key)).collect();
                let count = taken.iter().filter(|taken| **taken).count();
                let off = count as f64 / KEYS as f64 - share(text).fraction();
                assert!(off.abs() < 0.01, "{text} of rollout {rollout} takes {count}");
                assert!(before.iter().zip(&taken).all(|(before, now)| !before || *now), "{text} lets keys go");
                before = taken;
            }
            assert!(before.iter().all(|taken| *taken));
        }
        // Who is among the first changes with the view and with the rollout.
        let first = Salt::new(&view, 1);
        for another in [Salt::new(&view, 2), Salt::new(&other, 1)] {
            let both =
                keys.iter().filter(|key| first.takes(share("10%"), key) && another.takes(share("10%"), key));
            let both = both.count() as f64 / KEYS as f64;
            assert!((both - 0.01).abs() < 0.002, "{both}");
        }
    }
}
