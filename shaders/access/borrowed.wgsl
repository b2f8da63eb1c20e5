// Weights and gradients in two buffers of the caller's.
@group(1) @binding(1) var<storage, read_write> weights: array<f32>;
@group(1) @binding(2) var<storage, read> gradients: array<u32>;

fn gradient_word(at: u32) -> u32 {
    return gradients[at];
}
