// AdaFactor, as optax.adafactor; g comes divided by the root of its second moment, clipped and scaled:
//   w <- w - lr g,   lr at most 1 / sqrt(t) with a relative step
struct Hyper {
    decay: f32,      // of the second moment: the driver's
    rest: f32,       // 1 - decay: the driver's, too
    most: f32,       // the largest learning rate
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    return w - min(control.lr, hyper.most) * g;
}

// One inner step of a window, with the Lookahead sync fused into the k-th.

// What every dispatch of a step is told.
struct La_Control {
    flags: u32,                 // what to do: the bits of `flags`
    lr: f32,                    // the learning rate of the step
    one_minus_alpha: f32,       // 1 - alpha: how far the fast weights go back towards the slow ones at a sync
    clip: f32,                  // bound of each gradient value, where clipping is by value
    l2: f32,                    // weight decay added to the gradient
    shrink: f32,                // lr * decoupled weight decay
    decay: f32,                 // weight decay that is the rule's own to apply
    gradient_scale: f32,        // on the gradient: 1 / micro-batches / loss scale
    outer: vec4f,               // the outer step's coefficients
    average_weight: f32,        // what the weights weigh in the average
    step: u32,                  // the number of the step, for random bits
    fisher: vec2f,              // the empirical Fisher: how much stays, and what a squared gradient weighs
    curvature: vec2f,           // the curvature: 1 / bias correction, and eps
    initial: array<vec4f, 2>,   // the state slots' initial values
}

// Bits of its flags.
const LA_UPDATE = 1u;             // take an inner step
const LA_SYNC = 2u;               // then pull fast weights back and store them as the slow ones
const LA_INIT = 4u;               // the slow weights start as the fast weights before this step
const LA_AVERAGE = 8u;            // take the weights into the average
const LA_ACCUMULATE = 16u;        // only add the gradient to the accumulated one
const LA_FRESH = 32u;             // which starts at zero
const LA_FIXED = 64u;             // the sync has no gradient: take the fixed alpha
const LA_ACCUMULATED = 128u;      // the gradient is the accumulated one alone

// One slot of the control ring holds both blocks. A thread takes a copy before all else: some drivers load a uniform
// anew, with its checks, wherever it is read.
@group(0) @binding(0) var<uniform> la_control: La_Control;
var<private> control: La_Control;
@group(0) @binding(1) var<uniform> la_hyper: Hyper;
var<private> hyper: Hyper;

fn la_take_control() {
    control = la_control;
    hyper = la_hyper;
}

// What almost every step does is known when its pipeline is made, 0 where it is not; or at least what it may do. Some
// drivers pay for the side of a branch that is not taken.
override LA_FLAGS: u32 = 0u;
override LA_MAY: u32 = 0xffffffffu;

fn la_does(what: u32) -> bool {
    return (select(control.flags, LA_FLAGS, LA_FLAGS != 0u) & LA_MAY & what) != 0u;
}

// The same, told so that a compiler knows it of a whole workgroup: before a barrier.
fn la_all_do(what: u32) -> bool {
    return (la_control.flags & what) != 0u;
}

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
    la_enter_moments();
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

// What the reductions of a step leave for its dispatches; `la_window` says where each kind starts.
@group(2) @binding(2) var<storage, read> la_factors: array<f32>;

// v times a factor; a negative one lies below f32's range, and stands for 2^-126 times its magnitude.
// The exponents' bits are lowered: compilers may join two multiplications into one.
fn la_times(factor: f32, v: vec4f) -> vec4f {
    if (bitcast<u32>(factor) >> 31u) == 0u {
        return factor * v;
    }
    let bits = bitcast<vec4u>(v);
    let magnitude = bits & vec4u(0x7fffffffu);
    let zero = bits & vec4u(0x80000000u);
    let lowered = select(zero, bits - vec4u(0x3f000000u), magnitude >= vec4u(0x3f800000u));
    return -factor * bitcast<vec4f>(select(lowered, bits, magnitude >= vec4u(0x7f800000u)));
}

// Weights and gradients in somebody else's buffers, as La_Weight and La_Gradient.
@group(1) @binding(1) var<storage, read_write> la_weights: array<La_Weight>;

fn la_bound_weights(at: u32) -> La_Weight {
    return la_weights[at];
}

fn la_set_weights(at: u32, value: La_Weight) {
    la_weights[at] = value;
}

// Both side by side in one: WebGPU forbids a read and a read_write binding of one buffer in one dispatch, and
// overlapping ones, so it is bound once.

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
    return la_bound_weights(at);
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

// The gradient: as it lies there, then transformed, one transformation after the other.
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_load_gradient(place);
}

// Of the sum of the micro-batches, times the loss scale, the mean; its negative where the objective is maximised.
fn la_unscale(g: vec4f, coefficients: vec4f) -> vec4f {
    return coefficients.x * g;
}

fn la_after_unscale(i: u32, place: La_Place) -> vec4f {
    return la_unscale(la_raw_gradient(i, place), vec4f(control.gradient_scale));
}

// What the rule is given, but for its weight decay.
fn la_gradient(i: u32, place: La_Place) -> vec4f {
    return la_after_unscale(i, place);
}

// The rule's inner step, and the state that it keeps: the first LA_SLOTS planes. Loads and stores are one a slot: a
// loop would index the array by a variable, and some drivers (SwiftShader) then keep it in memory: half the speed.
fn la_load_state(i: u32) {}

