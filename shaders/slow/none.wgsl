// The rule alone.
fn la_seed(i: u32, before: vec4f) {}

fn la_sync(i: u32, before: vec4f, after: vec4f) -> vec4f {
    return after;
}
