// guard
// Decides whether a step is taken, and tells the step's kernels: the schedule of src/plan/cycle.rs, kept where
// the gradient is. The host writes a slot as if no step had ever been skipped; what depends on the number of
// steps really taken is looked up in tables of what earlier slots brought. A preview tells what the step would be, for the
// update to be tried, and leaves the state as it is.

override LA_WORKGROUP: u32;

// A slot of the control ring, word for word.
@group(0) @binding(0) var<uniform> la_slot: array<vec4u, 16>;
@group(0) @binding(1) var<uniform> hyper: array<vec4u, 16>;

// Slots of the control ring, and tables.
const LA_SLOT_WORDS = 128u;       // from a slot to the next
const LA_HYPER_AT = 64u;          // where `Hyper` begins in one
const LA_ROWS = 4096u;            // of a table

// Words of a slot: of the control block,
const LA_AT_FLAGS = 0u;           // what to do: the bits of `flags`
const LA_AT_LR = 1u;              // the learning rate of the step
const LA_AT_ONE_MINUS_ALPHA = 2u; // 1 - alpha: how far the fast weights go back towards the slow ones at a sync
const LA_AT_CLIP = 3u;            // bound of each gradient value, where clipping is by value
const LA_AT_L2 = 4u;              // weight decay added to the gradient
const LA_AT_SHRINK = 5u;          // lr * decoupled weight decay
const LA_AT_DECAY = 6u;           // weight decay that is the rule's own to apply
const LA_AT_GRADIENT_SCALE = 7u;  // on the gradient: 1 / micro-batches / loss scale
const LA_AT_OUTER = 8u;           // the outer step's coefficients
const LA_AT_AVERAGE_WEIGHT = 12u; // what the weights weigh in the average
const LA_AT_STEP = 13u;           // the number of the step, for random bits
const LA_AT_FISHER = 14u;         // the empirical Fisher: how much stays, and what a squared gradient weighs
const LA_AT_CURVATURE = 16u;      // the curvature: 1 / bias correction, and eps
const LA_AT_INITIAL = 20u;        // the state slots' initial values
const LA_AT_TRANSFORMS = 44u;     // the coefficients of the listed transformations

// and of what the guard alone reads.
const LA_AT_KIND = 28u;           // the bits of `kind`
const LA_AT_GROUP = 29u;          // the group's number
const LA_AT_K = 30u;              // k of a cycle that begins now
const LA_AT_FACTOR = 31u;         // the schedule's at the step
const LA_AT_DECOUPLED = 32u;      // decoupled weight decay
const LA_AT_STEPS = 33u;          // the step, counted as if none were skipped
const LA_AT_COUNT = 34u;          // the inner step that `hyper` and the curvature are for
const LA_AT_HYPERS = 35u;         // how many members `Hyper` has
const LA_AT_RESULTS = 36u;        // how many results of the norm say whether gradients are finite
const LA_AT_GROWTH = 37u;         // what multiplies the loss scale after `interval` finite steps
const LA_AT_BACKOFF = 38u;        // and after one that was not
const LA_AT_INTERVAL = 39u;       // finite steps in a row that raise the loss scale
const LA_AT_TABLE = 40u;          // where the group's tables start, in words

// Bits of LA_AT_KIND.
const LA_UPDATES = 1u;            // the group takes inner steps
const LA_LOOKAHEAD = 2u;          // it has Lookahead
const LA_ADAPTIVE = 4u;           // with an adaptive alpha: a sync has a dispatch of its own
const LA_SYNCHRONISED = 8u;       // the gradient of the adaptive alpha is taken at theta_k
const LA_RESETS = 16u;            // a sync begins the count again
const LA_LAST = 32u;              // the last group
const LA_SYNC_NOW = 64u;          // no step, but a sync
const LA_START = 128u;            // no step, but the slow weights and the average start, or start again
const LA_INIT_SYNCED = 256u;      // no step, but the slow weights start again

// Bits of LA_AT_FLAGS.
const LA_UPDATE = 1u;             // take an inner step
const LA_SYNC = 2u;               // then pull fast weights back and store them as the slow ones
const LA_INIT = 4u;               // the slow weights start as the fast weights before this step
const LA_AVERAGE = 8u;            // take the weights into the average
const LA_ACCUMULATE = 16u;        // only add the gradient to the accumulated one
const LA_FRESH = 32u;             // which starts at zero
const LA_FIXED = 64u;             // the sync has no gradient: take the fixed alpha
const LA_ACCUMULATED = 128u;      // the gradient is the accumulated one alone