fn la_store_state(i: u32) {}

// The gradient over the root of its second moment. Of a matrix only the means of its squares by row and by column are
// kept, and their product over the mean of all stands for the square itself; a tensor of more dimensions is a batch of
// matrices, and of one that is not factored each value is a row of its own.
const LA_SHAPE = 7u; // words: values; roots by row, block, stride; roots by column (0: the moment is whole), block, stride

// The entries of an axis, which lacks a dimension that has this stride and with it this block; `la_enter` finds that of
// the value at which the segment was entered.
struct La_Axis {
    roots: u32,
    block: u32,
    stride: u32,
    of_block: u32, // value / block * stride: the block's first entry
    begun: u32,    // value % block
    place: u32,    // value % stride
}

var<private> la_last: u32; // how far the tensor's last value is from where the segment was entered
var<private> la_by_row: La_Axis;
var<private> la_by_column: La_Axis;

// a / b of any two whole numbers, b not 0: an estimate that is not above it, what that lacks, and one more. Few devices
// divide whole numbers well.
fn la_divided(a: u32, b: u32) -> u32 {
    let inverse = 0x1.ffffep-1 / f32(b);
    var quotient = u32(f32(a) * inverse);
    quotient += u32(f32(a - quotient * b) * inverse);
    return quotient + select(0u, 1u, a - quotient * b >= b);
}

fn la_axis(shape: u32, value: u32) -> La_Axis {
    let block = max(la_table[shape + 1u], 1u);
    let stride = max(la_table[shape + 2u], 1u);
    let number = la_divided(value, block);
    let begun = value - number * block;
    let place = begun - la_divided(begun, stride) * stride;
    return La_Axis(la_table[shape], block, stride, number * stride, begun, place);
}

fn la_enter_moments() {
    let shape = la_window.shapes + (la_segment - la_window.segments) / LA_SEGMENT * LA_SHAPE;
    let last = max(la_table[shape], 1u) - 1u;
    let value = min(la_value, last); // padding has no moment
    la_last = last - value;
    la_by_row = la_axis(shape + 1u, value);
    la_by_column = la_axis(shape + 4u, value);
}

fn la_roots(axis: La_Axis, distance: vec4u) -> vec4f {
    let blocks = la_quotients(vec4u(axis.begun) + distance, axis.block);
    let places = vec4u(axis.place) + distance;
    let rest = places - axis.stride * la_quotients(places, axis.stride);
    let at = vec4u(axis.roots + axis.of_block) + axis.stride * blocks + rest;
    return vec4f(la_factors[at.x], la_factors[at.y], la_factors[at.z], la_factors[at.w]);
}

fn la_over_root(i: u32, g: vec4f) -> vec4f {
    let distance = min(la_distance(i), vec4u(la_last));
    let by_row = la_roots(la_by_row, distance);
    if la_by_column.roots == 0u {
        return g / sqrt(by_row);
    }
    return g * by_row / la_roots(la_by_column, distance);
}

// What the rule is given: the tensor's clipping and scale in it.
fn la_normalise(i: u32, g: vec4f) -> vec4f {
    return la_factors[la_window.scale + la_tensor()] * la_over_root(i, g);
}

// Weights after the step with this gradient; the state is loaded.
fn la_inner(i: u32, w: vec4f, gradient: vec4f) -> vec4f {
    let g = gradient + control.l2 * w;
    return update(w - control.shrink * w, la_normalise(i, g));
}

// Lookahead: what becomes of slow weights, state and the outer step's buffers at a sync.

// Lookahead: phi <- phi - alpha d, d = phi - theta; written so that alpha = 1 gives theta bit for bit.
fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f {
    return theta + one_minus_alpha * (phi - theta);
}

// The slow weights phi.
@group(2) @binding(1) var<storage, read_write> la_slow: array<vec4f>;

fn la_load_slow(i: u32) -> vec4f {
    return la_slow[i];
}

fn la_store_slow(i: u32, phi: vec4f) {
    la_slow[i] = phi;
}

// 1 - alpha, or of an adaptive alpha what was found; the fixed one where none could be found.
fn la_pull(i: u32) -> f32 {
    return control.one_minus_alpha;
}

fn la_outer(i: u32, phi: vec4f, theta: vec4f) -> vec4f {
    return outer(phi, theta, la_pull(i));
}

fn la_init(i: u32, before: vec4f) {
    la_store_slow(i, before);
}

fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !la_does(LA_INIT) {
        phi = la_load_slow(i);
    }
    let synced = la_outer(i, phi, after);
    la_store_slow(i, synced);
    return synced;
}

override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_step(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    la_take_control();
    la_take_window();
    let first = (group.x * LA_WORKGROUP + local) * 1u;
    la_enter(la_window.first + first);
    la_step_at(first + 0u);
}

fn la_step_at(at: u32) {
    if at >= la_window.count || !la_does(~0u) {
        return;
    }
    let i = la_window.first + at;
    let place = la_locate(i);
    let before = la_load_weights(place);
    var after = before;
    if la_does(LA_UPDATE) {
        la_load_state(i);
        let g = la_gradient(i, place);
        after = la_inner(i, before, g);
    }
    if la_does(LA_SYNC) {
        after = la_sync(i, before, after);
    } else if la_does(LA_INIT) {
        la_init(i, before);
    }
    la_store_weights(place, after);
    if la_does(LA_UPDATE) {
        la_store_state(i);
    }
}
