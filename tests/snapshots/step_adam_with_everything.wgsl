// Adam, as torch.optim.Adam; AdamW is the same after its decoupled decay:
//   m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
//   w <- w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// state: m, the first moment; v, the second.
struct Hyper {
    bias1: f32,      // 1 / (1 - beta1^t)
    beta1: f32,
    rest1: f32,      // 1 - beta1, rounded once: f32(1) - f32(beta) is off by 5e-5 at 0.999
    beta2: f32,
    rest2: f32,      // 1 - beta2
    bias2: f32,      // 1 / sqrt(1 - beta2^t)
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.beta1 * state[0] + hyper.rest1 * g;
    let v = hyper.beta2 * state[1] + hyper.rest2 * g * g;
    state[0] = m;
    state[1] = v;
    return w - (control.lr * hyper.bias1) * m / (sqrt(v) * hyper.bias2 + hyper.eps);
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
    guard: array<vec4u, 4>,     // read by the guard alone
    transforms: array<vec4f, 4>, // the coefficients of the listed transformations
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
    la_enter_rows();
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

// Both in one, too far apart for one binding: WebGPU allows two bindings of one buffer in one dispatch where both are
// read_write and do not overlap.
@group(1) @binding(2) var<storage, read_write> la_gradients: array<La_Gradient>;

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

// Value by value: a tensor may start at any.
alias La_Weight = f32;
alias La_Gradient = u32;

fn la_gradient_word(at: u32) -> u32 {
    return la_bound_gradients(at);
}

// Two values a word.
fn la_gradient_value(at: u32) -> f32 {
    let word = la_gradient_word(at / 2u);
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, at % 2u == 1u));
}

// Padding takes the last value again.
fn la_four(at: u32, lanes: u32) -> vec4u {
    return vec4u(at) + min(vec4u(0u, 1u, 2u, 3u), vec4u(max(lanes, 1u) - 1u));
}

fn la_load_weights(place: La_Place) -> vec4f {
    let at = la_four(place.weights, place.lanes);
    return vec4f(la_bound_weights(at.x), la_bound_weights(at.y), la_bound_weights(at.z), la_bound_weights(at.w));
}

fn la_load_gradient(place: La_Place) -> vec4f {
    let at = la_four(place.gradients, place.lanes);
    return vec4f(la_gradient_value(at.x), la_gradient_value(at.y), la_gradient_value(at.z), la_gradient_value(at.w));
}

fn la_store_weights(place: La_Place, w: vec4f) {
    if place.lanes > 0u { la_set_weights(place.weights, w.x); }
    if place.lanes > 1u { la_set_weights(place.weights + 1u, w.y); }
    if place.lanes > 2u { la_set_weights(place.weights + 2u, w.z); }
    if place.lanes > 3u { la_set_weights(place.weights + 3u, w.w); }
}

// What the optimizer keeps for each weight besides the weights: planes of `la_window.stride` vec4s, side by side. The
// rule's state comes first.
@group(2) @binding(0) var<storage, read_write> la_planes: array<vec4f>;

const LA_SLOTS = 2u;
const LA_OUTER_AT = 4u;
const LA_FISHER_AT = 5u;
const LA_CURVATURE_AT = 1u;
const LA_AVERAGE_AT = 5u;
const LA_ACCUMULATED_AT = 6u;

fn la_plane(index: u32, i: u32) -> u32 {
    return index * la_window.stride + i;
}

// The gradient: as it lies there, then transformed, one transformation after the other.
// A step takes the sum of several micro-batches' gradients: all but the last lie in a plane, or all of them.
fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_planes[la_plane(LA_ACCUMULATED_AT, i)] + select(la_load_gradient(place), vec4f(), la_does(LA_ACCUMULATED));
}

// The number of a vec4's first value in its tensor.
fn la_value_of(i: u32) -> u32 {
    return la_value + 4u * (i - la_entered);
}

var<private> la_row_length: u32; // 0: the tensor has no rows
var<private> la_row: u32;        // the row of the value at which the segment was entered: its mean in `la_factors`
var<private> la_row_begun: u32;  // values of the row before that

