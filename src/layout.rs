//! Where every byte lies, and what the words mean that kernels are told. Arithmetic on the host, without a device.

pub(crate) mod field;
pub(crate) mod guard_state;
pub(crate) mod limits;
pub(crate) mod params;
pub(crate) mod planes;
pub(crate) mod tensors;
pub(crate) mod units;
