// residuals of sgd, Owned, Some(Maintain)
// First pass of Anderson acceleration: the dot products of all residuals over one span of one tensor each, as
// double-floats. A residual is what lies between an iterate and the next, the last of which is the weights.

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

const LA_SLOTS = 0u;
const LA_OUTER_AT = 0u;
const LA_FISHER_AT = 0u;
const LA_CURVATURE_AT = 0u;
const LA_AVERAGE_AT = 3u;
const LA_ACCUMULATED_AT = 3u;

fn la_plane(index: u32, i: u32) -> u32 {
    return index * la_window.stride + i;
}

// The iterates of a cycle that Anderson acceleration combines, the oldest one first, in planes of their own.
const LA_COLUMNS = 3u;
const LA_ITERATES_AT = 0u;
const LA_KEEP = 65536u; // a bit of the control's flags

fn la_keep_iterate(i: u32, weights: vec4f) {
    la_planes[la_plane(LA_ITERATES_AT + ((control.flags >> 24u) & 7u), i)] = weights;
}

// Double-floats: a number as the sum of two f32s that do not overlap, the larger one first, which has 48 bits.
//
// Dekker ("A floating-point technique for extending the available precision", 1971) and Knuth find what an addition or a
// multiplication lost by more of them. WGSL lets a compiler fuse and reorder these as if nothing were lost: so each
// result goes through its bits and a word that is 0 at run time, which no compiler knows, and fma, which may be a
// multiplication and an addition, is not used. What lies below 2^-126 counts as zero.
var<private> la_nothing: u32;

// x, as it was rounded.
fn la_rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ la_nothing);
}

// a + b, exactly.
fn la_exact_sum(a: f32, b: f32) -> vec2f {
    let sum = la_rounded(a + b);
    let of_b = la_rounded(sum - a);
    let of_a = la_rounded(sum - of_b);
    return vec2f(sum, la_rounded(la_rounded(a - of_a) + la_rounded(b - of_b)));
}

// The same where a is not the smaller one.
fn la_exact_sum_in_order(a: f32, b: f32) -> vec2f {
    let sum = la_rounded(a + b);
    return vec2f(sum, la_rounded(b - la_rounded(sum - a)));
}

// The first twelve bits of x, and the other twelve: products of two such halves are exact.
fn la_halves(x: f32) -> vec2f {
    let first = bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
    return vec2f(first, la_rounded(x - first));
}

// a * b, exactly.
fn la_exact_product(a: f32, b: f32) -> vec2f {
    let product = la_rounded(a * b);
    let x = la_halves(a);
    let y = la_halves(b);
    var lost = la_rounded(product - la_rounded(x.x * y.x));
    lost = la_rounded(lost - la_rounded(x.y * y.x));
    lost = la_rounded(lost - la_rounded(x.x * y.y));
    return vec2f(product, la_rounded(la_rounded(x.y * y.y) - lost));
}

// a + b, to about 2^-46 of the larger one.
fn la_double_sum(a: vec2f, b: vec2f) -> vec2f {
    let sum = la_exact_sum(a.x, b.x);
    return la_exact_sum_in_order(sum.x, la_rounded(sum.y + la_rounded(a.y + b.y)));
}

// a * b, to about 2^-45 of it.
fn la_double_product(a: vec2f, b: vec2f) -> vec2f {
    let product = la_exact_product(a.x, b.x);
    let cross = la_rounded(la_rounded(a.x * b.y) + la_rounded(a.y * b.x));
    return la_exact_sum_in_order(product.x, la_rounded(product.y + cross));
}

// a / b, to about 2^-45 of it: two steps of Newton's from f32's quotient, which may be off by 2.5 ulp.
fn la_double_quotient(a: vec2f, b: vec2f) -> vec2f {
    let first = vec2f(la_rounded(a.x / b.x), 0.0);
    var rest = la_double_sum(a, -la_double_product(first, b));
    let second = vec2f(la_rounded(rest.x / b.x), 0.0);
    rest = la_double_sum(rest, -la_double_product(second, b));
    return la_double_sum(la_double_sum(first, second), vec2f(la_rounded(rest.x / b.x), 0.0));
}

struct La_Span {
    first: u32,   // the first value in the window
    end: u32,     // one past the last
    partial: u32, // where the sums go
}

