// What the second pass of a reduction reads and writes: ranges of partial sums (a row's, a tensor's, a group's
// or all), and a factor for each.
struct La_Range {
    first: u32,
    count: u32,
    settings: vec2f, // of `conclude`
}

@group(0) @binding(0) var<storage, read> la_ranges: array<La_Range>;
@group(0) @binding(1) var<storage, read> la_partials: array<La_Sum>;
@group(0) @binding(2) var<storage, read_write> la_factors: array<f32>;
@group(0) @binding(3) var<storage, read_write> la_results: array<vec2f>;
@group(0) @binding(4) var<uniform> la_place: vec4u; // x: where the first range's factor goes
