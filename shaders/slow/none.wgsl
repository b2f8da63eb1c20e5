// The rule alone.
fn seed(i: u32, before: vec4f) {}

fn sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    return after;
}
