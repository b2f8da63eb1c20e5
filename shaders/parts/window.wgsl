// One dispatch's part of the flat layout, in vec4s. A block is 32 vec4s (128 values, 512 bytes): every
// tensor starts at one.
struct La_Window {
    first: u32,    // the dispatch's first vec4 in the window
    count: u32,    // how many vec4s it covers
    stride: u32,   // vec4s between two planes
    segments: u32, // where the segments start in `la_table`
    clip: u32,     // where each kind of factor starts in `la_factors`
    trust: u32,
    alpha: u32,
    means: u32,
    number: u32,   // differs between any two windows
    scale: u32,    // where in `la_factors` too
    shapes: u32,   // where the segments' shapes start in `la_table`
}

const LA_TENSOR_ALIGN = 32u;

@group(1) @binding(0) var<uniform> la_window: La_Window;
@group(1) @binding(3) var<storage, read> la_table: array<u32>;

// `la_table` gives every block its segment, a run of one tensor's values with no gap.
const LA_SEGMENT = 8u; // words: first vec4, values, weights, gradients, tensor, the tensor's value, row length, row

fn la_segment_of(i: u32) -> u32 {
    return la_window.segments + LA_SEGMENT * la_table[(i - la_window.first) / LA_TENSOR_ALIGN];
}

fn la_tensor_of(i: u32) -> u32 {
    return la_table[la_segment_of(i) + 4u];
}
