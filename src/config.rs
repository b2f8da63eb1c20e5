//! What a user asks for: plain values, with their checks. Nothing here knows of a GPU; it rests on [rules](crate::rules)
//! and errors alone.

pub(crate) mod accumulate;
pub mod alpha;
pub mod anderson;
pub mod average;
pub(crate) mod clip;
pub(crate) mod form;
pub(crate) mod group;
pub mod guard;
pub(crate) mod lookahead;
pub(crate) mod options;
pub mod outer;
pub mod precision;
pub(crate) mod schedule;
pub(crate) mod shape;
pub mod transform;
pub mod variance_reduction;
