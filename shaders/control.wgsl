// What the host tells every dispatch of a step. One slot of the control ring holds both blocks.
struct Control {
    flags: u32,
    lr: f32,
    pull: f32,   // 1 - alpha: how far the fast weights go back towards the slow ones at a sync
    clip: f32,   // bound of each gradient value, where clipping is by value
    l2: f32,     // weight decay added to the gradient
    shrink: f32, // lr * decoupled weight decay
    decay: f32,  // weight decay that is the rule's own to apply
    initial: array<vec4f, 2>, // the state slots' initial values
}

const UPDATE = 1u; // take an inner step
const SYNC = 2u;   // then pull fast weights back and store them as the slow ones
const SEED = 4u;   // the slow weights start as the fast weights before this step
const INIT = 8u;   // the state starts at its initial values
const FIRST_CYCLE = 16u; // so do the slow copies of the state

@group(0) @binding(0) var<uniform> control: Control;
@group(0) @binding(1) var<uniform> hyper: Hyper;

// What almost every step does is known when its pipeline is made; 0 where it is not. Some drivers pay for
// the side of a branch that is not taken.
override FLAGS: u32 = 0u;

fn does(what: u32) -> bool {
    return (select(control.flags, FLAGS, FLAGS != 0u) & what) != 0u;
}
