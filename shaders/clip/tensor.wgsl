// One factor for each tensor.
fn la_clip(i: u32, g: vec4f) -> vec4f {
    return la_times(la_factors[la_window.clip + la_tensor_of(i)], g);
}