@group(3) @binding(0) var<storage, read> la_spans: array<La_Span>;
// Of each span its exponent e, and the products of residuals times 2^-e: r_0 r_0, r_1 r_0, r_1 r_1, r_2 r_0, ...
@group(3) @binding(1) var<storage, read_write> la_partials: array<vec2f>;

override LA_WORKGROUP: u32;

// What LA_LANES neighbours have between them. All are to be called in uniform control flow.
const LA_LANES = 256u;

var<workgroup> la_shared: array<vec2f, LA_WORKGROUP>;

// The sum, in a fixed order; the first of them has it.
fn la_sum_of_lanes(local: u32, value: vec2f) -> vec2f {
    workgroupBarrier(); // what was shared before has been read
    la_shared[local] = value;
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_shared[local] = la_double_sum(la_shared[local], la_shared[local + half]);
        }
    }
    return la_shared[local];
}

// The largest, which all of them have.
fn la_most_of_lanes(local: u32, value: f32) -> f32 {
    workgroupBarrier();
    la_shared[local] = vec2f(value);
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_shared[local] = max(la_shared[local], la_shared[local + half]);
        }
    }
    workgroupBarrier();
    return la_shared[local - local % LA_LANES].x;
}

const LA_PRODUCTS = LA_COLUMNS * (LA_COLUMNS + 1u) / 2u;

var<private> la_iterates: array<vec4f, LA_COLUMNS + 1u>;
var<private> la_products: array<vec2f, LA_PRODUCTS>;

// What is outside the span does not move. Here and below each column has its own lines: in a loop an array would be indexed
// by a variable, and some drivers then keep it in memory.
fn la_load_iterates(i: u32, inside: vec4<bool>) {
    la_iterates[0u] = select(vec4f(), la_planes[la_plane(LA_ITERATES_AT + 0u, i)], inside);
    la_iterates[1u] = select(vec4f(), la_planes[la_plane(LA_ITERATES_AT + 1u, i)], inside);
    la_iterates[2u] = select(vec4f(), la_planes[la_plane(LA_ITERATES_AT + 2u, i)], inside);
    la_iterates[LA_COLUMNS] = select(vec4f(), la_load_weights(la_locate(i)), inside);
}

// Which of the four values are the span's.
fn la_inside(span: La_Span, i: u32) -> vec4<bool> {
    let values = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
    return (vec4u(span.first) <= values) & (values < vec4u(span.end));
}

// The bits of the largest magnitude of a residual.
fn la_largest(i: u32, inside: vec4<bool>) -> u32 {
    la_load_iterates(i, inside);
    var most = vec4u();
    most = max(most, bitcast<vec4u>(la_iterates[0u + 1u] - la_iterates[0u]) & vec4u(0x7fffffffu));
    most = max(most, bitcast<vec4u>(la_iterates[1u + 1u] - la_iterates[1u]) & vec4u(0x7fffffffu));
    most = max(most, bitcast<vec4u>(la_iterates[2u + 1u] - la_iterates[2u]) & vec4u(0x7fffffffu));
    let pairs = max(most.xy, most.zw);
    return max(pairs.x, pairs.y);
}

// A sum with one more product.
fn la_with(sum: vec2f, a: vec2f, b: vec2f) -> vec2f {
    return la_double_sum(sum, la_double_product(a, b));
}

fn la_residual(before: f32, after: f32, scale: f32) -> vec2f {
    let residual = la_exact_sum(after, -before);
    return vec2f(la_rounded(scale * residual.x), la_rounded(scale * residual.y));
}

