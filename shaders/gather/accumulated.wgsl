// A step takes the sum of several micro-batches' gradients: all but the last lie in a plane, or all of them.
fn gather(i: u32, g: vec4f) {
    let at = plane(ACCUMULATED_AT, i);
    planes[at] = select(planes[at], vec4f(), does(FRESH)) + g;
}

fn raw_gradient(i: u32, place: Place) -> vec4f {
    return planes[plane(ACCUMULATED_AT, i)] + select(load_gradient(place), vec4f(), does(GATHERED));
}
