// A step takes the sum of several micro-batches' gradients: all but the last lie in a plane, or all of them.
fn la_gather(i: u32, g: vec4f) {
    let at = la_plane(LA_ACCUMULATED_AT, i);
    la_planes[at] = select(la_planes[at], vec4f(), la_does(LA_FRESH)) + g;
}

fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_planes[la_plane(LA_ACCUMULATED_AT, i)] + select(la_load_gradient(place), vec4f(), la_does(LA_GATHERED));
}
