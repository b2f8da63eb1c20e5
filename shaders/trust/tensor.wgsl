// The tensor's trust ratio.
var<private> trust: f32;

fn load_trust(i: u32) {
    trust = factors[window.trust + tensor_of(i)];
}
