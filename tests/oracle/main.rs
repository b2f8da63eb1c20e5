//! What the library does, recorded: a change of structure must not change it.
//!
//! - `sources`: every kernel's text, by hash.
//! - `commands`: every object and every command, on wgpu's noop backend, for many configurations.
//! - `bits`: the bits of everything that is exported after training, on each adapter.
//! - `checkpoints`: files of earlier versions are read, and written back to the same bytes.
//!
//! `LOOKAHEAD_RECORD=1 cargo test --test oracle` writes the recorded files in `tests/oracle`; without it they are
//! compared. `LOOKAHEAD_TRACES=folder` writes the whole texts, of which the files have the hashes, so that `diff -r`
//! shows what differs between two checkouts.

#[path = "../common/mod.rs"]
mod common;
#[path = "../golden/mod.rs"]
mod golden;
#[path = "../sources/mod.rs"]
mod sources;

mod bits;
mod cases;
mod checkpoints;
mod commands;
mod places;
mod record;
mod texts;
mod trace;
