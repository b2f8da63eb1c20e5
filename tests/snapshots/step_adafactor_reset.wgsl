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

// One inner step of a window, with the Lookahead sync fused into the k-th: one thread a vec4.

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

// One slot of the control ring holds both blocks.
@group(0) @binding(0) var<uniform> control: La_Control;
@group(0) @binding(1) var<uniform> hyper: Hyper;

// What almost every step does is known when its pipeline is made; 0 where it is not. Some drivers pay for
// the side of a branch that is not taken.
override LA_FLAGS: u32 = 0u;

fn la_does(what: u32) -> bool {
    return (select(control.flags, LA_FLAGS, LA_FLAGS != 0u) & what) != 0u;
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

// Weights and gradients in somebody else's buffers.
@group(1) @binding(1) var<storage, read_write> la_weights: array<f32>;

// Both side by side in one: WebGPU forbids a read and a read_write binding of one buffer in one dispatch, and
// overlapping ones, so it is bound once.
fn la_gradient_word(at: u32) -> u32 {
    return bitcast<u32>(la_weights[at]);
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

// The gradient over the root of its second moment. Of a matrix only the means of its squares by row and by
// column are kept, and their product over the mean of all stands for the square itself; a tensor of more
// dimensions is a batch of matrices, and of one that is not factored each value is a row of its own.
const LA_SHAPE = 10u; // words: values; rows, their block and stride; columns (0: none), block, stride; means, ...

// The place of values in a tensor that lacks a dimension, which has this stride and with it this block.
fn la_without(value: vec4u, block: u32, stride: u32) -> vec4u {
    return value / block * stride + value % stride;
}

fn la_roots(start: u32, index: vec4u) -> vec4f {
    let at = start + index;
    return sqrt(vec4f(la_factors[at.x], la_factors[at.y], la_factors[at.z], la_factors[at.w]));
}

fn la_over_root(i: u32, g: vec4f) -> vec4f {
    let at = la_segment_of(i);
    let shape = la_window.shapes + (at - la_window.segments) / LA_SEGMENT * LA_SHAPE;
    let value = vec4u(la_table[at + 5u] + 4u * (i - la_table[at])) + vec4u(0u, 1u, 2u, 3u);
    let inside = min(value, vec4u(la_table[shape] - 1u)); // padding has no moment
    let row = la_without(inside, la_table[shape + 2u], la_table[shape + 3u]);
    let by_row = la_roots(la_table[shape + 1u], row);
    if la_table[shape + 4u] == 0u {
        return g / by_row;
    }
    let column = la_without(inside, la_table[shape + 5u], la_table[shape + 6u]);
    let batch = la_without(row, la_table[shape + 8u], la_table[shape + 9u]);
    // In this order nothing leaves the range of f32 where a whole row or column has no gradient.
    return g * (la_roots(la_table[shape + 7u], batch) / by_row) / la_roots(la_table[shape + 4u], column);
}

// What the rule is given: the tensor's clipping and scale in it.
fn la_normalise(i: u32, g: vec4f) -> vec4f {
    return la_factors[la_window.scale + la_tensor_of(i)] * la_over_root(i, g);
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

fn la_init(i: u32, before: vec4f) {
    la_store_slow(i, before);
}

fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !la_does(LA_INIT) {
        phi = la_load_slow(i);
    }
    let synced = outer(phi, after, la_pull(i));
    la_store_slow(i, synced);
    return synced;
}

override LA_WORKGROUP: u32;

@compute @workgroup_size(LA_WORKGROUP)
fn la_step(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= la_window.count || !la_does(~0u) {
        return;
    }
    let i = la_window.first + id.x;
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