fn la_add_products(i: u32, inside: vec4<bool>, scale: f32) {
    la_load_iterates(i, inside);
    for (var lane = 0u; lane < 4u; lane++) {
        var residuals: array<vec2f, LA_COLUMNS>;
        residuals[0u] = la_residual(la_iterates[0u][lane], la_iterates[0u + 1u][lane], scale);
        if 0u <= 0u {
            let sum = la_products[0u * (0u + 1u) / 2u + 0u];
            la_products[0u * (0u + 1u) / 2u + 0u] = la_with(sum, residuals[0u], residuals[0u]);
        }
        if 1u <= 0u {
            let sum = la_products[0u * (0u + 1u) / 2u + 1u];
            la_products[0u * (0u + 1u) / 2u + 1u] = la_with(sum, residuals[0u], residuals[1u]);
        }
        if 2u <= 0u {
            let sum = la_products[0u * (0u + 1u) / 2u + 2u];
            la_products[0u * (0u + 1u) / 2u + 2u] = la_with(sum, residuals[0u], residuals[2u]);
        }
        residuals[1u] = la_residual(la_iterates[1u][lane], la_iterates[1u + 1u][lane], scale);
        if 0u <= 1u {
            let sum = la_products[1u * (1u + 1u) / 2u + 0u];
            la_products[1u * (1u + 1u) / 2u + 0u] = la_with(sum, residuals[1u], residuals[0u]);
        }
        if 1u <= 1u {
            let sum = la_products[1u * (1u + 1u) / 2u + 1u];
            la_products[1u * (1u + 1u) / 2u + 1u] = la_with(sum, residuals[1u], residuals[1u]);
        }
        if 2u <= 1u {
            let sum = la_products[1u * (1u + 1u) / 2u + 2u];
            la_products[1u * (1u + 1u) / 2u + 2u] = la_with(sum, residuals[1u], residuals[2u]);
        }
        residuals[2u] = la_residual(la_iterates[2u][lane], la_iterates[2u + 1u][lane], scale);
        if 0u <= 2u {
            let sum = la_products[2u * (2u + 1u) / 2u + 0u];
            la_products[2u * (2u + 1u) / 2u + 0u] = la_with(sum, residuals[2u], residuals[0u]);
        }
        if 1u <= 2u {
            let sum = la_products[2u * (2u + 1u) / 2u + 1u];
            la_products[2u * (2u + 1u) / 2u + 1u] = la_with(sum, residuals[2u], residuals[1u]);
        }
        if 2u <= 2u {
            let sum = la_products[2u * (2u + 1u) / 2u + 2u];
            la_products[2u * (2u + 1u) / 2u + 2u] = la_with(sum, residuals[2u], residuals[2u]);
        }
    }
}

@compute @workgroup_size(LA_WORKGROUP)
fn la_residuals(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    la_take_window();
    la_nothing = control.flags & 2147483648u;
    let at = (group.x + group.y * groups.x) * (LA_WORKGROUP / LA_LANES) + local / LA_LANES;
    var span = La_Span();
    let is_span = at < arrayLength(&la_spans);
    if is_span {
        span = la_spans[at];
        la_enter(span.first / 4u);
    }
    // Not at all at a sync that has not all iterates.
    if !la_does(LA_SYNC) || la_does(LA_FIXED) {
        span.end = 0u;
    }
    let first = span.first / 4u + local % LA_LANES;
    var most = 0u;
    for (var i = first; 4u * i < span.end; i += LA_LANES) {
        most = max(most, la_largest(i, la_inside(span, i)));
    }
    // Biased, as f32 has it: 255 for what is not finite. A power of two with the opposite exponent is there up to 253.
    let bits = most >> 23u;
    let exponent = la_most_of_lanes(local, f32(select(bits, 253u, bits == 254u)));
    if exponent > 0.0 && exponent < 255.0 {
        let scale = bitcast<f32>((254u - u32(exponent)) << 23u);
        for (var i = first; 4u * i < span.end; i += LA_LANES) {
            la_add_products(i, la_inside(span, i), scale);
        }
    }
    let to = span.partial * (LA_PRODUCTS + 1u);
    let has_sums = is_span && local % LA_LANES == 0u;
    let sum_0 = la_sum_of_lanes(local, la_products[0u]);
    if has_sums {
        la_partials[to + 1u + 0u] = sum_0;
    }
    let sum_1 = la_sum_of_lanes(local, la_products[1u]);
    if has_sums {
        la_partials[to + 1u + 1u] = sum_1;
    }
    let sum_2 = la_sum_of_lanes(local, la_products[2u]);
    if has_sums {
        la_partials[to + 1u + 2u] = sum_2;
    }
    let sum_3 = la_sum_of_lanes(local, la_products[3u]);
    if has_sums {
        la_partials[to + 1u + 3u] = sum_3;
    }
    let sum_4 = la_sum_of_lanes(local, la_products[4u]);
    if has_sums {
        la_partials[to + 1u + 4u] = sum_4;
    }
    let sum_5 = la_sum_of_lanes(local, la_products[5u]);
    if has_sums {
        la_partials[to + 1u + 5u] = sum_5;
    }
    if has_sums {
        la_partials[to] = vec2f(exponent, 0.0);
    }
}
