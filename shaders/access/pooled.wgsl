// Weights and gradients side by side in one buffer of the caller's. WebGPU forbids a read and a
// read_write binding of one buffer in one dispatch, and overlapping ones, so it is bound once.
@group(1) @binding(1) var<storage, read_write> la_weights: array<f32>;

fn la_gradient_word(at: u32) -> u32 {
    return bitcast<u32>(la_weights[at]);
}
