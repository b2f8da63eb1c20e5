//! Everything that takes several processes: each test runs this program again under `mpirun`, where its body is what a
//! rank does.

mod faults;
mod formats;
mod launch;
mod model;
mod not_finite;
mod program;
mod refusals;
mod scale;
mod several;
mod single;
mod streaming;
mod tasks;
mod twins;
