// Every step has one gradient.
fn gather(i: u32, g: vec4f) {}

fn raw_gradient(i: u32, place: Place) -> vec4f {
    return load_gradient(place);
}
