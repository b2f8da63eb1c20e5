// One factor for the whole model.
fn la_clip(i: u32, g: vec4f) -> vec4f {
    return la_times(la_factors[la_window.clip], g);
}
