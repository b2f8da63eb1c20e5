// sums of adafactor, Owned, None
// Second moments, first pass: the sums of squared gradients over one dimension of a tensor. Each workgroup
// takes some of the sums over some of the dimension, and several threads each sum where threads work together.

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

@group(1) @binding(2) var<storage, read> la_gradients: array<vec4f>;

fn la_load_gradient(at: La_Place) -> vec4f {
    return la_gradients[at];
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

override LA_WORKGROUP: u32;

struct La_Task {
    shift: u32,   // where in the window the tensor's value 0 is, or would be (modulo 2^32)
    begin: u32,   // the tensor's values in the window
    end: u32,
    sum: u32,     // the first sum
    count: u32,   // how many
    lanes: u32,   // how many at once, a power of 2, or how many times four
    width: u32,   // four at once where they are always side by side in a vec4, else 1
    block: u32,   // the dimension's size times its stride
    stride: u32,
    first: u32,   // the part of the dimension
    last: u32,
    partial: u32, // where the first sum goes
}

@group(3) @binding(0) var<storage, read> la_tasks: array<La_Task>;
@group(3) @binding(1) var<storage, read_write> la_partials: array<f32>;

fn la_squares(i: u32) -> vec4f {
    let place = la_locate(i);
    var g = la_gradient(i, place);
    if control.l2 != 0.0 {
        g += control.l2 * la_load_weights(place);
    }
    return g * g;
}

// One thread's share of a sum, or of four, from `start` on: every `pace`-th value of the dimension or vec4.
fn la_share(task: La_Task, start: u32, thread: u32, pace: u32) -> vec4f {
    var total = vec4f();
    if task.stride == 1u {
        let begin = max(start + task.first, task.begin);
        let end = min(start + task.last, task.end);
        if begin >= end {
            return total;
        }
        let inside = vec2u(task.shift) + vec2u(begin, end);
        for (var i = inside.x / 4u + thread; 4u * i < inside.y; i += pace) {
            let at = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
            total += select(vec4f(), la_squares(i), (at >= vec4u(inside.x)) & (at < vec4u(inside.y)));
        }
        return vec4f(total.x + total.y + total.z + total.w, 0.0, 0.0, 0.0);
    }
    for (var j = task.first + thread; j < task.last; j += pace) {
        let value = start + j * task.stride;
        if value >= task.begin && value < task.end {
            let at = task.shift + value;
            let found = la_squares(at / 4u);
            if task.width == 4u { total += found; } else { total.x += found[at % 4u]; }
        }
    }
    return total;
}

var<workgroup> la_mine: array<vec4f, LA_WORKGROUP>;

@compute @workgroup_size(LA_WORKGROUP)
fn la_sums(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    la_take_window();
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_tasks) || !la_all_do(LA_UPDATE) {
        return;
    }
    let task = la_tasks[at];
    la_enter((task.shift + task.begin) / 4u);
    for (var done = 0u; done < task.count; done += task.lanes * task.width) {
        let number = done + local % task.lanes * task.width;
        var total = vec4f();
        if number < task.count {
            let sum = task.sum + number;
            let start = sum / task.stride * task.block + sum % task.stride;
            total = la_share(task, start, local / task.lanes, LA_WORKGROUP / task.lanes);
        }
        la_mine[local] = total;
        for (var half = LA_WORKGROUP / 2u; half >= task.lanes; half /= 2u) {
            workgroupBarrier();
            if local < half {
                la_mine[local] += la_mine[local + half];
            }
        }
        total = la_mine[local];
        if local < task.lanes && number < task.count {
            let first = task.partial + number;
            la_partials[first] = total.x;
            if task.width == 4u {
                la_partials[first + 1u] = total.y;
                la_partials[first + 2u] = total.z;
                la_partials[first + 3u] = total.w;
            }
        }
        workgroupBarrier();
    }
}
