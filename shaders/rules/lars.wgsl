// LARS, as optax.lars, with the tensor's trust ratio = trust_coefficient ||w|| / (||g|| + eps):
//   b <- momentum b + lr trust g;   w <- w - b (heavy ball), w - (lr trust g + momentum b) (Nesterov)
// state: b, the momentum buffer, which holds learning rates and trust ratios of its time.
struct Hyper {
    momentum: f32,
    own: f32,      // what lr trust g weighs in the step: 1 (Nesterov) or 0
    past: f32,     // what b weighs in it: momentum (Nesterov) or 1
}

fn measure(w: vec4f, g: vec4f) -> vec4f {
    return g;
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let d = control.lr * la_trusted(g);
    let b = hyper.momentum * state[0] + d;
    state[0] = b;
    return w - (hyper.own * d + hyper.past * b);
}
