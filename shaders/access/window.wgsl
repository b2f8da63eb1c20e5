// One dispatch's part of the flat layout, in vec4s. A block is 16 vec4s (64 values, 256 bytes): every
// tensor starts at one.
struct Window {
    first: u32,    // the dispatch's first vec4 in the window
    count: u32,    // how many vec4s it covers
    stride: u32,   // vec4s between two state slots
    segments: u32, // where the segments start in `table`
}

const BLOCK = 16u;

@group(1) @binding(0) var<uniform> window: Window;
@group(1) @binding(3) var<storage, read> table: array<u32>;
