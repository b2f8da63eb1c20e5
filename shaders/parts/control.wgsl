// What every dispatch of a step is told. One slot of the control ring holds both blocks.
struct La_Control {
    flags: u32,
    lr: f32,
    pull: f32,   // 1 - alpha: how far the fast weights go back towards the slow ones at a sync
    clip: f32,   // bound of each gradient value, where clipping is by value
    l2: f32,     // weight decay added to the gradient
    shrink: f32, // lr * decoupled weight decay
    decay: f32,  // weight decay that is the rule's own to apply
    gain: f32,   // on the gradient: 1 / micro-batches / loss scale
    outer: vec4f, // the outer step's coefficients
    share: f32,  // what the weights weigh in the average
    draw: u32,   // the number of the step, for random bits
    fisher: vec2f, // the empirical Fisher: how much stays, and what a squared gradient weighs
    curvature: vec2f, // the curvature: 1 / bias correction, and eps
    initial: array<vec4f, 2>, // the state slots' initial values
}

const LA_UPDATE = 1u;   // take an inner step
const LA_SYNC = 2u;     // then pull fast weights back and store them as the slow ones
const LA_SEED = 4u;     // the slow weights start as the fast weights before this step
const LA_AVERAGE = 8u;  // take the weights into the average
const LA_GATHER = 16u;  // only add the gradient to the accumulated one
const LA_FRESH = 32u;   // which starts at zero
const LA_FIXED = 64u;   // the sync has no gradient: take the fixed alpha
const LA_GATHERED = 128u; // the gradient is the accumulated one alone

@group(0) @binding(0) var<uniform> control: La_Control;
#if reads_hyper
@group(0) @binding(1) var<uniform> hyper: Hyper;
#end
#if lacks_hyper

struct Hyper {
    none: f32, // the rule has no hyperparameters of its own
}
#end

// What almost every step does is known when its pipeline is made; 0 where it is not. Some drivers pay for
// the side of a branch that is not taken.
override LA_FLAGS: u32 = 0u;

fn la_does(what: u32) -> bool {
    return (select(control.flags, LA_FLAGS, LA_FLAGS != 0u) & what) != 0u;
}