// Words of the state,
const LA_GUARD_STEPS = 0u;        // steps taken
const LA_GUARD_SKIPPED = 1u;      // steps skipped
const LA_GUARD_TRACKER = 2u;      // finite steps in a row since the loss scale changed
const LA_GUARD_UNSCALE = 4u;      // 1 / loss scale
const LA_GUARD_AVERAGE_START = 5u; // steps taken when the average was begun
const LA_GUARD_AVERAGE_SKIPPED = 6u; // steps skipped until then
const LA_GUARD_SCALE = 64u;       // the loss scale: byte 256, so that it can be bound
const LA_GUARD_GROUPS = 128u;     // where the groups begin

// and of a group in it.
const LA_GROUP_COUNT = 0u;        // inner steps since the state was initialised
const LA_GROUP_POSITION = 1u;     // steps since the last sync
const LA_GROUP_CYCLE_K = 2u;      // k of this cycle
const LA_GROUP_CYCLE_ONE_MINUS_ALPHA = 3u; // 1 - alpha of this cycle
const LA_GROUP_KEPT = 4u;         // iterates of this cycle that were kept, of which none is missing before
const LA_GROUP_WORDS = 5u;        // how many they are

// Words of the tables' rows: of a step, and of a count.
const LA_ROW_STEP = 0u;           // the step's number + 1; 0 where it has not been told
const LA_ROW_FACTOR = 1u;         // the schedule's factor
const LA_ROW_AVERAGE_WEIGHT = 2u; // what the weights weigh in the average; negative: none
const LA_ROW_STEP_WORDS = 3u;     // how many words a step's row has
const LA_ROW_COUNT = 0u;          // the count
const LA_ROW_CURVATURE = 1u;      // 1 / bias correction of the curvature
const LA_ROW_HYPER = 2u;          // the members of `Hyper`: so many words go before them

@group(1) @binding(0) var<storage, read_write> la_guard: array<u32>;
@group(1) @binding(1) var<storage, read_write> la_live: array<u32>; // two slots a group, as the ring's
@group(1) @binding(2) var<storage, read_write> la_tables: array<u32>;

// The reduction just before is concluded here, which saves a dispatch.

// Second pass of a reduction: adds the partial sums of a range (a row's, a tensor's, a group's or all), and concludes a
// factor from them.

// The gradient's norm, and whether it is finite.
alias La_Sum = vec4f;

// Numbers beyond f32's range: mantissa 2^exponent with a mantissa in [1, 2), or 0. Powers of two are applied to the
// exponent's bits: a compiler may join two of their multiplications into one that leaves the range.
struct La_Split {
    mantissa: f32,
    exponent: i32,
}

// Of a number that is finite and at least 0.
fn la_split(x: f32) -> La_Split {
    let bits = bitcast<u32>(x);
    let mantissa = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u);
    let is_zero = (bits & 0x7f800000u) == 0u;
    return La_Split(select(mantissa, 0.0, is_zero), select(i32((bits >> 23u) & 0xffu) - 127, 0, is_zero));
}

// As f32: 0 below its range, its largest number above it.
fn la_joined(x: La_Split) -> f32 {
    let bits = bitcast<u32>(x.mantissa) & 0x007fffffu;
    let power = u32(clamp(x.exponent + 127, 0, 255)) << 23u;
    let joined = select(power | bits, 0x7f7fffffu, x.exponent > 127);
    return select(bitcast<f32>(joined), 0.0, x.mantissa == 0.0 || x.exponent < -126);
}

fn la_shifted(x: La_Split, by: i32) -> La_Split {
    return La_Split(x.mantissa, select(x.exponent + by, 0, x.mantissa == 0.0));
}

fn la_product(a: La_Split, b: La_Split) -> La_Split {
    return la_shifted(la_split(a.mantissa * b.mantissa), a.exponent + b.exponent);
}

// b is not 0.
fn la_quotient(a: La_Split, b: La_Split) -> La_Split {
    return la_shifted(la_split(a.mantissa / max(b.mantissa, 1.0)), a.exponent - b.exponent);
}

// a + small, where `small` is in f32's range, and far below a where a is not.
fn la_plus(a: La_Split, small: f32) -> La_Split {
    if a.exponent > 100 {
        return a;
    }
    return la_split(la_joined(a) + small);
}

// The norm from the sums of parts/squares.wgsl, which are finite.
fn la_norm(sums: vec4f) -> La_Split {
    if sums.y > 0.0 {
        return la_shifted(la_split(sqrt(sums.y + la_joined(la_shifted(la_split(sums.x), -180)))), 90);
    }
    if sums.x > 0.0 {
        return la_split(sqrt(sums.x + la_joined(la_shifted(la_split(sums.z), -140))));
    }
    return la_shifted(la_split(sqrt(sums.z)), -70);
}

