// Every step has one gradient.
fn la_gather(i: u32, g: vec4f) {}

fn la_raw_gradient(i: u32, place: La_Place) -> vec4f {
    return la_load_gradient(place);
}
