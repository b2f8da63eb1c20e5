//! How kernels are cut for an adapter: which results they give does not depend on it, but for the order of sums.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_hyperparameter};

/// How the kernels divide their work among an adapter's threads.
///
/// [`Builder::build`](crate::Builder::build) takes the one that suits the device's kind: [`GPU`](Self::GPU) or, for a
/// software adapter, [`CPU`](Self::CPU). [`Builder::shape`](crate::Builder::shape) sets another, as
/// [`autotune`](crate::autotune) finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Shape {
    /// Threads in a workgroup: a power of two from 1 to 1024, of which a device's limits allow as many as they do.
    pub workgroup: u32,
    /// Groups of four values that a thread of a step takes, side by side: 1, 2, 4 or 8.
    pub vec4s: u32,
    /// Threads that sum a part of a tensor together, in norms and the like: a power of two from 1 to 1024, at most a
    /// workgroup. One alone waits for no other.
    pub lanes: u32,
    /// Threads that sum a row together, likewise; fewer where rows are short.
    pub row_lanes: u32,
    /// Pairs of borrowed buffers, one of weights and one of gradients, that a dispatch binds: from 1 to 8, of which a
    /// device's limits allow as many as they do. Tensors that lie in buffers of their own take fewer dispatches then; a CPU
    /// is quickest with one.
    #[serde(default = "one_pair")]
    pub pairs: u32,
}

impl Shape {
    /// For hardware: threads are many, neighbours read side by side, and a barrier costs little.
    pub const GPU: Self = Self { workgroup: 256, vec4s: 1, lanes: 256, row_lanes: 32, pairs: 8 };

    /// For adapters that compute on the CPU: threads are the lanes of few vector units, and a barrier ends a loop over
    /// all of them.
    pub const CPU: Self = Self { workgroup: 64, vec4s: 4, lanes: 1, row_lanes: 1, pairs: 1 };

    /// For SwiftShader, on which browsers compute where they have no GPU. It compiles long kernels badly: four vec4s a
    /// thread take 1.7 times as long there as one.
    pub const SWIFTSHADER: Self = Self { workgroup: 256, vec4s: 1, ..Self::CPU };

    /// So many threads in a workgroup, each for so many groups of four values, `lanes` of which sum together. Where each
    /// sums alone, as is best on a CPU, a dispatch binds one pair of borrowed buffers, else eight.
    pub fn new(workgroup: u32, vec4s: u32, lanes: u32) -> Self {
        Self { workgroup, vec4s, lanes, row_lanes: lanes.min(32), pairs: if lanes == 1 { 1 } else { 8 } }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        let powers = [
            ("threads in a workgroup", self.workgroup),
            ("threads that sum together", self.lanes),
            ("threads that sum a row together", self.row_lanes),
        ];
        for (name, count) in powers {
            let is_allowed = |_| count.is_power_of_two() && count <= 1024;
            check_hyperparameter(name, f64::from(count), is_allowed, "a power of two from 1 to 1024")?;
        }
        let is_allowed = |_| [1, 2, 4, 8].contains(&self.vec4s);
        check_hyperparameter("vec4s a thread", f64::from(self.vec4s), is_allowed, "1, 2, 4 or 8")?;
        let is_allowed = |_| (1..=8).contains(&self.pairs);
        check_hyperparameter("pairs of buffers", f64::from(self.pairs), is_allowed, "from 1 to 8")
    }

    /// With no more threads together than a workgroup has.
    pub(crate) fn within(self, workgroup: u32) -> Self {
        let most = |threads: u32| threads.min(workgroup);
        Self { workgroup, lanes: most(self.lanes), row_lanes: most(self.row_lanes), ..self }
    }

    /// For rows of so many values on average.
    pub(crate) fn rows_of(self, values: u64) -> Self {
        let useful = values.div_ceil(4).next_power_of_two().min(u64::from(self.row_lanes));
        Self { row_lanes: (useful as u32).max(1), ..self }
    }
}

/// What shapes had that were saved without it.
fn one_pair() -> u32 {
    1
}

impl Default for Shape {
    /// [`Self::GPU`].
    fn default() -> Self {
        Self::GPU
    }
}
