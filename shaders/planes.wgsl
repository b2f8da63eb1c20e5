// What the optimizer keeps for each weight besides the weights: planes of `la_window.stride` vec4s, side by side.
@group(2) @binding(0) var<storage, read_write> la_planes: array<vec4f>;

fn la_plane(index: u32, i: u32) -> u32 {
    return index * la_window.stride + i;
}
