//! When an average begins that is triggered by the losses.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The non-monotone trigger of NT-ASGD (Merity, Keskar, Socher, 2017, algorithm 1): an average begins at the first
/// evaluation whose loss is above the least of those that came more than n evaluations before it,
///
/// ```text
/// t > n   and   v_t > min over l < t - n of v_l        (evaluations t = 0, 1, 2, ...)
/// ```
///
/// that is, once the loss is worse than one that it had n evaluations ago or earlier. The paper evaluates once an epoch,
/// with n = 5, and trains by SGD until then and on. It is a value of the host's, which knows nothing of an optimizer;
/// it keeps n losses and the least of those before, and is saved beside a checkpoint by serde.
///
/// ```
/// # fn main() -> Result<(), lookahead_wgpu::Error> {
/// use lookahead_wgpu::{Average, Optimizer, average::NonMonotone, gpu::Gpu, rules::Sgd};
/// # let gpu = Gpu::open_blocking(None)?;
/// let mut optimizer = Optimizer::builder(Sgd::new(30.0))
///     .average(Average::Polyak { from: 0 })
///     .tensor("w", &[64])
///     .build_blocking(&gpu.device, &gpu.queue)?;
/// let mut trigger = NonMonotone::new(5);
/// # let evaluate = |epoch: u32| f64::from(epoch);
/// for epoch in 0..20 {
///     // ... the epoch's steps ...
///     let loss = evaluate(epoch); // on the average, once `trigger.has_triggered()`
///     if trigger.observe(loss) {
///         let mut encoder = gpu.device.create_command_encoder(&Default::default());
///         optimizer.begin_average(&mut encoder)?; // of the weights after the next step, and all from there on
///         gpu.queue.submit([encoder.finish()]);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonMonotone {
    interval: u32,
    /// The least of the losses that came more than `interval` evaluations ago, if one did that is a number.
    least: Option<f64>,
    /// The last `interval` losses, the oldest first.
    recent: VecDeque<Option<f64>>,
    has_triggered: bool,
}

impl NonMonotone {
    /// With this n, the non-monotone interval: how many of the last losses a new one is not compared with. At 0 the first
    /// loss triggers that is above any before it.
    pub fn new(interval: u32) -> Self {
        Self { interval, least: None, recent: VecDeque::new(), has_triggered: false }
    }

    /// Takes the loss of the next evaluation (or its perplexity: whatever is to be low), and tells whether the average begins
    /// here. It does so once: all later calls give false.
    ///
    /// A loss that is NaN counts as an evaluation and as no loss: it does not trigger, and no later one is compared with
    /// it. An infinite one is above all others that are not.
    pub fn observe(&mut self, loss: f64) -> bool {
        let triggers = !self.has_triggered && self.least.is_some_and(|least| loss > least);
        self.has_triggered |= triggers;
        self.recent.push_back(to_compare(loss));
        while self.recent.len() > self.interval as usize {
            let old = self.recent.pop_front().flatten();
            self.least = [self.least, old].into_iter().flatten().reduce(f64::min);
        }
        triggers
    }

    /// Whether the average has begun.
    pub fn has_triggered(&self) -> bool {
        self.has_triggered
    }
}

impl Default for NonMonotone {
    /// The paper's: n = 5.
    fn default() -> Self {
        Self::new(5)
    }
}

/// What later losses are compared with; none where none is above it. JSON has no infinity: below the least number there
/// is no other loss to be told from it.
fn to_compare(loss: f64) -> Option<f64> {
    (loss < f64::INFINITY).then(|| loss.max(f64::MIN))
}