// A factor for `la_times`: negative, and times 2^126, where it lies below f32's range.
fn la_factor(x: La_Split) -> f32 {
    if x.exponent >= -126 {
        return la_joined(x);
    }
    return -la_joined(la_shifted(x, 126));
}

// An infinity or NaN of these bits, which WGSL does not take as a constant.
fn la_not_finite(bits: u32) -> f32 {
    return bitcast<f32>(bits);
}

fn la_inverse_loss_scale() -> f32 {
    return bitcast<f32>(la_guard[4]);
}

// The norm, and the factor that clips by it, as torch.nn.utils.clip_grad_norm_. settings: the largest norm, 0
// for no clipping. The results are x and y: the norm is x 2^-y, y being 0 or below where f32 does not hold it; where a
// gradient is not finite neither is x, and y is 1 for infinities, 2 for a NaN.
fn la_finalise(at: u32, settings: vec2f, sum: La_Sum) -> f32 {
    let is_nan = sum.w >= 0x1p64;
    let is_infinite = sum.w > 0.0 && !is_nan;
    let norm = la_product(la_split(la_inverse_loss_scale()), la_norm(sum));
    let beyond = max(norm.exponent - 127, 0);
    let found = vec2f(la_joined(la_shifted(norm, -beyond)), -f32(beyond));
    let not_finite = vec2f(la_not_finite(select(0x7f800000u, 0x7fc00000u, is_nan)), select(1.0, 2.0, is_nan));
    la_results[at] = select(found, not_finite, is_nan || is_infinite);
    if bitcast<u32>(settings.x) == 0u {
        return 1.0;
    }
    if is_nan || is_infinite {
        // One NaN makes all of them NaN, one infinity makes all others 0.
        return la_not_finite(select(0u, 0x7fc00000u, is_nan));
    }
    let factor = la_quotient(la_split(settings.x), la_plus(norm, 1e-6));
    return min(1.0, la_factor(factor));
}

struct La_Range {
    first: u32,
    count: u32,
    settings: vec2f, // of `la_finalise`
}

@group(2) @binding(0) var<storage, read> la_ranges: array<La_Range>;
@group(2) @binding(1) var<storage, read> la_partials: array<La_Sum>;
@group(2) @binding(2) var<storage, read_write> la_factors: array<f32>;
@group(2) @binding(3) var<storage, read_write> la_results: array<vec2f>;
@group(2) @binding(4) var<uniform> la_place: vec4u; // x: where the first range's factor goes

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

// Concludes range `at`, if there is one, by LA_LANES threads. To be called in uniform control flow.
fn la_conclude(at: u32, local: u32) {
    let is_range = at < arrayLength(&la_ranges);
    var range = La_Range();
    if is_range {
        range = la_ranges[at];
    }
    var mine = La_Sum();
    for (var j = local % LA_LANES; j < range.count; j += LA_LANES) {
        mine += la_partials[range.first + j];
    }
    let sum = la_sum_of_lanes(local, mine);
    if is_range && local % LA_LANES == 0u {
        la_factors[la_place.x + at] = la_finalise(at, range.settings, sum);
    }
}

fn la_word(index: u32) -> u32 {
    return la_slot[index / 4u][index % 4u];
}

fn la_number(index: u32) -> f32 {
    return bitcast<f32>(la_word(index));
}

fn la_norm_found(j: u32) -> vec2f {
    return la_results[j];
}

fn la_update_found() -> vec2f {
    return vec2f();
}

fn la_is_commanded() -> bool {
    return (la_word(LA_AT_KIND) & (LA_SYNC_NOW | LA_START | LA_INIT_SYNCED)) != 0u;
}

// What one thread decides, for all to write down.
struct La_Decision {
    flags: vec2u, // of the step's dispatch, and of the sync's, where it has one of its own
    lr: f32,
    average_weight: f32,
    one_minus_alpha: u32,
    gradient_scale: f32,
    steps: u32,
    row: u32,     // of the count, in the tables
}

var<workgroup> la_bad: atomic<u32>;
var<workgroup> la_decision: La_Decision;

