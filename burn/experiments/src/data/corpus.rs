//! A text in three parts, as numbers of words.

use super::vocabulary::Vocabulary;

/// A text to train a language model on.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// The words.
    pub vocabulary: Vocabulary,
    /// The part to train on.
    pub train: Vec<u32>,
    /// The part to choose settings by.
    pub valid: Vec<u32>,
    /// The part that is held out to the end.
    pub test: Vec<u32>,
}
