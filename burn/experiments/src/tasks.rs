//! What the experiments train.
