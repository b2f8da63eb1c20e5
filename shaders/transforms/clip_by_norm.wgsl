// By the norm of the whole model, or of each tensor. reduced: min(1, bound / (norm + 1e-6)).
fn la_clip_by_norm(g: vec4f, reduced: vec4f) -> vec4f {
    return la_times(reduced.x, g);
}
