// swap of adam, Borrowed, Some(Maintain)
// Exchanges the weights with the slow ones or with the average, in place and without losing a bit of either: for
// evaluation in the buffers that the model's kernels are bound to.

// Where the values of a window lie, and how they are loaded and stored.

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

// What rules may use besides WGSL's own, and kernels do. WGSL leaves open what `sign`, `min`, `max` and `clamp`
// give for a NaN, and hardware mostly gives a number; these give the NaN, as PyTorch's do.
fn la_is_nan(v: vec4f) -> vec4<bool> {
    return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

fn la_sign(v: vec4f) -> vec4f {
    return select(sign(v), v, la_is_nan(v));
}

fn la_min(a: vec4f, b: vec4f) -> vec4f {
    return select(select(min(a, b), b, la_is_nan(b)), a, la_is_nan(a));
}

fn la_max(a: vec4f, b: vec4f) -> vec4f {
    return select(select(max(a, b), b, la_is_nan(b)), a, la_is_nan(a));
}

fn la_clamp(v: vec4f, low: vec4f, high: vec4f) -> vec4f {
    return select(clamp(v, low, high), v, la_is_nan(v));
}

fn la_is_not_finite(v: vec4f) -> vec4<bool> {
    return (bitcast<vec4u>(v) & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
}

// Weights and gradients in somebody else's buffers.
@group(1) @binding(1) var<storage, read_write> la_weights: array<f32>;

@group(1) @binding(2) var<storage, read> la_gradients: array<u32>;

fn la_gradient_word(at: u32) -> u32 {
    return la_gradients[at];
}

fn la_gradient_value(at: u32) -> f32 {
    return bitcast<f32>(la_gradient_word(at));
}

struct La_Place {
    weights: u32,   // where the four values start in the bound weights
    gradients: u32, // and in the bound gradients
    lanes: u32,     // how many of the four are the tensor's; the others are padding
}

fn la_locate(i: u32) -> La_Place {
    let at = la_segment_of(i);
    let skip = 4u * (i - la_table[at]);
    let left = max(la_table[at + 1u], skip) - skip;
    return La_Place(la_table[at + 2u] + skip, la_table[at + 3u] + skip, min(left, 4u));
}

fn la_load_weights(at: La_Place) -> vec4f {
    var w = vec4f();
    if at.lanes > 0u { w.x = la_weights[at.weights]; }
    if at.lanes > 1u { w.y = la_weights[at.weights + 1u]; }
    if at.lanes > 2u { w.z = la_weights[at.weights + 2u]; }
    if at.lanes > 3u { w.w = la_weights[at.weights + 3u]; }
    return w;
}

fn la_store_weights(at: La_Place, w: vec4f) {
    if at.lanes > 0u { la_weights[at.weights] = w.x; }
    if at.lanes > 1u { la_weights[at.weights + 1u] = w.y; }
    if at.lanes > 2u { la_weights[at.weights + 2u] = w.z; }
    if at.lanes > 3u { la_weights[at.weights + 3u] = w.w; }
}

fn la_load_gradient(at: La_Place) -> vec4f {
    var g = vec4f();
    if at.lanes > 0u { g.x = la_gradient_value(at.gradients); }
    if at.lanes > 1u { g.y = la_gradient_value(at.gradients + 1u); }
    if at.lanes > 2u { g.z = la_gradient_value(at.gradients + 2u); }
    if at.lanes > 3u { g.w = la_gradient_value(at.gradients + 3u); }
    return g;
}

// What the optimizer keeps for each weight besides the weights: planes of `la_window.stride` vec4s, side by side. The
// rule's state comes first.
@group(2) @binding(0) var<storage, read_write> la_planes: array<vec4f>;

const LA_SLOTS = 2u;
const LA_OUTER_AT = 2u;
const LA_FISHER_AT = 2u;
const LA_CURVATURE_AT = 1u;
const LA_AVERAGE_AT = 2u;
const LA_ACCUMULATED_AT = 2u;

fn la_plane(index: u32, i: u32) -> u32 {
    return index * la_window.stride + i;
}

@group(2) @binding(1) var<storage, read_write> la_slow: array<vec4f>;

override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_swap(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= la_window.count {
        return;
    }
    let i = la_window.first + id.x;
    let place = la_locate(i);
    let w = la_load_weights(place);
    let other = la_slow[i];
    la_slow[i] = w;
    la_store_weights(place, other);
}
