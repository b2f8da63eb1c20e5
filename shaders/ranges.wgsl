// What the second pass of a reduction reads and writes: ranges of partial sums (a row's, a tensor's, a group's
// or all), and a factor for each.
struct Range {
    first: u32,
    count: u32,
    settings: vec2f, // of `conclude`
}

@group(0) @binding(0) var<storage, read> ranges: array<Range>;
@group(0) @binding(1) var<storage, read> partials: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> factors: array<f32>;
@group(0) @binding(3) var<storage, read_write> results: array<vec2f>;
@group(0) @binding(4) var<uniform> place: vec4u; // x: where the first range's factor goes
