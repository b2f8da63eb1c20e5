//! What the first pass of a reduction over one run is.

use super::program::{BindGroup, BindGroupLayout, Bound, Buffer, Id, Owner};

/// The first pass over one run.
#[derive(Debug)]
pub struct Partial {
    /// Of the placement's.
    pub bind_group: Id<BindGroup>,
    pub workgroups: (u32, u32),
}

/// A bind group of the placement's for a first pass: its table, and the program's partial sums.
pub(super) fn table_group(
    label: &'static str,
    layout: Id<BindGroupLayout>,
    table: Id<Buffer>,
    sums: Id<Buffer>,
) -> BindGroup {
    let table = Bound { buffer: Owner::Placement(table), offset: 0, size: None };
    BindGroup { label, layout, entries: vec![(0, table), (1, Bound::whole(sums))] }
}

/// A grid of at least `count` workgroups.
pub(super) fn grid(count: u32, most: u32) -> (u32, u32) {
    let rows = count.div_ceil(most).max(1);
    (count.div_ceil(rows), rows)
}
