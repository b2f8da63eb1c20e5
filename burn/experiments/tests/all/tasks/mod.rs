//! Tasks: their batches, losses and scores.

mod translation;
