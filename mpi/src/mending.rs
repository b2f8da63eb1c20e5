//! Slow weights that an adapter has rounded otherwise: rank 0's are sent again, and taken by all.

use lookahead_wgpu::{Field, Optimizer, Snapshot};
use mpi::traits::{Communicator, Root};

use crate::{
    error::Error,
    meeting::{Said, agree, check_same, ready},
    workers::Workers,
};

/// What rounding may come to, of the largest value of a tensor: 128 units in the last place of f32.
const ROUNDING: f32 = 1.0 / 65_536.0;

/// Values that are sent at once: MPI counts in 32 bits.
const PIECE: usize = 1 << 28;

impl Workers {
    /// Gives ranks whose hash is not rank 0's the slow weights and the outer step's state of a fragment that rank 0 has,
    /// and returns these ranks. `restarts`: the fast weights are at the slow ones.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] where they differ by more than rounding; what exporting and importing give.
    pub(crate) fn mend(
        &self,
        optimizer: &mut Optimizer,
        fragment: usize,
        said: &[Said],
        restarts: bool,
    ) -> Result<Vec<usize>, Error> {
        let others: Vec<usize> = (0..said.len()).filter(|rank| said[*rank].word != said[0].word).collect();
        if others.is_empty() {
            return Ok(others);
        }
        let is_other = others.contains(&self.rank());
        let exported = if is_other || self.rank() == 0 {
            optimizer.export_blocking().map(Some).map_err(Error::from)
        } else {
            Ok(None)
        };
        let (mut own, ..) = agree(&self.world, "comparing slow weights", exported, |_| ready())?;
        let shared = own.iter_mut().flat_map(|snapshot| self.shared(snapshot, fragment));
        let sent = self.of_first(shared.flat_map(|values| values.iter().copied()).collect());
        let is_rounding = own.as_mut().is_none_or(|snapshot| take(self.shared(snapshot, fragment), &sent));
        let mended = match own.filter(|_| is_other && is_rounding) {
            Some(mut snapshot) => {
                if restarts {
                    self.restart(&mut snapshot, fragment);
                }
                optimizer.import(&snapshot).map_err(Error::from)
            }
            None => Ok(()),
        };
        let say = |_: &()| Said { word: u64::from(is_rounding), ..ready() };
        let (_, told, _) = agree(&self.world, "taking rank 0's slow weights", mended, say)?;
        if told.iter().any(|said| said.word == 0) {
            check_same(said, "slow weights")?;
        }
        Ok(others)
    }

    /// What all ranks have alike of a fragment: slow weights and the outer step's state.
    fn shared<'a>(&self, snapshot: &'a mut Snapshot, fragment: usize) -> Vec<&'a mut Vec<f32>> {
        let is_shared = |name: &str| matches!(Field::parse(name), Some(Field::SlowWeights | Field::Outer(_)));
        let tensors =
            snapshot.tensors.iter_mut().filter(|tensor| self.packer.blocks().has(fragment, &tensor.name));
        let fields = tensors.flat_map(|tensor| &mut tensor.fields);
        fields.filter(|(name, _)| is_shared(name)).map(|(_, values)| values).collect()
    }

    /// A fragment's fast weights are the slow ones.
    fn restart(&self, snapshot: &mut Snapshot, fragment: usize) {
        for tensor in
            snapshot.tensors.iter_mut().filter(|tensor| self.packer.blocks().has(fragment, &tensor.name))
        {
            let slow = tensor.field(Field::SlowWeights).map(<[f32]>::to_vec);
            let fast = tensor.fields.iter_mut().find(|(name, _)| Field::parse(name) == Some(Field::Weights));
            if let (Some(slow), Some((_, fast))) = (slow, fast) {
                *fast = slow;
            }
        }
    }

    /// Rank 0's values.
    fn of_first(&self, own: Vec<f32>) -> Vec<f32> {
        let first = self.world.process_at_rank(0);
        let mut count = own.len() as u64;
        first.broadcast_into(&mut count);
        let mut values = if self.rank() == 0 { own } else { vec![0.0; count as usize] };
        values.chunks_mut(PIECE).for_each(|piece| first.broadcast_into(piece));
        values
    }
}

/// Takes values that were sent in the place of one's own, if they differ by rounding alone.
fn take(own: Vec<&mut Vec<f32>>, sent: &[f32]) -> bool {
    if own.iter().map(|values| values.len()).sum::<usize>() != sent.len() {
        return false;
    }
    let mut rest = sent;
    let mut are_alike = true;
    for values in own {
        let (here, others) = rest.split_at(values.len());
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        are_alike &= values.iter().zip(here).all(|(own, sent)| (own - sent).abs() <= ROUNDING * largest);
        values.copy_from_slice(here);
        rest = others;
    }
    are_alike
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_told_from_other_weights() {
        let (mut a, mut b) = (vec![1.0, -1e-3], vec![0.0; 2]);
        assert!(take(vec![&mut a, &mut b], &[1.0 - 1e-6, -1.001e-3, 0.0, 0.0]));
        assert_eq!((a[0], a[1]), (1.0 - 1e-6, -1.001e-3));
        for sent in [[1.001, -1e-3, 0.0, 0.0], [1.0, -1e-3, 1e-9, 0.0], [f32::NAN, 0.0, 0.0, 0.0]] {
            let (mut a, mut b) = (vec![1.0, -1e-3], vec![0.0; 2]);
            assert!(!take(vec![&mut a, &mut b], &sent), "{sent:?}");
        }
        assert!(!take(vec![&mut a], &[1.0]));
    }
}
