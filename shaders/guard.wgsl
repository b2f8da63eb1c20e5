// Decides whether a step is taken, and tells the step's kernels: the schedule of src/plan/cycle.rs, kept where
// the gradient is. The host writes a slot as if no step had ever been skipped; what depends on the number of
// steps really taken is looked up in tables of what earlier slots brought. A preview tells what the step would be, for the
// update to be tried, and leaves the state as it is.

override LA_WORKGROUP: u32;

// A slot of the control ring, word for word.
@group(0) @binding(0) var<uniform> la_slot: array<vec4u, 16>;
@group(0) @binding(1) var<uniform> hyper: array<vec4u, 16>;

#import words/guard

@group(1) @binding(0) var<storage, read_write> la_guard: array<u32>;
@group(1) @binding(1) var<storage, read_write> la_live: array<u32>; // two slots a group, as the ring's
@group(1) @binding(2) var<storage, read_write> la_tables: array<u32>;
#if reads_norms
@group(1) @binding(3) var<storage, read> la_norms: array<vec2f>; // y: above 0 where a gradient is not finite
#end
#if reads_tried
@group(1) @binding(4) var<storage, read> la_tried: array<vec2f>; // of updates: x above 0 where one is not finite
#end
#if concludes

// The reduction just before is concluded here, which saves a dispatch.
#import parts/conclude
#end

fn la_word(index: u32) -> u32 {
    return la_slot[index / 4u][index % 4u];
}

fn la_number(index: u32) -> f32 {
    return bitcast<f32>(la_word(index));
}

fn la_norm_found(j: u32) -> vec2f {
#if reads_norms
    return la_norms[j];
#else
    return la_results[j];
#end
}

fn la_update_found() -> vec2f {
#if !tried
    return vec2f();
#else
#if reads_tried
    return la_tried[0];
#else
    return la_results[0];
#end
#end
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
#if tasks
    task: u32,    // of its round, which ends if one does
#end
}

var<workgroup> la_bad: atomic<u32>;
var<workgroup> la_decision: La_Decision;

@compute @workgroup_size(LA_WORKGROUP)
fn la_decide(@builtin(local_invocation_index) local: u32) {
    // First, so that they have arrived by the barrier.
    la_write_tables(local);
#if concludes
    // Of a command nothing was measured, nor of frozen weights.
    if la_word(LA_AT_RESULTS) > 0u && !la_is_commanded() {
        la_conclude(local / LA_LANES, local);
    }
#end
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
#if anderson
    var kept = la_guard[state + LA_GROUP_KEPT];
#end
#if tasks
    // A cycle here is a round of several tasks, of k steps each. A command may come between two of them.
    let task = select(position / k + 1u, 0u, commanded && position % k == 0u);
#end
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
#if anderson
            kept = 0u;
#end
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
#if anderson
                let plane = la_plane_of(k, position);
                if plane < la_word(LA_AT_COLUMNS) {
                    first |= LA_KEEP | (plane << LA_PLANE);
                    kept += u32(plane == kept);
                }
#end
                position += 1u;
            }
#if tasks
            if (kind & LA_LOOKAHEAD) != 0u && position >= k * la_word(LA_AT_TASKS) {
                first |= LA_SYNC;
                synced = true;
            } else if (kind & LA_LOOKAHEAD) != 0u && position > 0u && position % k == 0u {
                first |= LA_TASK;
            }
#else
            if (kind & (LA_LOOKAHEAD | LA_SYNCHRONISED)) == LA_LOOKAHEAD && position >= k {
                if (kind & LA_ADAPTIVE) != 0u { second = LA_SYNC; } else { first |= LA_SYNC; }
#if anderson
                second |= select(LA_FIXED, 0u, kept == la_word(LA_AT_COLUMNS));
#end
                synced = true;
            }
#end
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
#if tasks
        task,
#end
    );
#if !preview
    if synced {
        position = 0u;
#if anderson
        kept = 0u;
#end
        if (kind & LA_RESETS) != 0u {
            count = 0u;
        }
    }
#if tasks
    if (first & LA_TASK) != 0u && (kind & LA_RESETS) != 0u {
        count = 0u;
    }
#end
    la_guard[state + LA_GROUP_COUNT] = count;
    la_guard[state + LA_GROUP_POSITION] = position;
#if anderson
    la_guard[state + LA_GROUP_KEPT] = kept;
#end

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
#end
}

#if anderson
// Which plane takes the weights at this place of a cycle; LA_AT_COLUMNS or more: none.
fn la_plane_of(k: u32, position: u32) -> u32 {
    let columns = la_word(LA_AT_COLUMNS);
    let stride = la_word(LA_AT_STRIDE);
    // From the end of the cycle.
    let left = k - position;
    return select(columns, columns - left / stride, left % stride == 0u && left / stride <= columns);
}

#end
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
#if preview
            // Of what is not finite this knows from the step before at most: where the gradient lies holds all the same.
            word |= told.flags[phase];
#else
            word = select(0u, told.flags[phase] | word, told.flags[phase] != 0u);
#end
        }
        case LA_AT_LR: { word = bitcast<u32>(told.lr); }
        case LA_AT_ONE_MINUS_ALPHA: { word = told.one_minus_alpha; }
        case LA_AT_SHRINK: { word = bitcast<u32>(told.lr * la_number(LA_AT_DECOUPLED)); }
        case LA_AT_GRADIENT_SCALE: { word = bitcast<u32>(told.gradient_scale); }
        case LA_AT_AVERAGE_WEIGHT: { word = bitcast<u32>(told.average_weight); }
        case LA_AT_STEP: { word = told.steps; }
#if tasks
        case LA_AT_TASK: { word = told.task; }
#end
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
