// Decides whether a step is taken, and tells the step's kernels: the schedule of src/lookahead.rs, kept where
// the gradient is. The host writes an order as if no step had ever been skipped; what depends on the number of
// steps really taken is looked up in tables of what earlier orders brought.
override WORKGROUP: u32;

// A slot of the control ring, word for word: 28 words of `Control` (shaders/control.wgsl), then the order.
@group(0) @binding(0) var<uniform> order: array<vec4u, 16>;
@group(0) @binding(1) var<uniform> hyper: array<vec4u, 16>;

// 0 steps taken, 1 skipped, 2 taken since the loss scale changed, 4 1 / loss scale, 5 steps taken when the average was
// begun, 6 steps skipped until then, 64 loss scale, and from 128 on for each group: inner steps, position in the
// cycle, k and 1 - alpha of this cycle.
@group(1) @binding(0) var<storage, read_write> clock: array<u32>;
@group(1) @binding(1) var<storage, read_write> live: array<u32>; // two slots a group, as the ring's
@group(1) @binding(2) var<storage, read_write> tables: array<u32>;
@group(1) @binding(3) var<storage, read> results: array<vec2f>; // y: 1 where a gradient is not finite

// Words of a slot.
const FLAGS = 0u;
const LR = 1u;
const PULL = 2u;
const SHRINK = 5u;
const GAIN = 7u;
const SHARE = 12u;
const DRAW = 13u;
const CURVATURE = 16u;
const KIND = 28u;
const GROUP = 29u;
const K = 30u;
const FACTOR = 31u;
const DECOUPLED = 32u;
const STEPS = 33u;
const COUNT = 34u;
const HYPERS = 35u;
const RESULTS = 36u;
const GROWTH = 37u;
const BACKOFF = 38u;
const INTERVAL = 39u;
const TABLE = 40u;
const SLOT = 128u;

// Bits of KIND.
const UPDATES = 1u;
const LOOKAHEAD = 2u;
const ADAPTIVE = 4u;
const SYNCHRONISED = 8u; // the gradient of the adaptive alpha is taken at theta_k
const RESETS = 16u;
const LAST = 32u;        // the last group
const SYNC_NOW = 64u;    // no step, but a sync
const START = 128u;      // no step, but the slow weights and the average start, or start again
const RESEED = 256u;     // no step, but the slow weights start again

const ROWS = 4096u;

fn word(index: u32) -> u32 {
    return order[index / 4u][index % 4u];
}

fn number(index: u32) -> f32 {
    return bitcast<f32>(word(index));
}

var<workgroup> bad: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn decide(@builtin(local_invocation_index) local: u32) {
    for (var j = local; j < word(RESULTS); j += WORKGROUP) {
        if results[j].y > 0.0 {
            atomicStore(&bad, 1u);
        }
    }
    workgroupBarrier();
    if local == 0u {
        decide_once(atomicLoad(&bad) != 0u);
    }
}

