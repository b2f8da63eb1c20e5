//! The Penn Treebank as language models are trained on it (Mikolov, Karafiat, Burget, Cernocky, Khudanpur, 2010): a
//! sentence a line, words between spaces, rare ones already `<unk>`.

use super::DataError;
use super::corpus::Corpus;
use super::files;
use super::vocabulary::{END, Vocabulary};
use std::path::Path;

/// Files of sentences.
#[derive(Debug, Clone, PartialEq)]
pub struct Format {
    /// The parts to train on, to choose settings by, and held out.
    pub files: [&'static str; 3],
    /// How many tokens each part has, the ends of its lines included, where that is known.
    pub tokens: Option<[usize; 3]>,
}

/// The published files: 10,000 words.
pub const PENN_TREEBANK: Format = Format {
    files: ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"],
    tokens: Some([929_589, 73_760, 82_430]),
};

impl Format {
    /// Reads a folder's three files. Words are numbered in the order in which they come, over all three, and `<eos>`
    /// ends each line, as in AWD-LSTM.
    pub fn read(&self, folder: &Path) -> Result<Corpus, DataError> {
        files::is_folder(folder, &format!("`{}`", self.files[0]))?;
        let mut vocabulary = Vocabulary::default();
        let mut parts = [const { Vec::new() }; 3];
        for (index, part) in parts.iter_mut().enumerate() {
            *part = self.part(folder, index, &mut vocabulary)?;
        }
        let [train, valid, test] = parts;
        Ok(Corpus { vocabulary, train, valid, test })
    }

    fn part(&self, folder: &Path, index: usize, vocabulary: &mut Vocabulary) -> Result<Vec<u32>, DataError> {
        let path = folder.join(self.files[index]);
        if !path.is_file() {
            return Err(DataError::Missing {
                folder: files::name(folder),
                names: vec![self.files[index].to_owned()],
                advice: format!("put {} there", self.files.map(|name| format!("`{name}`")).join(", ")),
            });
        }
        let text = files::lines(&path)?;
        let words = text.lines().flat_map(|line| line.split_whitespace().chain([END]));
        let tokens: Vec<u32> = words.map(|word| vocabulary.add(word)).collect();
        let file = files::name(&path);
        let (found, expected) = (tokens.len() as u64, self.tokens.map(|tokens| tokens[index] as u64));
        match expected {
            Some(expected) if found < expected => {
                Err(DataError::Truncated { file, expected, found, unit: "tokens" })
            }
            Some(expected) if found > expected => {
                Err(DataError::Trailing { file, expected, found, unit: "tokens" })
            }
            _ => Ok(tokens),
        }
    }
}
