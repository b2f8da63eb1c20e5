//! Tensors as blocks: where each of them lies in what is sent.

use std::ops::Range;

use lookahead_wgpu::{Engine, Field, Optimizer};

use crate::{
    error::Error,
    wire::{BLOCK, Wire},
};

/// The tensors of an optimizer, fragment after fragment, each beginning a new block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blocks {
    tensors: Vec<Tensor>,
    /// Which tensors each fragment has.
    fragments: Vec<Range<usize>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub name: String,
    /// Values.
    pub len: usize,
    /// Its place among the optimizer's.
    index: usize,
    /// Its first block.
    pub first: usize,
}

impl Tensor {
    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }
}

impl Blocks {
    /// Of fragments with these groups, of which each is in one.
    pub fn of<E: Engine>(optimizer: &Optimizer<E>, fragments: &[Vec<String>]) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (index, (name, shape)) in optimizer.tensors().enumerate() {
            let group = optimizer.group_of(name)?;
            let fragment = fragments.iter().position(|groups| groups.iter().any(|other| other == group));
            all.push((fragment.unwrap_or(0), name.to_owned(), shape.iter().product(), index));
        }
        all.sort_by_key(|(fragment, ..)| *fragment);
        let start = |fragment: usize| all.partition_point(|(other, ..)| *other < fragment);
        let fragments = (0..fragments.len()).map(|fragment| start(fragment)..start(fragment + 1)).collect();
        Ok(Self::new(all.into_iter().map(|(_, name, len, index)| (name, len, index)), fragments))
    }

    fn new(tensors: impl Iterator<Item = (String, usize, usize)>, fragments: Vec<Range<usize>>) -> Self {
        let mut first = 0;
        let tensors = tensors.map(|(name, len, index)| {
            let tensor = Tensor { name, len, index, first };
            first += tensor.blocks();
            tensor
        });
        Self { tensors: tensors.collect(), fragments }
    }

    /// Which of them are a fragment's.
    pub fn indices(&self, fragment: usize) -> Range<usize> {
        self.fragments[fragment].clone()
    }

    /// A fragment's tensors.
    pub fn fragment(&self, fragment: usize) -> &[Tensor] {
        &self.tensors[self.indices(fragment)]
    }

    /// Which blocks are whose, as text.
    pub fn order(&self) -> String {
        let names = |fragment| self.fragment(fragment).iter().map(|tensor| tensor.name.as_str()).collect();
        let names: Vec<Vec<&str>> = (0..self.fragments.len()).map(names).collect();
        format!("{names:?}")
    }

    /// Whether a tensor is a fragment's.
    pub fn has(&self, fragment: usize, tensor: &str) -> bool {
        self.fragment(fragment).iter().any(|other| other.name == tensor)
    }

    /// How many fragments there are.
    pub fn fragments(&self) -> usize {
        self.fragments.len()
    }

    /// Blocks of all tensors.
    pub fn count(&self) -> usize {
        self.tensors.iter().map(Tensor::blocks).sum()
    }

    /// A fragment's blocks among all.
    pub fn blocks(&self, fragment: usize) -> Range<usize> {
        let tensors = self.fragment(fragment);
        let start = tensors.first().map_or(0, |tensor| tensor.first);
        start..start + tensors.iter().map(Tensor::blocks).sum::<usize>()
    }

    /// Where the values lie that a format keeps for a fragment.
    pub fn kept(&self, wire: Wire, fragment: usize) -> Range<usize> {
        let blocks = self.blocks(fragment);
        if wire.feeds_back() { blocks.start * BLOCK..blocks.end * BLOCK } else { 0..0 }
    }

    /// Values that a format keeps for all.
    pub fn all_kept(&self, wire: Wire) -> usize {
        if wire.feeds_back() { self.count() * BLOCK } else { 0 }
    }

    /// A fragment's values of a field, a tensor after the other.
    pub fn read<E: Engine>(
        &self,
        optimizer: &Optimizer<E>,
        field: Field<'_>,
        fragment: usize,
    ) -> Result<Vec<Vec<f32>>, Error> {
        if self.fragments.len() > 1 {
            // All are under way before the first is waited for.
            let each = self.fragment(fragment).iter().map(|tensor| optimizer.download(field, &tensor.name));
            let each: Vec<_> = each.collect();
            return Ok(each.into_iter().map(pollster::block_on).collect::<Result<_, _>>()?);
        }
        let mut all = optimizer.download_all_blocking(field)?;
        Ok(self.tensors.iter().map(|tensor| std::mem::take(&mut all[tensor.index])).collect())
    }

    /// A fragment's tensors' values in its whole blocks.
    pub fn cut<'a>(
        &'a self,
        fragment: usize,
        values: &'a [f32],
    ) -> impl Iterator<Item = (&'a str, &'a [f32])> {
        let start = self.blocks(fragment).start;
        self.fragment(fragment).iter().map(move |tensor| {
            let first = (tensor.first - start) * BLOCK;
            (tensor.name.as_str(), &values[first..first + tensor.len])
        })
    }
}

/// Tensors' values as whole blocks.
pub(crate) fn filled(tensors: &[Vec<f32>]) -> Vec<f32> {
    let mut values = Vec::new();
    for tensor in tensors {
        values.extend_from_slice(tensor);
        values.resize(values.len().next_multiple_of(BLOCK), 0.0);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_begin_new_blocks_and_come_back() {
        let lens = [1, BLOCK, BLOCK + 1, 300];
        let tensors = lens.iter().enumerate().map(|(index, len)| (format!("t{len}"), *len, index));
        let blocks = Blocks::new(tensors, vec![0..1, 1..4]);
        let values: Vec<Vec<f32>> =
            lens.iter().map(|len| (0..*len).map(|v| v as f32 + 0.5).collect()).collect();
        assert_eq!(blocks.count(), 7);
        assert_eq!([0, 1].map(|fragment| blocks.blocks(fragment)), [0..1, 1..7]);
        for (fragment, tensors) in [(0, 0..1), (1, 1..4)] {
            let filled = filled(&values[tensors.clone()]);
            assert_eq!(filled.len(), blocks.blocks(fragment).len() * BLOCK);
            let back: Vec<_> = blocks.cut(fragment, &filled).map(|(_, values)| values.to_vec()).collect();
            assert_eq!(back, values[tensors]);
        }
        assert_eq!(filled(&values[..1])[1..], [0.0; BLOCK - 1]);
        assert_eq!((blocks.kept(Wire::Int8, 1), blocks.all_kept(Wire::Int8)), (BLOCK..7 * BLOCK, 7 * BLOCK));
        assert_eq!((blocks.kept(Wire::F16, 1), blocks.all_kept(Wire::F16)), (0..0, 0));
    }
}
