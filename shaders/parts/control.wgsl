#import words/control

// One slot of the control ring holds both blocks. A thread takes a copy before all else: some drivers load a uniform
// anew, with its checks, wherever it is read.
@group(0) @binding(0) var<uniform> la_control: La_Control;
var<private> control: La_Control;
#if reads_hyper
@group(0) @binding(1) var<uniform> la_hyper: Hyper;
var<private> hyper: Hyper;
#end
#if lacks_hyper

struct Hyper {
    none: f32, // the rule has no hyperparameters of its own
}
#end

fn la_take_control() {
    control = la_control;
#if reads_hyper
    hyper = la_hyper;
#end
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
