//! The words of the King James Bible, which Debian packages (`bible-kjv`): freely available text of the Penn
//! Treebank's size. What its program prints is read: a verse a line, after its reference (`Ge1:1 In the beginning
//! ...`), by
//!
//! ```text
//! bible -f Gen1:1-Rev22:21 > kjv.txt
//! ```

use super::DataError;
use super::corpus::Corpus;
use super::files;
use super::vocabulary::{END, UNKNOWN, Vocabulary};
use std::path::Path;

/// How the text is cut into parts and words.
#[derive(Debug, Clone, PartialEq)]
pub struct Bible {
    /// How many verses there are, where that is known.
    pub verses: Option<usize>,
    /// The vocabulary's most words, with `<eos>` and `<unk>`.
    pub words: usize,
    /// Of so many verses one is for choosing settings, and one is held out.
    pub of: usize,
}

/// The whole of it, with as many words as the Penn Treebank's.
pub const KING_JAMES: Bible = Bible { verses: Some(31_102), words: 10_000, of: 20 };

impl Bible {
    /// Reads a file. Words are in lower case and marks are words, `<eos>` ends each verse, and the vocabulary is of
    /// the part to train on. The parts lie one after the other, as verses beside each other tell much of each other.
    pub fn read(&self, path: &Path) -> Result<Corpus, DataError> {
        let text = files::lines(path)?;
        let verses: Vec<Vec<String>> = text
            .lines()
            .enumerate()
            .map(|(index, line)| verse(path, index, line))
            .collect::<Result<_, _>>()?;
        let (file, found) = (files::name(path), verses.len() as u64);
        match self.verses.map(|verses| verses as u64) {
            Some(expected) if found < expected => {
                return Err(DataError::Truncated { file, expected, found, unit: "verses" });
            }
            Some(expected) if found > expected => {
                return Err(DataError::Trailing { file, expected, found, unit: "verses" });
            }
            _ => {}
        }
        let held_out = verses.len() / self.of.max(3);
        if held_out == 0 {
            return Err(DataError::TooFew {
                wanted: format!("one part in {}", self.of.max(3)),
                least: self.of.max(3),
                found: verses.len(),
                unit: "verses",
                advice: "give a longer text",
            });
        }
        let (train, rest) = verses.split_at(verses.len() - 2 * held_out);
        let (valid, test) = rest.split_at(held_out);
        let words = train.iter().flatten().map(String::as_str);
        let vocabulary = Vocabulary::frequent(&[END, UNKNOWN], words, self.words);
        let [train, valid, test] = [train, valid, test].map(|verses| numbers(verses, &vocabulary));
        Ok(Corpus { vocabulary, train, valid, test })
    }
}

fn numbers(verses: &[Vec<String>], vocabulary: &Vocabulary) -> Vec<u32> {
    // `frequent` was given both.
    let [end, unknown] = [END, UNKNOWN].map(|word| vocabulary.get(word).unwrap_or_default());
    let number = |word: &String| vocabulary.get(word).unwrap_or(unknown);
    verses.iter().flat_map(|verse| verse.iter().map(number).chain([end])).collect()
}

/// The words of a line, after its reference.
fn verse(path: &Path, index: usize, line: &str) -> Result<Vec<String>, DataError> {
    let text = line.split_once(' ').filter(|(reference, _)| is_reference(reference));
    let Some((_, text)) = text else {
        return Err(DataError::Foreign {
            file: files::name(path),
            problem: format!(
                "line {} (`{}`) does not begin as `Ge1:1 In the beginning`",
                index + 1,
                files::start(line)
            ),
            advice: "give what `bible -f Gen1:1-Rev22:21` prints".to_owned(),
        });
    };
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = String::new();
        for letter in word.chars() {
            match letter.is_alphanumeric() || matches!(letter, '\'' | '-') {
                true => rest.extend(letter.to_lowercase()),
                false => {
                    words.extend(Some(std::mem::take(&mut rest)).filter(|word| !word.is_empty()));
                    words.push(letter.to_string());
                }
            }
        }
        words.extend(Some(rest).filter(|word| !word.is_empty()));
    }
    Ok(words)
}

/// Whether this is a book, a chapter and a verse, as `1Sam3:10`.
fn is_reference(text: &str) -> bool {
    let Some((chapter, verse)) = text.split_once(':') else { return false };
    let book = chapter.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    book.chars().any(char::is_alphabetic) && is_number(&chapter[book.len()..]) && is_number(verse)
}
