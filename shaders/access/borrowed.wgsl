// Weights and gradients in two buffers of the caller's.
@group(1) @binding(1) var<storage, read_write> la_weights: array<f32>;
@group(1) @binding(2) var<storage, read> la_gradients: array<u32>;

fn la_gradient_word(at: u32) -> u32 {
    return la_gradients[at];
}
