// Weights and gradients in one buffer of the caller's, too far apart for one binding: WebGPU allows two
// bindings of one buffer in one dispatch where both are read_write and do not overlap.
@group(1) @binding(1) var<storage, read_write> la_weights: array<f32>;
@group(1) @binding(2) var<storage, read_write> la_gradients: array<u32>;

fn la_gradient_word(at: u32) -> u32 {
    return la_gradients[at];
}
