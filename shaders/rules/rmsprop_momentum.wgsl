// RMSprop with momentum, as torch.optim.RMSprop(momentum=...):
//   v <- alpha v + (1 - alpha) g^2;   b <- momentum b + g / (sqrt(v) + eps);   w <- w - lr b
// state: v, the mean square of the gradient; b, the momentum buffer.
struct Hyper {
    alpha: f32,
    rest: f32,       // 1 - alpha
    eps: f32,
    momentum: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let v = hyper.alpha * state[0] + hyper.rest * g * g;
    let b = hyper.momentum * state[1] + g / (sqrt(v) + hyper.eps);
    state[0] = v;
    state[1] = b;
    return w - control.lr * b;
}
