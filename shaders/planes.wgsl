// What the optimizer keeps for each weight besides the weights: planes of `window.stride` vec4s, side by side.
@group(2) @binding(0) var<storage, read_write> planes: array<vec4f>;

fn plane(index: u32, i: u32) -> u32 {
    return index * window.stride + i;
}
