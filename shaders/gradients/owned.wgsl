@group(1) @binding(2) var<storage, read> gradients: array<vec4f>;

fn load_gradient(at: Place) -> vec4f {
    return gradients[at];
}
