// Heavy-ball and Nesterov momentum, as torch.optim.SGD:
//   b <- momentum b + (1 - dampening) g;   d = b (heavy ball) or g + momentum b (Nesterov);   w <- w - lr d
// state: b, the momentum buffer.
struct Hyper {
    momentum: f32,
    gain: f32,     // 1 - dampening; 1 at the first step
    own: f32,      // what g weighs in d: 1 (Nesterov) or 0
    past: f32,     // what b weighs in d: momentum (Nesterov) or 1
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let b = hyper.momentum * state[0] + hyper.gain * g;
    state[0] = b;
    return w - control.lr * (hyper.own * g + hyper.past * b);
}
