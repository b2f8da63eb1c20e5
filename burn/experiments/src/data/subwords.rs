//! Byte-pair encoding ([Sennrich et al., 2016](https://arxiv.org/abs/1508.07909)): a vocabulary of letters and of
//! parts of words that often come together.

use super::tokens;
use super::vocabulary::{BEGIN, END, PAD, UNKNOWN, Vocabulary};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// The number of `<pad>`, the first word.
pub const PAD_NUMBER: u32 = 0;
/// The number of `<unk>`, which stands for letters that are not in the vocabulary.
pub const UNKNOWN_NUMBER: u32 = 1;
/// The number of `<bos>`.
pub const BEGIN_NUMBER: u32 = 2;
/// The number of `<eos>`.
pub const END_NUMBER: u32 = 3;

type Two = (u32, u32);

/// What splits texts into sub-words, and puts them together again.
#[derive(Debug, Clone)]
pub struct Subwords {
    vocabulary: Vocabulary,
    /// What becomes one, when that was learned, and what it becomes.
    merges: HashMap<Two, (usize, u32)>,
    /// The words that were learned from, in sub-words.
    known: HashMap<String, Vec<u32>>,
}

impl Subwords {
    /// Learns a vocabulary of at most `most` sub-words. `<pad>`, `<unk>`, `<bos>` and `<eos>` are the first; letters
    /// take half of it at most, the most frequent ones. Of equally frequent pairs the one of lower numbers is merged
    /// first, so that the same texts give the same sub-words; pairs that come only once are not.
    pub fn learn<'a>(texts: impl IntoIterator<Item = &'a str>, most: usize) -> Self {
        let mut counts: HashMap<String, i64> = HashMap::new();
        for token in texts.into_iter().flat_map(tokens::split) {
            *counts.entry(token).or_default() += 1;
        }
        let mut counts: Vec<(String, i64)> = counts.into_iter().collect();
        counts.sort_unstable();
        let mut this =
            Self { vocabulary: letters(&counts, most), merges: HashMap::new(), known: HashMap::new() };
        let words = counts.iter().map(|(word, count)| Word { parts: this.letters(word), count: *count });
        let mut pairs = Pairs::new(words.collect());
        while this.vocabulary.len() < most
            && let Some(pair) = pairs.most_frequent()
        {
            let part = |number| this.vocabulary.word(number).unwrap_or_default();
            let merged = [part(pair.0), part(pair.1)].concat();
            let merged = this.vocabulary.add(&merged);
            let rank = this.merges.len();
            this.merges.entry(pair).or_insert((rank, merged));
            pairs.merge(pair, merged);
        }
        let known = counts.into_iter().map(|(word, _)| {
            let parts = this.split(&word);
            (word, parts)
        });
        let known = known.collect();
        Self { known, ..this }
    }

    /// The sub-words.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// A text's sub-words.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let numbers = |word: String| self.known.get(&word).cloned().unwrap_or_else(|| self.split(&word));
        tokens::split(text).into_iter().flat_map(numbers).collect()
    }

    /// The text of sub-words.
    pub fn decode(&self, numbers: &[u32]) -> String {
        tokens::join(numbers.iter().filter_map(|&number| self.vocabulary.word(number)))
    }

    fn letters(&self, word: &str) -> Vec<u32> {
        let mut buffer = [0; 4];
        let letters = word.chars().map(|letter| self.vocabulary.get(letter.encode_utf8(&mut buffer)));
        letters.map(|number| number.unwrap_or(UNKNOWN_NUMBER)).collect()
    }

    /// What was learned first is merged first.
    fn split(&self, word: &str) -> Vec<u32> {
        let mut parts = self.letters(word);
        loop {
            let pairs = parts.windows(2).map(|pair| (pair[0], pair[1]));
            let first = pairs.filter_map(|pair| self.merges.get(&pair).map(|merge| (merge, pair))).min();
            let Some((&(_, merged), pair)) = first else { return parts };
            parts = replaced(&parts, pair, merged);
        }
    }
}

fn letters(counts: &[(String, i64)], most: usize) -> Vocabulary {
    let mut letters: HashMap<char, i64> = HashMap::new();
    for (word, count) in counts {
        for letter in word.chars() {
            *letters.entry(letter).or_default() += count;
        }
    }
    let mut letters: Vec<_> = letters.into_iter().map(|(letter, count)| (-count, letter)).collect();
    letters.sort_unstable();
    let mut vocabulary = Vocabulary::default();
    for word in [PAD, UNKNOWN, BEGIN, END] {
        vocabulary.add(word);
    }
    for (_, letter) in letters.into_iter().take((most / 2).min(most.saturating_sub(4))) {
        vocabulary.add(&letter.to_string());
    }
    vocabulary
}

fn replaced(parts: &[u32], pair: Two, merged: u32) -> Vec<u32> {
    let mut result = Vec::with_capacity(parts.len());
    let mut rest = parts;
    while let [first, tail @ ..] = rest {
        let is_pair = *first == pair.0 && tail.first() == Some(&pair.1);
        result.push(if is_pair { merged } else { *first });
        rest = if is_pair { &tail[1..] } else { tail };
    }
    result
}

struct Word {
    parts: Vec<u32>,
    count: i64,
}

/// Pairs of neighbours in all words.
struct Pairs {
    words: Vec<Word>,
    counts: HashMap<Two, i64>,
    /// In which words a pair is, or was.
    places: HashMap<Two, HashSet<usize>>,
    /// Counts of pairs, with those that are too high by now.
    queue: BinaryHeap<(i64, Reverse<Two>)>,
}

impl Pairs {
    fn new(words: Vec<Word>) -> Self {
        let (counts, places, queue) = Default::default();
        let mut this = Self { words, counts, places, queue };
        for word in 0..this.words.len() {
            this.count(word, 1);
        }
        this.queue = this.counts.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();
        this
    }

    fn count(&mut self, index: usize, sign: i64) {
        let word = &self.words[index];
        for pair in word.parts.windows(2).map(|pair| (pair[0], pair[1])) {
            if pair.0 != UNKNOWN_NUMBER && pair.1 != UNKNOWN_NUMBER {
                *self.counts.entry(pair).or_default() += sign * word.count;
                if sign > 0 {
                    self.places.entry(pair).or_default().insert(index);
                }
            }
        }
    }

    fn most_frequent(&mut self) -> Option<Two> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            let now = self.counts.get(&pair).copied().unwrap_or_default();
            if now == count && count > 1 {
                return Some(pair);
            } else if now < count && now > 1 {
                self.queue.push((now, Reverse(pair)));
            }
        }
        None
    }

    fn merge(&mut self, pair: Two, merged: u32) {
        for index in self.places.remove(&pair).unwrap_or_default() {
            self.count(index, -1);
            self.words[index].parts = replaced(&self.words[index].parts, pair, merged);
            self.count(index, 1);
            let parts = &self.words[index].parts;
            // Only pairs with the new part come more often than before.
            let new = parts.windows(2).map(|pair| (pair[0], pair[1]));
            for pair in new.filter(|pair| pair.0 == merged || pair.1 == merged) {
                if let Some(&count) = self.counts.get(&pair) {
                    self.queue.push((count, Reverse(pair)));
                }
            }
        }
        self.counts.remove(&pair);
    }
}
