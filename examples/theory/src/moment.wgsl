// What the gradient and the measurement are told of a moment of a run.
struct Moment {
    step: u32,
    seed: u32,
    // Keeps runs of one seed apart.
    run: u32,
    // The first record of this moment, for the measurement.
    record: u32,
    // vec4s of each coordinate.
    repeats: u32,
}

@group(0) @binding(0) var<uniform> moment: Moment;
