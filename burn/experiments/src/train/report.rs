//! What training tells while it goes on.

use serde::Serialize;

use crate::run::record::Point;

/// What happened.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Training begins, or goes on.
    Begin {
        /// Steps that are done.
        step: u64,
        /// Steps of the whole run.
        steps: u64,
    },
    /// A step is done.
    Step {
        /// Steps that are done.
        step: u64,
        /// Its batch's loss.
        #[serde(with = "crate::run::finite")]
        loss: f64,
        /// Its learning rate.
        rate: f64,
    },
    /// An epoch is over.
    Epoch(Point),
    /// The inner loop was looked into.
    Probed,
}
