// Stochastic gradient descent, without momentum.
fn update(w: vec4f, g: vec4f) -> vec4f {
    return w - control.lr * g;
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

struct Hyper {
    none: f32, // the rule has no hyperparameters of its own
}

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

fn la_enter(i: u32) {}

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

// Weights in the flat layout's own buffers, and the gradients too.
@group(1) @binding(1) var<storage, read_write> la_weights: array<vec4f>;

alias La_Place = u32;

fn la_locate(i: u32) -> La_Place {
    return i;
}

fn la_load_weights(at: La_Place) -> vec4f {
    return la_weights[at];
}

fn la_store_weights(at: La_Place, w: vec4f) {
    la_weights[at] = w;
}

@group(1) @binding(2) var<storage, read> la_gradients: array<vec4f>;

fn la_load_gradient(at: La_Place) -> vec4f {
    return la_gradients[at];
}

// What the optimizer keeps for each weight besides the weights: planes of `la_window.stride` vec4s, side by side. The
// rule's state comes first.
@group(2) @binding(0) var<storage, read_write> la_planes: array<vec4f>;

const LA_SLOTS = 0u;
const LA_OUTER_AT = 0u;
const LA_FISHER_AT = 0u;
const LA_CURVATURE_AT = 0u;
const LA_AVERAGE_AT = 3u;
const LA_ACCUMULATED_AT = 3u;

fn la_plane(index: u32, i: u32) -> u32 {
    return index * la_window.stride + i;
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

// Weights after the step with this gradient; the state is loaded.
fn la_inner(i: u32, w: vec4f, gradient: vec4f) -> vec4f {
    let g = gradient + control.l2 * w;
    return update(w - control.shrink * w, g);
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

// The iterates of a cycle that Anderson acceleration combines, the oldest one first, in planes of their own.
const LA_COLUMNS = 3u;
const LA_ITERATES_AT = 0u;
const LA_KEEP = 65536u; // a bit of the control's flags

fn la_keep_iterate(i: u32, weights: vec4f) {
    la_planes[la_plane(LA_ITERATES_AT + ((control.flags >> 24u) & 7u), i)] = weights;
}

// 1 - alpha, or of an adaptive alpha what was found; the fixed one where none could be found.
fn la_pull(i: u32) -> f32 {
    return control.one_minus_alpha;
}

fn la_outer(i: u32, phi: vec4f, theta: vec4f) -> vec4f {
    return outer(phi, theta, la_pull(i));
}

// Anderson acceleration's slow weights: the weights theta and how far they lie from each iterate, by w_0 = (1 - alpha) c_0 and
// w_j = alpha c_(j-1) + (1 - alpha) c_j; Lookahead's where there are no coefficients.
fn la_accelerated(i: u32, phi: vec4f, theta: vec4f) -> vec4f {
    let one_minus_alpha = la_pull(i);
    let at = la_window.alpha;
    var is_found = false;
    var moved = vec4f();
    var last = 0.0;
    let iterate_0 = la_planes[la_plane(LA_ITERATES_AT + 0u, i)];
    let coefficient_0 = la_factors[at + 0u];
    moved += ((1.0 - one_minus_alpha) * last + one_minus_alpha * coefficient_0) * (iterate_0 - theta);
    is_found = is_found || coefficient_0 != 0.0;
    last = coefficient_0;
    let iterate_1 = la_planes[la_plane(LA_ITERATES_AT + 1u, i)];
    let coefficient_1 = la_factors[at + 1u];
    moved += ((1.0 - one_minus_alpha) * last + one_minus_alpha * coefficient_1) * (iterate_1 - theta);
    is_found = is_found || coefficient_1 != 0.0;
    last = coefficient_1;
    let iterate_2 = la_planes[la_plane(LA_ITERATES_AT + 2u, i)];
    let coefficient_2 = la_factors[at + 2u];
    moved += ((1.0 - one_minus_alpha) * last + one_minus_alpha * coefficient_2) * (iterate_2 - theta);
    is_found = is_found || coefficient_2 != 0.0;
    last = coefficient_2;
    is_found = is_found && !la_does(LA_FIXED);
    return select(outer(phi, theta, one_minus_alpha), theta + moved, is_found);
}

fn la_init(i: u32, before: vec4f) {
    la_store_slow(i, before);
}

fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !la_does(LA_INIT) {
        phi = la_load_slow(i);
    }
    let synced = la_accelerated(i, phi, after);
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
    if la_does(LA_KEEP) {
        la_keep_iterate(i, before);
    }
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
