@group(1) @binding(2) var<storage, read> la_gradients: array<vec2u>;

fn la_load_gradient(at: La_Place) -> vec4f {
    return la_unpack_f16(la_gradients[at]);
}