fn decide_once(is_bad: bool) {
    let kind = word(KIND);
    let steps = clock[0];
    let state = 128u + 4u * word(GROUP);

    // The row of a step: its number + 1, the schedule's factor, the average's share (negative: none). The row of a
    // count: it, 1 / bias correction of the curvature, `Hyper`.
    let by_step = word(TABLE);
    let by_count = by_step + 3u * ROWS;
    let width = word(HYPERS) + 2u;
    let step_row = by_step + 3u * (word(STEPS) % ROWS);
    tables[step_row] = word(STEPS) + 1u;
    tables[step_row + 1u] = word(FACTOR);
    tables[step_row + 2u] = word(SHARE);
    let count_row = by_count + width * (word(COUNT) % ROWS);
    tables[count_row] = word(COUNT);
    tables[count_row + 1u] = word(CURVATURE);
    for (var j = 0u; j < word(HYPERS); j += 1u) {
        tables[count_row + 2u + j] = hyper[j / 4u][j % 4u];
    }

    if clock[state + 1u] == 0u {
        clock[state + 2u] = word(K);
        clock[state + 3u] = word(PULL);
    }
    let k = clock[state + 2u];
    let now = by_step + 3u * (steps % ROWS);
    let commanded = (kind & (SYNC_NOW | START | RESEED)) != 0u;
    // Too many steps were skipped for the tables: no more are taken.
    let known = tables[now] == steps + 1u;
    // The host counts the average's steps from its own number of them.
    var share = bitcast<f32>(tables[by_step + 3u * ((steps + clock[6]) % ROWS) + 2u]);
    var first = 0u;  // the flags of the step's dispatch
    var second = 0u; // and of the sync's, where it has one of its own
    var synced = false;
    var position = clock[state + 1u];
    var count = clock[state];
    if commanded {
        if (kind & LOOKAHEAD) != 0u {
            // At the start of a cycle nothing has moved.
            synced = (kind & SYNC_NOW) != 0u && position > 0u;
            if synced {
                first = 2u | 64u; // SYNC | FIXED
            } else if (kind & SYNC_NOW) == 0u {
                first = 4u; // SEED
            }
            position = 0u;
        }
        if (kind & START) != 0u {
            first |= 8u; // AVERAGE
            share = 1.0;
            clock[5] = steps;
            clock[6] = word(STEPS) - steps;
        }
    } else if known && !is_bad {
        if (kind & SYNCHRONISED) != 0u && position >= k {
            second = 2u;
            synced = true;
        } else {
            if (kind & UPDATES) != 0u {
                first = 1u;
                count += 1u;
            }
            // A frozen group ends its cycle, and rests.
            if (kind & LOOKAHEAD) != 0u && ((kind & UPDATES) != 0u || position > 0u) {
                position += 1u;
            }
            if (kind & (LOOKAHEAD | SYNCHRONISED)) == LOOKAHEAD && position >= k {
                if (kind & ADAPTIVE) != 0u { second = 2u; } else { first |= 2u; }
                synced = true;
            }
        }
        if share >= 0.0 {
            if second != 0u { second |= 8u; } else { first |= 8u; }
        }
    }
    let row = by_count + width * (count % ROWS);
    let lr = number(LR) * select(bitcast<f32>(tables[now + 1u]), number(FACTOR), commanded);
    for (var phase = 0u; phase < 2u; phase += 1u) {
        let at = SLOT * (2u * word(GROUP) + phase);
        for (var j = 0u; j < 28u; j += 1u) {
            live[at + j] = word(j);
        }
        let flags = select(first, second, phase == 1u);
        live[at + FLAGS] = select(0u, flags | word(FLAGS), flags != 0u);
        live[at + LR] = bitcast<u32>(lr);
        live[at + PULL] = clock[state + 3u];
        live[at + SHRINK] = bitcast<u32>(lr * number(DECOUPLED));
        live[at + GAIN] = bitcast<u32>(number(GAIN) * bitcast<f32>(clock[4]));
        live[at + SHARE] = bitcast<u32>(share);
        live[at + DRAW] = steps;
        live[at + CURVATURE] = tables[row + 1u];
        for (var j = 0u; j < word(HYPERS); j += 1u) {
            live[at + 64u + j] = tables[row + 2u + j];
        }
    }
    if synced {
        position = 0u;
        if (kind & RESETS) != 0u {
            count = 0u;
        }
    }
    clock[state] = count;
    clock[state + 1u] = position;

    if (kind & LAST) == 0u || commanded {
        return;
    }
    if known && !is_bad {
        clock[0] = steps + 1u;
        clock[2] += 1u;
        if clock[2] == word(INTERVAL) {
            rescale(number(GROWTH));
        }
    } else {
        clock[1] += 1u;
        if is_bad {
            rescale(number(BACKOFF));
        }
    }
}

// Multiplies the loss scale, unless it would leave the range of f32 or of its inverse.
fn rescale(factor: f32) {
    clock[2] = 0u;
    let scale = factor * bitcast<f32>(clock[64]);
    if scale > 1e-30 && scale < 1e30 {
        clock[64] = bitcast<u32>(scale);
        // A division may be off by 2.5 ulp; one step of Newton's makes up for it.
        let inverse = 1.0 / scale;
        clock[4] = bitcast<u32>(inverse * (2.0 - scale * inverse));
    }
}
