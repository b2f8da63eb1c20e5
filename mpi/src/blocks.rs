//! Tensors as blocks: where each of them lies in what is sent.

use lookahead_wgpu::{Engine, Optimizer};

use crate::wire::{BLOCK, Wire};

/// The tensors of an optimizer in their order, each beginning a new block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blocks {
    /// Of each tensor: its name and how many values it has.
    pub tensors: Vec<(String, usize)>,
}

impl Blocks {
    pub fn of<E: Engine>(optimizer: &Optimizer<E>) -> Self {
        let tensors = optimizer.tensors().map(|(name, shape)| (name.to_owned(), shape.iter().product()));
        Self { tensors: tensors.collect() }
    }

    /// Blocks of all tensors.
    pub fn count(&self) -> usize {
        self.tensors.iter().map(|(_, len)| len.div_ceil(BLOCK)).sum()
    }

    /// Values that a format keeps for them.
    pub fn kept(&self, wire: Wire) -> usize {
        if wire.feeds_back() { self.count() * BLOCK } else { 0 }
    }

    /// Values as whole blocks.
    pub fn filled(&self, tensors: &[Vec<f32>]) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.count() * BLOCK);
        for tensor in tensors {
            values.extend_from_slice(tensor);
            values.resize(values.len().next_multiple_of(BLOCK), 0.0);
        }
        values
    }

    /// The tensors' values in whole blocks.
    pub fn cut<'a>(&'a self, values: &'a [f32]) -> impl Iterator<Item = (&'a str, &'a [f32])> {
        let mut start = 0;
        self.tensors.iter().map(move |(name, len)| {
            let first = start;
            start += len.next_multiple_of(BLOCK);
            (name.as_str(), &values[first..first + len])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_begin_new_blocks_and_come_back() {
        let lens = [1, BLOCK, BLOCK + 1, 300];
        let tensors = lens.iter().map(|len| (format!("t{len}"), *len)).collect();
        let blocks = Blocks { tensors };
        let values: Vec<Vec<f32>> =
            lens.iter().map(|len| (0..*len).map(|v| v as f32 + 0.5).collect()).collect();
        let filled = blocks.filled(&values);
        assert_eq!((blocks.count(), filled.len()), (7, 7 * BLOCK));
        assert_eq!(filled[1..BLOCK], [0.0; BLOCK - 1]);
        let back: Vec<_> = blocks.cut(&filled).map(|(_, values)| values.to_vec()).collect();
        assert_eq!(back, values);
    }
}
