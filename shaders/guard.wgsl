// Decides whether a step is taken, and tells the step's kernels: the schedule of src/lookahead.rs, kept where
// the gradient is. The host writes an order as if no step had ever been skipped; what depends on the number of
// steps really taken is looked up in tables of what earlier orders brought. A preview tells what the step would be, for the
// update to be tried, and leaves the clock as it is.
override LA_WORKGROUP: u32;

// A slot of the control ring, word for word: 28 words of `La_Control` (shaders/control.wgsl), then the order.
@group(0) @binding(0) var<uniform> la_order: array<vec4u, 16>;
@group(0) @binding(1) var<uniform> hyper: array<vec4u, 16>;

// 0 steps taken, 1 skipped, 2 taken since the loss scale changed, 4 1 / loss scale, 5 steps taken when the average was
// begun, 6 steps skipped until then, 64 loss scale, and from 128 on for each group: inner steps, position in the
// cycle, k and 1 - alpha of this cycle.
@group(1) @binding(0) var<storage, read_write> la_clock: array<u32>;
@group(1) @binding(1) var<storage, read_write> la_live: array<u32>; // two slots a group, as the ring's
@group(1) @binding(2) var<storage, read_write> la_tables: array<u32>;
@group(1) @binding(3) var<storage, read> la_results: array<vec2f>; // y: above 0 where a gradient is not finite
#if tried
@group(1) @binding(4) var<storage, read> la_tried: array<vec2f>; // of updates: x above 0 where one is not finite
#end

// Words of a slot.
const LA_FLAGS = 0u;
const LA_LR = 1u;
const LA_PULL = 2u;
const LA_SHRINK = 5u;
const LA_GAIN = 7u;
const LA_SHARE = 12u;
const LA_DRAW = 13u;
const LA_CURVATURE = 16u;
const LA_KIND = 28u;
const LA_GROUP = 29u;
const LA_K = 30u;
const LA_FACTOR = 31u;
const LA_DECOUPLED = 32u;
const LA_STEPS = 33u;
const LA_COUNT = 34u;
const LA_HYPERS = 35u;
const LA_RESULTS = 36u;
const LA_GROWTH = 37u;
const LA_BACKOFF = 38u;
const LA_INTERVAL = 39u;
const LA_TABLE = 40u;
const LA_SLOT = 128u;

// Bits of LA_KIND.
const LA_UPDATES = 1u;
const LA_LOOKAHEAD = 2u;
const LA_ADAPTIVE = 4u;
const LA_SYNCHRONISED = 8u; // the gradient of the adaptive alpha is taken at theta_k
const LA_RESETS = 16u;
const LA_LAST = 32u;        // the last group
const LA_SYNC_NOW = 64u;    // no step, but a sync
const LA_START = 128u;      // no step, but the slow weights and the average start, or start again
const LA_RESEED = 256u;     // no step, but the slow weights start again

const LA_ROWS = 4096u;

fn la_word(index: u32) -> u32 {
    return la_order[index / 4u][index % 4u];
}

fn la_number(index: u32) -> f32 {
    return bitcast<f32>(la_word(index));
}

var<workgroup> la_bad: atomic<u32>;

@compute @workgroup_size(LA_WORKGROUP)
fn la_decide(@builtin(local_invocation_index) local: u32) {
    for (var j = local; j < la_word(LA_RESULTS); j += LA_WORKGROUP) {
        if la_results[j].y > 0.0 {
            atomicStore(&la_bad, 1u);
        }
    }
    workgroupBarrier();
    if local == 0u {
#if tried
        la_decide_once(atomicLoad(&la_bad) != 0u, la_word(LA_RESULTS) > 0u && la_tried[0].x > 0.0);
#else
        la_decide_once(atomicLoad(&la_bad) != 0u, false);
#end
    }
}

