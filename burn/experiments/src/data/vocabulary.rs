//! Words and their numbers.

use std::collections::HashMap;

/// What ends a line or a sentence.
pub const END: &str = "<eos>";
/// What stands for every word that is not in the vocabulary.
pub const UNKNOWN: &str = "<unk>";
/// What fills up short sentences of a batch.
pub const PAD: &str = "<pad>";
/// What a decoder begins with.
pub const BEGIN: &str = "<bos>";

/// Words, numbered from 0 in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vocabulary {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    /// The `special` words, and of others as many of the most frequent ones as bring it to at most `most` words; of
    /// equally frequent ones those that come first in the alphabet.
    pub fn frequent<'a>(special: &[&str], words: impl IntoIterator<Item = &'a str>, most: usize) -> Self {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
        let mut all = Self::default();
        for word in special {
            all.add(word);
        }
        for (word, _) in counts {
            if all.len() >= most {
                break;
            }
            all.add(word);
        }
        all
    }

    /// The word's number, a new one where it has none.
    pub fn add(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }

    /// The word's number.
    pub fn get(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    /// The number's word.
    pub fn word(&self, number: u32) -> Option<&str> {
        self.words.get(number as usize).map(String::as_str)
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}
