#import words/control

// One slot of the control ring holds both blocks.
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
