@group(1) @binding(2) var<storage, read> gradients: array<vec2u>;

fn load_gradient(at: Place) -> vec4f {
    return unpack_bf16(gradients[at]);
}