fn la_enter_rows() {
    la_row_length = la_table[la_segment + 6u];
    let length = max(la_row_length, 1u);
    let row = la_value / length;
    la_row = la_window.means + la_table[la_segment + 7u] + row;
    la_row_begun = la_value - row * length;
}

// The mean of each value's row; 0 where it has none.
fn la_row_means(i: u32) -> vec4f {
    let rows = vec4u(la_row) + la_quotients(vec4u(la_row_begun) + la_distance(i), max(la_row_length, 1u));
    let row = min(rows, vec4u(arrayLength(&la_factors) - 1u)); // padding has no row
    // Rows have two values or more: the third is in the second's or in the last one's.
    let first = la_factors[row.x];
    let second = la_factors[row.y];
    let last = la_factors[row.w];
    let means = vec4f(first, second, select(last, second, row.z == row.y), last);
    return select(means, vec4f(), la_row_length == 0u);
}

// Gradient centralisation (Yong et al., 2020): less the mean over all dimensions but the first.
fn la_centralise(g: vec4f, reduced: vec4f) -> vec4f {
    return g - reduced;
}

fn la_after_centralise(i: u32, place: La_Place) -> vec4f {
    return la_centralise(la_raw_gradient(i, place), la_row_means(i));
}

// Of the sum of the micro-batches, times the loss scale, the mean; its negative where the objective is maximised.
fn la_unscale(g: vec4f, coefficients: vec4f) -> vec4f {
    return coefficients.x * g;
}

fn la_after_unscale(i: u32, place: La_Place) -> vec4f {
    return la_unscale(la_after_centralise(i, place), vec4f(control.gradient_scale));
}

// By the norm of the whole model, or of each tensor. reduced: min(1, bound / (norm + 1e-6)).
fn la_clip_by_norm(g: vec4f, reduced: vec4f) -> vec4f {
    return la_times(reduced.x, g);
}

fn la_after_clip_by_norm(i: u32, place: La_Place) -> vec4f {
    return la_clip_by_norm(la_after_unscale(i, place), vec4f(la_factors[la_window.clip + la_tensor()]));
}

// Annealed Gaussian noise (Neelakantan et al., 2015): g + N(0, s^2), s^2 = eta / (1 + step)^gamma.
// coefficients: sqrt(eta), gamma / 2, and the seed's lower and upper 16 bits.

