//! Training: the optimizer by way of the host, runs that are interrupted, figures' runs.

mod interrupted;
mod made;
mod order;
mod stepper;
mod studies;
