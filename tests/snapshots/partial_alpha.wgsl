// partial Alpha of adam, Owned, Some(Maintain)
// First pass of a reduction: sums of what a measure gives for one span of one tensor (or row) each.

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

fn la_take_control() {
    control = la_control;
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

@group(1) @binding(2) var<storage, read> la_gradients: array<vec2u>;

fn la_load_gradient(at: La_Place) -> vec4f {
    return la_unpack_bf16(la_gradients[at]);
}

// What the optimizer keeps for each weight besides the weights: planes of `la_window.stride` vec4s, side by side. The
// rule's state comes first.
@group(2) @binding(0) var<storage, read_write> la_planes: array<vec4f>;

const LA_SLOTS = 2u;
const LA_OUTER_AT = 2u;
const LA_FISHER_AT = 3u;
const LA_CURVATURE_AT = 1u;
const LA_AVERAGE_AT = 3u;
const LA_ACCUMULATED_AT = 4u;

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

// What the adaptive alpha is found from.
alias La_Sum = vec2f;

// The slow weights phi.

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

fn la_curvature(i: u32) -> vec4f {
    let v = la_planes[la_plane(LA_CURVATURE_AT, i)];
    return sqrt(control.curvature.x * v) + control.curvature.y; // sqrt(v^) + eps, by which Adam divides
}

// g'd and d'Ad, d = theta - phi, for the adaptive slow step size.
fn la_measures() -> bool {
    return la_does(LA_SYNC);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    let place = la_locate(i);
    let w = la_load_weights(place);
    let g = control.gradient_scale * la_raw_gradient(i, place) + control.l2 * w;
    let d = select(vec4f(), w - la_load_slow(i), inside);
    return vec2f(dot(select(vec4f(), g, inside), d), dot(d, select(vec4f(), la_curvature(i), inside) * d));
}

struct La_Span {
    first: u32,   // the first value in the window
    end: u32,     // one past the last
    partial: u32, // where the sums go
}

@group(3) @binding(0) var<storage, read> la_spans: array<La_Span>;
@group(3) @binding(1) var<storage, read_write> la_partials: array<La_Sum>;

override LA_WORKGROUP: u32;

// The sums of LA_LANES neighbours each, in a fixed order; the first of them has it. To be called in uniform control flow.
const LA_LANES = 256u;

var<workgroup> la_sums: array<La_Sum, LA_WORKGROUP>;

fn la_sum_of_lanes(local: u32, value: La_Sum) -> La_Sum {
    la_sums[local] = value;
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_sums[local] += la_sums[local + half];
        }
    }
    return la_sums[local];
}

// Which of the four values are the span's.
fn la_inside(span: La_Span, i: u32) -> vec4<bool> {
    let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
    return (vec4u(span.first) <= values) & (values < vec4u(span.end));
}

// A row that several threads sum may be short, and so may a tensor: LA_WORKGROUP / LA_LANES spans a workgroup.
@compute @workgroup_size(LA_WORKGROUP)
fn la_partial(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    la_take_window();
    let at = (group.x + group.y * groups.x) * (LA_WORKGROUP / LA_LANES) + local / LA_LANES;
    let is_span = at < arrayLength(&la_spans);
    var span = La_Span();
    if is_span {
        span = la_spans[at];
    }
    var mine = La_Sum();
    if is_span && la_measures() {
        la_enter(span.first / 4u);
        var first = span.first / 4u + local % LA_LANES;
        for (var i = first; 4u * i < span.end; i += LA_LANES) {
            mine += la_measured(i, la_inside(span, i));
        }
    }
    let sum = la_sum_of_lanes(local, mine);
    if is_span && local % LA_LANES == 0u {
        la_partials[span.partial] = sum;
    }
}
