//! Variance reduction: gradients corrected by those at the slow weights, as SVRG does.
//!
//! Of an objective that is a mean over n samples, `f = 1/n (f_1 + ... + f_n)`, SVRG (Johnson and Zhang, 2013; by epochs and
//! with a mean over mini-batches Xiao and Zhang, 2014) takes a mini-batch's gradient `g_i` at the weights w, less the same
//! mini-batch's at a snapshot w~ of them, and with the full one there:
//!
//! ```text
//! g <- g_i(w) - g_i(w~) + mu,   mu = grad f(w~)
//! ```
//!
//! Its mean over the mini-batches is the gradient as it was, and its variance vanishes as w and w~ approach the minimum.
//! So plain descent converges with a constant learning rate, and linearly where f is strongly convex, where it otherwise
//! stalls at a distance that the learning rate sets.
//!
//! The snapshot is Lookahead's slow weights phi, and a new one is taken at each sync: with `alpha = 1` it is the last
//! iterate, which is SVRG as it is run (its Option I), with `alpha < 1` Lookahead whose inner steps are SVRG's. The rule may be any; theory is
//! of plain [`Sgd`](crate::rules::Sgd). k is the number of steps of an epoch, one to five times n over the size of a mini-batch.
//!
//! [`Katyusha`](crate::rules::Katyusha) accelerates it, by a pull-back towards the snapshot at every step. There the
//! weights that the caller sees are not the slow ones after a sync either: take gradients where they are, as ever.
//!
//! # What the caller does
//!
//! With [`Builder::variance_reduced`](crate::Builder::variance_reduced) there are two more planes of f32 beside the rule's
//! state, and a step reads both along with the gradient:
//!
//! | plane | what is written into it | when |
//! |---|---|---|
//! | [`Optimizer::snapshot_gradients`](crate::Optimizer::snapshot_gradients) | `g_i(w~)`, of the same mini-batch | with every gradient |
//! | [`Optimizer::full_gradients`](crate::Optimizer::full_gradients) | mu, the mean of `g_i(w~)` over the mini-batches that are drawn | whenever [`full_gradients_due`](crate::Optimizer::full_gradients_due) says so |
//!
//! ```
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! use lookahead_wgpu::{Lookahead, Optimizer, gpu::Gpu, rules::Sgd};
//! # let gpu = Gpu::open_blocking(None)?;
//! let mut optimizer = Optimizer::builder(Sgd::new(0.05))
//!     .lookahead(Lookahead::new(20, 1.0)) // SVRG; with a smaller alpha, Lookahead over it
//!     .variance_reduced()
//!     .tensor("w", &[64])
//!     .build_blocking(&gpu.device, &gpu.queue)?;
//! optimizer.upload("w", &[0.5; 64])?; // the slow weights, too
//! for _ in 0..100 {
//!     let mut encoder = gpu.device.create_command_encoder(&Default::default());
//!     if optimizer.full_gradients_due()? {
//!         // ... record kernels: of all samples, bound to `slow_weights`, into `full_gradients` ...
//!     }
//!     // ... of a mini-batch, bound to `weights`, into `gradients` ...
//!     // ... of the same one, bound to `slow_weights`, into `snapshot_gradients` ...
//!     optimizer.step(&mut encoder)?;
//!     gpu.queue.submit([encoder.finish()]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Kernels that are bound to the weights serve, too, between two [`swap_slow`](crate::Optimizer::swap_slow). Of borrowed
//! weights, [`init_synced`](crate::Optimizer::init_synced) makes the slow ones before the first step. Until anything is written the planes hold zeros, and gradients are taken
//! as they are; what a caller forgets to write the optimizer cannot see.
//!
//! # How it goes with what else there is
//!
//! - The correction comes first: centralisation, clipping, noise, norms, the [guard](crate::guard), the rule and an
//!   [adaptive alpha](crate::alpha) see the corrected gradient. Weight decay of the rule comes afterwards, and is in none
//!   of the three.
//! - With [accumulation](crate::Accumulation) each micro-batch is corrected by its own, and mu is taken in once for each: it
//!   is the mean of the micro-batches' `g_i(w~)`, also where their sum is taken.
//! - Gradients may be half-width, the planes are f32. Near the minimum the difference of a half-width gradient and the f32
//!   one is the former's rounding, which then is the variance that stays: round the snapshot's alike.
//! - Groups whose k or alpha differ: the snapshot is the slow weights of all tensors, and as one group syncs it is another
//!   one for all, so that the full gradient is due.
//! - Of frozen groups nothing is read.
//! - Loss scaling is refused ([`Error::Unsupported`]): the scale changes on the GPU within a cycle, and mu would be of an
//!   old one. A guard without it decides on the corrected gradient. It alone knows where a cycle ends: with a guard
//!   [`counters`](crate::Optimizer::counters) tell, and `full_gradients_due` is an error.
//! - A checkpoint has mu in it, so that a run resumes within a cycle.
//!
//! It costs a second gradient for each step and a full one for each cycle, and 8 bytes a parameter of memory and of reading.
//!
//! # When it helps
//!
//! On sums of smooth functions that are solved to more digits than stochastic steps give: regression, convex models, the last
//! layer of a network. Of deep networks it was found not to (Defazio and Bottou, 2019): augmented data, dropout and
//! batch statistics make `g_i` another function each time, and w leaves w~ too fast. `examples/logistic` shows all of
//! them by passes over the data.

use crate::{config::options::Options, error::Error};

/// Refuses what cannot go together with it.
pub(crate) fn check(options: &Options) -> Result<(), Error> {
    if options.variance_reduced && options.guard.is_some_and(|guard| guard.loss_scale.is_some()) {
        return Err(Error::Unsupported {
            call: "variance reduction",
            problem: "is not there with loss scaling, which would change the scale of the gradients within a cycle and leave \
                      that of the full one behind; take a guard without it",
        });
    }
    Ok(())
}
