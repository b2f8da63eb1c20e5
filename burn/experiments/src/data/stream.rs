//! A long text cut into parallel columns, through which a recurrent network reads window after window.

use super::DataError;
use std::ops::Range;

/// A text of `batch` columns. As in AWD-LSTM, the last tokens, which fill no row, are dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    tokens: Vec<u32>,
    batch: usize,
}

/// Inputs and what comes after each, `[length, batch]`, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Rows.
    pub length: usize,
    /// Columns.
    pub batch: usize,
    /// The tokens.
    pub inputs: Vec<u32>,
    /// The tokens after them.
    pub targets: Vec<u32>,
}

impl Stream {
    /// Cuts a text into columns.
    pub fn new(text: &[u32], batch: usize) -> Result<Self, DataError> {
        let rows = text.len().checked_div(batch).unwrap_or_default();
        if rows < 2 {
            return Err(DataError::TooFew {
                wanted: format!("a stream of {batch} columns"),
                least: (2 * batch).max(2),
                found: text.len(),
                unit: "tokens",
                advice: "give a longer text, or a batch size from 1 up that it fills",
            });
        }
        let tokens = (0..rows * batch).map(|place| text[place % batch * rows + place / batch]).collect();
        Ok(Self { tokens, batch })
    }

    /// How many rows there are. The last one is no input, as nothing comes after it.
    pub fn rows(&self) -> usize {
        self.tokens.len() / self.batch
    }

    /// At most `length` rows from the row `start` on; none at the end.
    pub fn window(&self, start: usize, length: usize) -> Option<Window> {
        let length = length.min((self.rows() - 1).checked_sub(start)?);
        let rows = |rows: Range<usize>| self.tokens[rows.start * self.batch..rows.end * self.batch].to_vec();
        (length > 0).then(|| Window {
            length,
            batch: self.batch,
            inputs: rows(start..start + length),
            targets: rows(start + 1..start + 1 + length),
        })
    }

    /// All windows of `length` rows, one after the other; the last may be shorter.
    pub fn windows(&self, length: usize) -> impl Iterator<Item = Window> {
        (0..self.rows()).step_by(length.max(1)).map_while(move |start| self.window(start, length.max(1)))
    }
}