fn la_noise_mixed(bits: vec4u) -> vec4u {
    var v = bits;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// Random bits by number, not by sequence: pcg4d (Jarzynski and Olano, "Hash functions for GPU rendering", 2020).
fn la_noise_bits(number: vec4u) -> vec4u {
    var v = number * 1664525u + vec4u(1013904223u);
    v = la_noise_mixed(v);
    return la_noise_mixed(v ^ (v >> vec4u(16u)));
}

// From uniform numbers in (-1, 1): sqrt(2) times the inverse error function (Giles, "Approximating the erfinv function",
// 2010), whose polynomials are the same on all hardware, as its sines would not be.
fn la_noise_normal(u: vec4f) -> vec4f {
    let w = -log((1.0 - u) * (1.0 + u));
    let a = w - 2.5;
    var near = 2.81022636e-8 * a + 3.43273939e-7;
    near = near * a - 3.5233877e-6;
    near = near * a - 4.39150654e-6;
    near = near * a + 2.1858087e-4;
    near = near * a - 1.25372503e-3;
    near = near * a - 4.17768164e-3;
    near = near * a + 0.246640727;
    near = near * a + 1.50140941;
    let b = sqrt(w) - 3.0;
    var far = -2.00214257e-4 * b + 1.00950558e-4;
    far = far * b + 1.34934322e-3;
    far = far * b - 3.67342844e-3;
    far = far * b + 5.73950773e-3;
    far = far * b - 7.6224613e-3;
    far = far * b + 9.43887047e-3;
    far = far * b + 1.00167406;
    far = far * b + 2.83297682;
    return 1.41421356 * select(far, near, w < vec4f(5.0)) * u;
}

fn la_gradient_noise(g: vec4f, coefficients: vec4f, tensor: u32, value: u32, step: u32) -> vec4f {
    let seed = u32(coefficients.z) | (u32(coefficients.w) << 16u);
    let bits = la_noise_bits(vec4u(value, tensor, step, seed)) >> vec4u(9u);
    let normal = la_noise_normal((vec4f(bits) + 0.5) * 0x1p-22 - 1.0);
    return g + coefficients.x * pow(1.0 + f32(step), -coefficients.y) * normal;
}

fn la_after_gradient_noise(i: u32, place: La_Place) -> vec4f {
    return la_gradient_noise(la_after_clip_by_norm(i, place), control.transforms[0], la_tensor(), la_value_of(i), control.step);
}

// What the rule is given, but for its weight decay.
fn la_gradient(i: u32, place: La_Place) -> vec4f {
    return la_after_gradient_noise(i, place);
}

// The rule's inner step, and the state that it keeps: the first LA_SLOTS planes. Loads and stores are one a slot: a
// loop would index the array by a variable, and some drivers (SwiftShader) then keep it in memory: half the speed.
var<private> state: array<vec4f, LA_SLOTS>;

fn la_load_state(i: u32) {
    state[0] = la_planes[la_plane(0u, i)];
    state[1] = la_planes[la_plane(1u, i)];
}

fn la_store_state(i: u32) {
    la_planes[la_plane(0u, i)] = state[0];
    la_planes[la_plane(1u, i)] = state[1];
}

// Weights after the step with this gradient; the state is loaded.
fn la_inner(i: u32, w: vec4f, gradient: vec4f) -> vec4f {
    let g = gradient + control.l2 * w;
    return update(w - control.shrink * w, g);
}

// Lookahead: what becomes of slow weights, state and the outer step's buffers at a sync.

// Nesterov outer momentum (DiLoCo, SNOO): b <- mu b + d;   phi <- phi - alpha (d + mu b),   d = phi - theta.
// outer_state: b.   control.outer: mu
fn outer(phi: vec4f, theta: vec4f, one_minus_alpha: f32) -> vec4f {
    let b = control.outer.x * outer_state[0] + (phi - theta);
    outer_state[0] = b;
    return theta + one_minus_alpha * (phi - theta) - ((1.0 - one_minus_alpha) * control.outer.x) * b;
}

// The slow weights phi.

// Half-width formats, two values a word.

// IEEE half precision without the feature `shader-f16`. Beyond 65504 a finite value saturates.
fn la_unpack_f16(words: vec2u) -> vec4f {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn la_pack_f16(values: vec4f) -> vec2u {
    let finite = (bitcast<vec4u>(values) & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
    let v = select(values, clamp(values, vec4f(-65504.0), vec4f(65504.0)), finite);
    return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}

// bfloat16, the upper half of an f32.
fn la_unpack_bf16(words: vec2u) -> vec4f {
    return bitcast<vec4f>(vec4u(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}

fn la_join_bf16(upper: vec4u) -> vec2u {
    return vec2u((upper.x >> 16u) | (upper.y & 0xffff0000u), (upper.z >> 16u) | (upper.w & 0xffff0000u));
}

// Adds to the lower halves, carrying into the upper ones; infinities are left as they are, and a NaN stays one
// whatever its lower half.
fn la_add_below(bits: vec4u, addend: vec4u) -> vec4u {
    let finite = (bits & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
    let is_nan = (bits & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
    return select(select(bits, bits | vec4u(0x00400000u), is_nan), bits + addend, finite);
}

// To the nearest, ties to even.
fn la_pack_bf16(values: vec4f) -> vec2u {
    let bits = bitcast<vec4u>(values);
    return la_join_bf16(la_add_below(bits, vec4u(0x7fffu) + ((bits >> vec4u(16u)) & vec4u(1u))));
}

// As the copy of the weights has it.
fn la_pack(values: vec4f) -> vec2u {
    return la_pack_f16(values);
}

// Random bits by number, not by sequence: the same on every adapter and in every run. The generator is
// pcg4d (Jarzynski and Olano, "Hash functions for GPU rendering", 2020), but for taking each round's four sums at once.
fn la_pcg4d(seed: vec4u) -> vec4u {
    var v = seed * 1664525u + vec4u(1013904223u);
    v += v.yzxy * v.wxyz;
    v ^= v >> vec4u(16u);
    v += v.yzxy * v.wxyz;
    return v;
}

// Up or down at random, so that the mean is exact. `number` differs between any two vec4s of a step.
fn la_pack_bf16_at_random(values: vec4f, number: u32, window_number: u32) -> vec2u {
    let bits = la_pcg4d(vec4u(number, control.step, window_number, 0x9e3779b9u)) >> vec4u(16u);
    return la_join_bf16(la_add_below(bitcast<vec4u>(values), bits));
}

@group(2) @binding(1) var<storage, read_write> la_slow: array<vec2u>;

fn la_load_slow(i: u32) -> vec4f {
    return la_unpack_bf16(la_slow[i]);
}

fn la_store_slow(i: u32, phi: vec4f) {
    la_slow[i] = la_pack_bf16_at_random(phi, i, la_window.number);
}

// 1 - alpha, or of an adaptive alpha what was found; the fixed one where none could be found.
fn la_pull(i: u32) -> f32 {
    let alpha = la_factors[la_window.alpha + la_tensor()];
    return select(1.0 - alpha, control.one_minus_alpha, alpha <= 0.0 || la_does(LA_FIXED));
}

// The outer step's buffers, zero at the seed.
var<private> outer_state: array<vec4f, 1>;

fn la_load_outer(i: u32) {
    outer_state[0] = select(la_planes[la_plane(LA_OUTER_AT + 0u, i)], vec4f(), la_does(LA_INIT));
}

fn la_store_outer(i: u32) {
    la_planes[la_plane(LA_OUTER_AT + 0u, i)] = outer_state[0];
}

fn la_outer(i: u32, phi: vec4f, theta: vec4f) -> vec4f {
    la_load_outer(i);
    let synced = outer(phi, theta, la_pull(i));
    la_store_outer(i);
    return synced;
}

fn la_init(i: u32, before: vec4f) {
    la_store_slow(i, before);
    la_load_outer(i);
    la_store_outer(i);
}

fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !la_does(LA_INIT) {
        phi = la_load_slow(i);
    }
    let synced = la_outer(i, phi, after);
    la_store_slow(i, synced);
    la_sync_state(i);
    return synced;
}

// Policy interpolate: a slow copy of every slot, in the planes after them, moves by alpha, and the slot restarts there.
fn la_sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    let at = la_plane(LA_SLOTS + slot, i);
    let synced = value + la_pull(i) * (la_planes[at] - value);
    la_planes[at] = synced;
    return synced;
}

fn la_sync_state(i: u32) {
    state[0] = la_sync_slot(0u, i, state[0]);
    state[1] = la_sync_slot(1u, i, state[1]);
}

// A copy of the weights for the model's kernels.
@group(3) @binding(0) var<storage, read_write> la_half_weights: array<vec2u>;

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
    // All but the last micro-batch only add their gradient to a plane.
    if la_does(LA_ACCUMULATE) {
        let at = la_plane(LA_ACCUMULATED_AT, i);
        la_planes[at] = select(la_planes[at], vec4f(), la_does(LA_FRESH)) + la_load_gradient(place);
        return;
    }
    let before = la_load_weights(place);
    var after = before;
    la_load_state(i);
    if la_does(LA_UPDATE) {
        let g = la_gradient(i, place);
        after = la_inner(i, before, g);
    }
    if la_does(LA_SYNC) {
        after = la_sync(i, before, after);
    } else if la_does(LA_INIT) {
        la_init(i, before);
    }
    // An average of the weights, which nothing reads back: mean <- mean + weight (w - mean).
    if la_does(LA_AVERAGE) {
        let at = la_plane(LA_AVERAGE_AT, i);
        la_planes[at] = select(la_planes[at] + control.average_weight * (after - la_planes[at]), after, control.average_weight == 1.0);
    }
    la_store_weights(place, after);
    la_store_state(i);
    la_half_weights[i] = la_pack(after);
}