@compute @workgroup_size(LA_WORKGROUP)
fn la_decide(@builtin(local_invocation_index) local: u32) {
    // First, so that they have arrived by the barrier.
    la_write_tables(local);
    // Of a command nothing was measured, nor of frozen weights.
    if la_word(LA_AT_RESULTS) > 0u && !la_is_commanded() {
        la_conclude(local / LA_LANES, local);
    }
    for (var j = local; j < la_word(LA_AT_RESULTS); j += LA_WORKGROUP) {
        // A norm concluded here is the only one, and read by the thread that wrote it.
        if la_norm_found(j).y > 0.0 {
            atomicStore(&la_bad, 1u);
        }
    }
    workgroupBarrier();
    storageBarrier();
    if local == 0u {
        la_decide_once(atomicLoad(&la_bad) != 0u, la_word(LA_AT_RESULTS) > 0u && la_update_found().x > 0.0);
    }
    workgroupBarrier();
    let words = LA_HYPER_AT + la_word(LA_AT_HYPERS);
    for (var j = local; j < 2u * words; j += LA_WORKGROUP) {
        la_tell(j / words, j % words);
    }
}

// Where the tables' rows of steps start, and those of counts.
fn la_by_step() -> u32 {
    return la_word(LA_AT_TABLE);
}

fn la_by_count() -> u32 {
    return la_by_step() + LA_ROW_STEP_WORDS * LA_ROWS;
}

fn la_count_row(count: u32) -> u32 {
    return la_by_count() + (la_word(LA_AT_HYPERS) + LA_ROW_HYPER) * (count % LA_ROWS);
}

// The row of a step: its number + 1, the schedule's factor, the weight in the average (negative: none). The row of a
// count: it, 1 / bias correction of the curvature, `Hyper`.
fn la_write_tables(local: u32) {
    let count_row = la_count_row(la_word(LA_AT_COUNT));
    for (var j = local; j < la_word(LA_AT_HYPERS); j += LA_WORKGROUP) {
        la_tables[count_row + LA_ROW_HYPER + j] = hyper[j / 4u][j % 4u];
    }
    if local == 0u {
        let step_row = la_by_step() + LA_ROW_STEP_WORDS * (la_word(LA_AT_STEPS) % LA_ROWS);
        la_tables[step_row + LA_ROW_STEP] = la_word(LA_AT_STEPS) + 1u;
        la_tables[step_row + LA_ROW_FACTOR] = la_word(LA_AT_FACTOR);
        la_tables[step_row + LA_ROW_AVERAGE_WEIGHT] = la_word(LA_AT_AVERAGE_WEIGHT);
        la_tables[count_row + LA_ROW_COUNT] = la_word(LA_AT_COUNT);
        la_tables[count_row + LA_ROW_CURVATURE] = la_word(LA_AT_CURVATURE);
    }
}

