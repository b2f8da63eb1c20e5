// swap of adam, Borrowed(Vec4), Some(Maintain)
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

// A thread takes a copy of this, too.
@group(1) @binding(0) var<uniform> la_told_window: La_Window;
var<private> la_window: La_Window;

fn la_take_window() {
    la_window = la_told_window;
}

@group(1) @binding(3) var<storage, read> la_table: array<u32>;

// `la_table` gives every block its segment, a run of one tensor's values with no gap.
// words: first vec4, values, weights, gradients, tensor, the tensor's value, row length, row, and of several pairs of buffers which
const LA_SEGMENT = 8u;

// The vec4 with which a thread enters a segment, the segment's place in `la_table`, and the number of the vec4's first
// value in its tensor.
var<private> la_entered: u32;
var<private> la_segment: u32;
var<private> la_value: u32;

// To be called before what hangs on the segment, which serves for the vec4s behind this one in it.
fn la_enter(i: u32) {
    la_entered = i;
    la_segment = la_window.segments + LA_SEGMENT * la_table[(i - la_window.first) / LA_TENSOR_ALIGN];
    la_value = la_table[la_segment + 5u] + 4u * (i - la_table[la_segment]);
    la_enter_place();
}

fn la_tensor() -> u32 {
    return la_table[la_segment + 4u];
}

// How far the values of a vec4 are from where the segment was entered.
fn la_distance(i: u32) -> vec4u {
    return vec4u(4u * (i - la_entered)) + vec4u(0u, 1u, 2u, 3u);
}

// a / b where a is less than b + 2^18: whole numbers small enough for f32's rounding, or 0 and 1. Few devices divide
// whole numbers well.
fn la_quotients(a: vec4u, b: u32) -> vec4u {
    let found = vec4u((vec4f(a) + 0.5) * (1.0 / f32(b)));
    return select(found, select(vec4u(0u), vec4u(1u), a >= vec4u(b)), b > 0x40000u);
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

// Weights and gradients in somebody else's buffers, as La_Weight and La_Gradient.
@group(1) @binding(1) var<storage, read_write> la_weights: array<La_Weight>;

fn la_bound_weights(at: u32) -> La_Weight {
    return la_weights[at];
}

fn la_set_weights(at: u32, value: La_Weight) {
    la_weights[at] = value;
}

@group(1) @binding(2) var<storage, read> la_gradients: array<La_Gradient>;

fn la_bound_gradients(at: u32) -> La_Gradient {
    return la_gradients[at];
}

// Where four values lie in them.
struct La_Place {
    weights: u32,   // where they start in the bound weights
    gradients: u32, // and in the bound gradients
    lanes: u32,     // how many of the four are the tensor's; the others are padding
}

// Where the segment was entered, and how many values are left of it from there on.
var<private> la_weights_at: u32;
var<private> la_gradients_at: u32;
var<private> la_left: u32;

fn la_enter_place() {
    let skip = 4u * (la_entered - la_table[la_segment]);
    la_weights_at = la_table[la_segment + 2u] + skip;
    la_gradients_at = la_table[la_segment + 3u] + skip;
    la_left = max(la_table[la_segment + 1u], skip) - skip;
}

// In values.
fn la_locate(i: u32) -> La_Place {
    let skip = 4u * (i - la_entered);
    return La_Place(la_weights_at + skip, la_gradients_at + skip, min(max(la_left, skip) - skip, 4u));
}

// Four values at a time: each tensor starts at a multiple of them, and the four that its last is in are bound too. They are
// words, since what lies behind a tensor is stored again as it was, whatever it stands for.
alias La_Weight = vec4u;
alias La_Gradient = vec4u;

fn la_gradient_words(at: u32) -> La_Gradient {
    return la_bound_gradients(at);
}

fn la_load_gradient(place: La_Place) -> vec4f {
    return bitcast<vec4f>(la_gradient_words(place.gradients / 4u));
}

// What the last load found: a store is at the same place, and puts back what is not the tensor's.
var<private> la_found: vec4u;

fn la_load_weights(place: La_Place) -> vec4f {
    la_found = la_bound_weights(place.weights / 4u);
    return bitcast<vec4f>(la_found);
}

fn la_store_weights(place: La_Place, w: vec4f) {
    if place.lanes > 0u {
        let is_own = vec4u(0u, 1u, 2u, 3u) < vec4u(place.lanes);
        la_set_weights(place.weights / 4u, select(la_found, bitcast<vec4u>(w), is_own));
    }
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
fn la_swap(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    la_take_window();
    let first = (group.x * LA_WORKGROUP + local) * 1u;
    la_enter(la_window.first + first);
    la_swap_at(first + 0u);
}

fn la_swap_at(at: u32) {
    if at >= la_window.count {
        return;
    }
    let i = la_window.first + at;
    let place = la_locate(i);
    let w = la_load_weights(place);
    let other = la_slow[i];
    la_slow[i] = w;
    la_store_weights(place, other);
}
