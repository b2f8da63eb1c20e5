// The rule's inner step, and the state that it keeps: the first LA_SLOTS planes. Loads and stores are one a slot: a
// loop would index the array by a variable, and some drivers (SwiftShader) then keep it in memory: half the speed.
#if slots
var<private> state: array<vec4f, LA_SLOTS>;

fn la_load_state(i: u32) {
#for slot in slots
    state[${slot}] = la_planes[la_plane(${slot}u, i)];
#end
}

fn la_store_state(i: u32) {
#for slot in slots
    la_planes[la_plane(${slot}u, i)] = state[${slot}];
#end
}

#else
fn la_load_state(i: u32) {}

fn la_store_state(i: u32) {}
#end

#if factored
#import parts/factored
#end

// Weights after the step with this gradient; the state is loaded.
fn la_inner(i: u32, w: vec4f, gradient: vec4f) -> vec4f {
    let g = gradient + control.l2 * w;
#if trust
    la_load_trust();
#end
#if factored
    return update(w - control.shrink * w, la_normalise(i, g));
#else
    return update(w - control.shrink * w, g);
#end
}