fn la_decide_once(gradient_is_bad: bool, update_is_bad: bool) {
    let is_bad = gradient_is_bad || update_is_bad;
    let kind = la_word(LA_KIND);
    let steps = la_clock[0];
    let state = 128u + 4u * la_word(LA_GROUP);

    // The row of a step: its number + 1, the schedule's factor, the average's share (negative: none). The row of a
    // count: it, 1 / bias correction of the curvature, `Hyper`.
    let by_step = la_word(LA_TABLE);
    let by_count = by_step + 3u * LA_ROWS;
    let width = la_word(LA_HYPERS) + 2u;
    let step_row = by_step + 3u * (la_word(LA_STEPS) % LA_ROWS);
    la_tables[step_row] = la_word(LA_STEPS) + 1u;
    la_tables[step_row + 1u] = la_word(LA_FACTOR);
    la_tables[step_row + 2u] = la_word(LA_SHARE);
    let count_row = by_count + width * (la_word(LA_COUNT) % LA_ROWS);
    la_tables[count_row] = la_word(LA_COUNT);
    la_tables[count_row + 1u] = la_word(LA_CURVATURE);
    for (var j = 0u; j < la_word(LA_HYPERS); j += 1u) {
        la_tables[count_row + 2u + j] = hyper[j / 4u][j % 4u];
    }

    if la_clock[state + 1u] == 0u {
        la_clock[state + 2u] = la_word(LA_K);
        la_clock[state + 3u] = la_word(LA_PULL);
    }
    let k = la_clock[state + 2u];
    let now = by_step + 3u * (steps % LA_ROWS);
    let commanded = (kind & (LA_SYNC_NOW | LA_START | LA_RESEED)) != 0u;
    // Too many steps were skipped for the tables: no more are taken.
    let known = la_tables[now] == steps + 1u;
    // The host counts the average's steps from its own number of them.
    var share = bitcast<f32>(la_tables[by_step + 3u * ((steps + la_clock[6]) % LA_ROWS) + 2u]);
    var first = 0u;  // the flags of the step's dispatch
    var second = 0u; // and of the sync's, where it has one of its own
    var synced = false;
    var position = la_clock[state + 1u];
    var count = la_clock[state];
    if commanded {
        if (kind & LA_LOOKAHEAD) != 0u {
            // At the start of a cycle nothing has moved.
            synced = (kind & LA_SYNC_NOW) != 0u && position > 0u;
            if synced {
                first = 2u | 64u; // LA_SYNC | LA_FIXED
            } else if (kind & LA_SYNC_NOW) == 0u {
                first = 4u; // LA_SEED
            }
            position = 0u;
        }
        if (kind & LA_START) != 0u {
            first |= 8u; // LA_AVERAGE
            share = 1.0;
            la_clock[5] = steps;
            la_clock[6] = la_word(LA_STEPS) - steps;
        }
    } else if known && !is_bad {
        if (kind & LA_SYNCHRONISED) != 0u && position >= k {
            second = 2u;
            synced = true;
        } else {
            if (kind & LA_UPDATES) != 0u {
                first = 1u;
                count += 1u;
            }
            // A frozen group ends its cycle, and rests.
            if (kind & LA_LOOKAHEAD) != 0u && ((kind & LA_UPDATES) != 0u || position > 0u) {
                position += 1u;
            }
            if (kind & (LA_LOOKAHEAD | LA_SYNCHRONISED)) == LA_LOOKAHEAD && position >= k {
                if (kind & LA_ADAPTIVE) != 0u { second = 2u; } else { first |= 2u; }
                synced = true;
            }
        }
        if share >= 0.0 {
            if second != 0u { second |= 8u; } else { first |= 8u; }
        }
    }
    let row = by_count + width * (count % LA_ROWS);
    let lr = la_number(LA_LR) * select(bitcast<f32>(la_tables[now + 1u]), la_number(LA_FACTOR), commanded);
    for (var phase = 0u; phase < 2u; phase += 1u) {
        let at = LA_SLOT * (2u * la_word(LA_GROUP) + phase);
        for (var j = 0u; j < 28u; j += 1u) {
            la_live[at + j] = la_word(j);
        }
        let flags = select(first, second, phase == 1u);
        la_live[at + LA_FLAGS] = select(0u, flags | la_word(LA_FLAGS), flags != 0u);
        la_live[at + LA_LR] = bitcast<u32>(lr);
        la_live[at + LA_PULL] = la_clock[state + 3u];
        la_live[at + LA_SHRINK] = bitcast<u32>(lr * la_number(LA_DECOUPLED));
        la_live[at + LA_GAIN] = bitcast<u32>(la_number(LA_GAIN) * bitcast<f32>(la_clock[4]));
        la_live[at + LA_SHARE] = bitcast<u32>(share);
        la_live[at + LA_DRAW] = steps;
        la_live[at + LA_CURVATURE] = la_tables[row + 1u];
        for (var j = 0u; j < la_word(LA_HYPERS); j += 1u) {
            la_live[at + 64u + j] = la_tables[row + 2u + j];
        }
    }
#if !preview
    if synced {
        position = 0u;
        if (kind & LA_RESETS) != 0u {
            count = 0u;
        }
    }
    la_clock[state] = count;
    la_clock[state + 1u] = position;

    if (kind & LA_LAST) == 0u || commanded {
        return;
    }
    if known && !is_bad {
        la_clock[0] = steps + 1u;
        la_clock[2] += 1u;
        if la_clock[2] == la_word(LA_INTERVAL) {
            la_rescale(la_number(LA_GROWTH));
        }
    } else {
        la_clock[1] += 1u;
        if gradient_is_bad {
            la_rescale(la_number(LA_BACKOFF));
        }
    }
#end
}

// Multiplies the loss scale, unless it would leave the range of f32 or of its inverse.
fn la_rescale(factor: f32) {
    la_clock[2] = 0u;
    let scale = factor * bitcast<f32>(la_clock[64]);
    if scale > 1e-30 && scale < 1e30 {
        la_clock[64] = bitcast<u32>(scale);
        // A division may be off by 2.5 ulp; one step of Newton's makes up for it.
        let inverse = 1.0 / scale;
        la_clock[4] = bitcast<u32>(inverse * (2.0 - scale * inverse));
    }
}
