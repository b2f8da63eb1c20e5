// partial Norm of adam, Owned, None
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

const LA_SLOTS = 2u;
const LA_OUTER_AT = 2u;
const LA_FISHER_AT = 2u;
const LA_CURVATURE_AT = 1u;
const LA_AVERAGE_AT = 2u;
const LA_ACCUMULATED_AT = 2u;

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

// By the norm of the whole model, or of each tensor. reduced: min(1, bound / (norm + 1e-6)).
fn la_clip_by_norm(g: vec4f, reduced: vec4f) -> vec4f {
    return la_times(reduced.x, g);
}

fn la_after_clip_by_norm(i: u32, place: La_Place) -> vec4f {
    return la_clip_by_norm(la_after_unscale(i, place), vec4f(la_factors[la_window.clip]));
}

// What the rule is given, but for its weight decay.
fn la_gradient(i: u32, place: La_Place) -> vec4f {
    return la_after_clip_by_norm(i, place);
}

// What is measured.
fn la_gradient_to_reduce(i: u32, place: La_Place) -> vec4f {
    return la_after_unscale(i, place);
}

// The gradient's norm, and whether it is finite.
alias La_Sum = vec4f;

// Sums of squares of f32s of any size, after Blue ("A portable Fortran program to find the Euclidean norm of a
// vector", 1978): vec4s are put into one of three sums by their largest magnitude, each scaled by a power of two so
// that its squares stay within range, some 2^33 of the first pass's sums of them too.
// x: from 2^-40 on; y: from 2^40 on, times 2^-90; z: below 2^-40, times 2^70; w: one for each vec4 with an infinity
// and 2^64 for each with a NaN. What lies below 2^-126 counts as zero.
// The exponents' bits are scaled: compilers may take a common factor out of a sum, and then it leaves the range.
//
// Most are within range as they are. Where the plain sum of a thread's squares is in [2^-80, 2^94), what was lost to
// underflow cannot be told from rounding, and the plain sum serves as x.
fn la_is_plain(sum: f32) -> bool {
    return sum >= 0x1p-80 && sum < 0x1p94;
}

fn la_squares_of(v: vec4f) -> vec4f {
    let bits = bitcast<vec4u>(v) & vec4u(0x7fffffffu);
    let pairs = max(bits.xy, bits.zw);
    let most = max(pairs.x, pairs.y);
    let is_small = most < 0x2b800000u;
    let is_large = most >= 0x53800000u;
    let least = select(select(0u, 0x00800000u, is_small), 0x2d800000u, is_large); // what is not 0 when scaled
    let power = select(select(0u, 0x23000000u, is_small), 0xd3000000u, is_large); // 70, or -90
    let scaled = bitcast<vec4f>(select(vec4u(), bits + vec4u(power), bits >= vec4u(least)));
    let sum = dot(scaled, scaled);
    return vec4f(
        select(sum, 0.0, is_small || is_large),
        select(0.0, sum, is_large),
        select(0.0, sum, is_small),
        select(select(0.0, 1.0, most >= 0x7f800000u), 0x1p64, most > 0x7f800000u),
    );
}

// The squares of the gradient, and whether a value of it is not finite.
fn la_measures() -> bool {
    return true;
}

fn la_gradient_inside(i: u32, inside: vec4<bool>) -> vec4f {
    return select(vec4f(), la_gradient_to_reduce(i, la_locate(i)), inside);
}

alias La_Plain = f32;

fn la_plain(i: u32, inside: vec4<bool>) -> La_Plain {
    let g = la_gradient_inside(i, inside);
    return dot(g, g);
}

fn la_serves(sum: La_Plain) -> bool {
    return la_is_plain(sum);
}

fn la_from_plain(sum: La_Plain) -> La_Sum {
    return vec4f(sum, 0.0, 0.0, 0.0);
}

fn la_measured(i: u32, inside: vec4<bool>) -> La_Sum {
    return la_squares_of(la_gradient_inside(i, inside));
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
        // Plain sums, and only where they leave their range all over again with care.
        var plain = La_Plain();
        for (var i = first; 4u * i < span.end; i += LA_LANES) {
            plain += la_plain(i, la_inside(span, i));
        }
        if la_serves(plain) {
            mine = la_from_plain(plain);
            first = span.end / 4u + 1u;
        }
        for (var i = first; 4u * i < span.end; i += LA_LANES) {
            mine += la_measured(i, la_inside(span, i));
        }
    }
    let sum = la_sum_of_lanes(local, mine);
    if is_span && local % LA_LANES == 0u {
        la_partials[span.partial] = sum;
    }
}
