// Lookahead: what becomes of slow weights, state and the outer step's buffers at a sync.
#import outer
#import parts/slow
#if anderson
#import parts/iterates
#end

// 1 - alpha, or of an adaptive alpha what was found; the fixed one where none could be found.
fn la_pull(i: u32) -> f32 {
#if adaptive
#if alpha_by_tensor
    let alpha = la_factors[la_window.alpha + la_tensor()];
#else
    let alpha = la_factors[la_window.alpha];
#end
    return select(1.0 - alpha, control.one_minus_alpha, alpha <= 0.0 || la_does(LA_FIXED));
#else
    return control.one_minus_alpha;
#end
}

#if outer_slots
// The outer step's buffers, zero at the seed.
var<private> outer_state: array<vec4f, ${outer_slots}>;

fn la_load_outer(i: u32) {
#for slot in outer_slots
    outer_state[${slot}] = select(la_planes[la_plane(LA_OUTER_AT + ${slot}u, i)], vec4f(), la_does(LA_INIT));
#end
}

fn la_store_outer(i: u32) {
#for slot in outer_slots
    la_planes[la_plane(LA_OUTER_AT + ${slot}u, i)] = outer_state[${slot}];
#end
}
#end

#if anchored
// The slow weights, which the rule's steps read.
var<private> la_anchor: vec4f;

fn la_take_anchor(i: u32, before: vec4f) {
    la_anchor = before;
    if !la_does(LA_INIT) {
        la_anchor = la_load_slow(i);
    }
}

#end
fn la_outer(i: u32, phi: vec4f, theta: vec4f) -> vec4f {
#if outer_slots
    la_load_outer(i);
    let synced = outer(phi, theta, la_pull(i));
    la_store_outer(i);
    return synced;
#else
    return outer(phi, theta, la_pull(i));
#end
}

#if anderson
// Anderson acceleration's slow weights: the weights theta and how far they lie from each iterate, by w_0 = (1 - alpha) c_0 and
// w_j = alpha c_(j-1) + (1 - alpha) c_j; Lookahead's where there are no coefficients.
fn la_accelerated(i: u32, phi: vec4f, theta: vec4f) -> vec4f {
    let one_minus_alpha = la_pull(i);
#if alpha_by_tensor
    let at = la_window.alpha + LA_COLUMNS * la_tensor();
#else
    let at = la_window.alpha;
#end
    var is_found = false;
    var moved = vec4f();
    var last = 0.0;
#for column in columns
    let iterate_${column} = la_planes[la_plane(LA_ITERATES_AT + ${column}u, i)];
    let coefficient_${column} = la_factors[at + ${column}u];
    moved += ((1.0 - one_minus_alpha) * last + one_minus_alpha * coefficient_${column}) * (iterate_${column} - theta);
    is_found = is_found || coefficient_${column} != 0.0;
    last = coefficient_${column};
#end
    is_found = is_found && !la_does(LA_FIXED);
#if one_column
    // Its coefficient is 1.
    return outer(select(phi, iterate_0, is_found), theta, one_minus_alpha);
#else
    return select(outer(phi, theta, one_minus_alpha), theta + moved, is_found);
#end
}
#end

fn la_init(i: u32, before: vec4f) {
    la_store_slow(i, before);
#if outer_slots
    la_load_outer(i);
    la_store_outer(i);
#end
}

#if tasks
// Reptile: the mean of the weights that the tasks of a round have come to, this one's among them, if there is one.
fn la_task_mean(i: u32, after: vec4f) -> vec4f {
    if control.task == 1u {
        return after;
    }
    let mean = la_planes[la_plane(LA_TASK_MEAN_AT, i)];
    if control.task == 0u {
        return mean;
    }
    return mean + (after - mean) / f32(control.task);
}

// A task ends and its round does not: the slow weights stay, and the next task starts at them.
fn la_end_task(i: u32, before: vec4f, after: vec4f) -> vec4f {
    la_planes[la_plane(LA_TASK_MEAN_AT, i)] = la_task_mean(i, after);
#if syncs_state
    la_sync_state(i);
#end
    if la_does(LA_INIT) {
        la_init(i, before);
        return before;
    }
    return la_load_slow(i);
}

#end
#if anchored
// The rule says what the slow weights move towards, and what becomes of the fast ones.
fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    let phi = la_anchor;
    let synced = la_outer(i, phi, snapshot());
    la_store_slow(i, synced);
    return shifted(after, phi, synced);
}
#else
fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    var phi = before;
    if !la_does(LA_INIT) {
        phi = la_load_slow(i);
    }
#if tasks
    let synced = la_outer(i, phi, la_task_mean(i, after));
#else
#if anderson
    let synced = la_accelerated(i, phi, after);
#else
    let synced = la_outer(i, phi, after);
#end
#end
    la_store_slow(i, synced);
#if syncs_state
    la_sync_state(i);
#end
#if resets_fisher
    la_planes[la_plane(LA_FISHER_AT, i)] = vec4f();
#end
    return synced;
}
#end

#if syncs_state
#if interpolates
// Policy interpolate: a slow copy of every slot, in the planes after them, moves by alpha, and the slot restarts there.
fn la_sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    let at = la_plane(LA_SLOTS + slot, i);
    let synced = value + la_pull(i) * (la_planes[at] - value);
    la_planes[at] = synced;
    return synced;
}
#else
// Policy reset: every slot starts again.
fn la_sync_slot(slot: u32, i: u32, value: vec4f) -> vec4f {
    return vec4f(control.initial[slot / 4u][slot % 4u]);
}
#end

fn la_sync_state(i: u32) {
#for slot in slots
    state[${slot}] = la_sync_slot(${slot}u, i, state[${slot}]);
#end
}
#end