fn la_decide_once(gradient_is_bad: bool, update_is_bad: bool) {
    let is_bad = gradient_is_bad || update_is_bad;
    let kind = la_word(LA_AT_KIND);
    let steps = la_guard[LA_GUARD_STEPS];
    let state = LA_GUARD_GROUPS + LA_GROUP_WORDS * la_word(LA_AT_GROUP);
    let by_step = la_by_step();

    if la_guard[state + LA_GROUP_POSITION] == 0u {
        la_guard[state + LA_GROUP_CYCLE_K] = la_word(LA_AT_K);
        la_guard[state + LA_GROUP_CYCLE_ONE_MINUS_ALPHA] = la_word(LA_AT_ONE_MINUS_ALPHA);
    }
    let k = la_guard[state + LA_GROUP_CYCLE_K];
    let now = by_step + LA_ROW_STEP_WORDS * (steps % LA_ROWS);
    let commanded = la_is_commanded();
    // Too many steps were skipped for the tables: no more are taken.
    let known = la_tables[now + LA_ROW_STEP] == steps + 1u;
    // The host counts the average's steps from its own number of them.
    var average_weight = bitcast<f32>(la_tables[by_step + LA_ROW_STEP_WORDS * ((steps + la_guard[LA_GUARD_AVERAGE_SKIPPED]) % LA_ROWS) + LA_ROW_AVERAGE_WEIGHT]);
    var first = 0u;
    var second = 0u;
    var synced = false;
    var position = la_guard[state + LA_GROUP_POSITION];
    var count = la_guard[state + LA_GROUP_COUNT];
    if commanded {
        if (kind & LA_LOOKAHEAD) != 0u {
            // At the start of a cycle nothing has moved.
            synced = (kind & LA_SYNC_NOW) != 0u && position > 0u;
            if synced {
                first = LA_SYNC | LA_FIXED;
            } else if (kind & LA_SYNC_NOW) == 0u {
                first = LA_INIT;
            }
            position = 0u;
        }
        if (kind & LA_START) != 0u {
            first |= LA_AVERAGE;
            average_weight = 1.0;
            la_guard[LA_GUARD_AVERAGE_START] = steps;
            la_guard[LA_GUARD_AVERAGE_SKIPPED] = la_word(LA_AT_STEPS) - steps;
        }
    } else if known && !is_bad {
        if (kind & LA_SYNCHRONISED) != 0u && position >= k {
            second = LA_SYNC;
            synced = true;
        } else {
            if (kind & LA_UPDATES) != 0u {
                first = LA_UPDATE;
                count += 1u;
            }
            // A frozen group ends its cycle, and rests.
            if (kind & LA_LOOKAHEAD) != 0u && ((kind & LA_UPDATES) != 0u || position > 0u) {
                position += 1u;
            }
            if (kind & (LA_LOOKAHEAD | LA_SYNCHRONISED)) == LA_LOOKAHEAD && position >= k {
                if (kind & LA_ADAPTIVE) != 0u { second = LA_SYNC; } else { first |= LA_SYNC; }
                synced = true;
            }
        }
        if average_weight >= 0.0 {
            if second != 0u { second |= LA_AVERAGE; } else { first |= LA_AVERAGE; }
        }
    }
    let factor = select(bitcast<f32>(la_tables[now + LA_ROW_FACTOR]), la_number(LA_AT_FACTOR), commanded);
    la_decision = La_Decision(
        vec2u(first, second),
        la_number(LA_AT_LR) * factor,
        average_weight,
        la_guard[state + LA_GROUP_CYCLE_ONE_MINUS_ALPHA],
        la_number(LA_AT_GRADIENT_SCALE) * bitcast<f32>(la_guard[LA_GUARD_UNSCALE]),
        steps,
        la_count_row(count),
    );
    if synced {
        position = 0u;
        if (kind & LA_RESETS) != 0u {
            count = 0u;
        }
    }
    la_guard[state + LA_GROUP_COUNT] = count;
    la_guard[state + LA_GROUP_POSITION] = position;

    if (kind & LA_LAST) == 0u || commanded {
        return;
    }
    if known && !is_bad {
        la_guard[LA_GUARD_STEPS] = steps + 1u;
        la_guard[LA_GUARD_TRACKER] += 1u;
        if la_guard[LA_GUARD_TRACKER] == la_word(LA_AT_INTERVAL) {
            la_rescale(la_number(LA_AT_GROWTH));
        }
    } else {
        la_guard[LA_GUARD_SKIPPED] += 1u;
        if gradient_is_bad {
            la_rescale(la_number(LA_AT_BACKOFF));
        }
    }
}

// Writes one word of a group's slot for one of its two dispatches.
fn la_tell(phase: u32, at: u32) {
    let told = la_decision;
    let slot = LA_SLOT_WORDS * (2u * la_word(LA_AT_GROUP) + phase);
    if at >= LA_HYPER_AT {
        la_live[slot + at] = la_tables[told.row + LA_ROW_HYPER + at - LA_HYPER_AT];
        return;
    }
    var word = la_word(at);
    switch at {
        case LA_AT_FLAGS: {
            word = select(0u, told.flags[phase] | word, told.flags[phase] != 0u);
        }
        case LA_AT_LR: { word = bitcast<u32>(told.lr); }
        case LA_AT_ONE_MINUS_ALPHA: { word = told.one_minus_alpha; }
        case LA_AT_SHRINK: { word = bitcast<u32>(told.lr * la_number(LA_AT_DECOUPLED)); }
        case LA_AT_GRADIENT_SCALE: { word = bitcast<u32>(told.gradient_scale); }
        case LA_AT_AVERAGE_WEIGHT: { word = bitcast<u32>(told.average_weight); }
        case LA_AT_STEP: { word = told.steps; }
        case LA_AT_CURVATURE: { word = la_tables[told.row + LA_ROW_CURVATURE]; }
        default: {}
    }
    la_live[slot + at] = word;
}

// Multiplies the loss scale, unless it would leave the range of f32 or of its inverse.
fn la_rescale(factor: f32) {
    la_guard[LA_GUARD_TRACKER] = 0u;
    let scale = factor * bitcast<f32>(la_guard[LA_GUARD_SCALE]);
    if scale > 1e-30 && scale < 1e30 {
        la_guard[LA_GUARD_SCALE] = bitcast<u32>(scale);
        // A division may be off by 2.5 ulp; one step of Newton's makes up for it.
        let inverse = 1.0 / scale;
        la_guard[LA_GUARD_UNSCALE] = bitcast<u32>(inverse * (2.0 - scale * inverse));
    }
}
