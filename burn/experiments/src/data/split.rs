//! Pairs in three parts.

use super::pairs::Pair;

/// Sentences and their translations, to train a translator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// To train on.
    pub train: Vec<Pair>,
    /// To choose settings by.
    pub valid: Vec<Pair>,
    /// Held out to the end.
    pub test: Vec<Pair>,
}

impl Parts {
    /// Of so many pairs (3 at least) about one is for choosing settings, and about one is held out: those that a hash
    /// of the source says, so that no sentence with two translations is in two parts, and that a pair stays where it
    /// is when others come or go. Sentences that differ by a word may well be in two parts; a text of so many alike as
    /// LibreOffice's help is the easier for it.
    pub fn by_source(pairs: impl IntoIterator<Item = Pair>, of: u64) -> Self {
        let mut parts = Self::default();
        for pair in pairs {
            let part = match hash(&pair.source) % of.max(3) {
                0 => &mut parts.valid,
                1 => &mut parts.test,
                _ => &mut parts.train,
            };
            part.push(pair);
        }
        parts
    }
}

/// FNV-1a: the standard library's hashes may change with its version.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
