//! The units of a layout: values and blocks.

/// Values in a block: every tensor starts at one. 512 bytes, so that a half-width copy starts at 256 too, the
/// largest storage offset alignment that WebGPU lets a device ask for; `TENSOR_ALIGN` vec4s in the shaders.
pub(crate) const TENSOR_ALIGN: u64 = 128;

/// Bytes of one value.
pub(crate) const VALUE: u64 = 4;

/// Down to a multiple of a block.
pub(crate) fn down(values: u64) -> u64 {
    values - values % TENSOR_ALIGN
}

/// Up to a multiple of a block.
pub(crate) fn up(values: u64) -> u64 {
    values.next_multiple_of(TENSOR_ALIGN)
}
