// RMSprop, as torch.optim.RMSprop:
//   v <- alpha v + (1 - alpha) g^2;   w <- w - lr g / (sqrt(v) + eps)
// state: v, the mean square of the gradient.
struct Hyper {
    alpha: f32,
    rest: f32,       // 1 - alpha
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let v = hyper.alpha * state[0] + hyper.rest * g * g;
    state[0] = v;
    return w - control.lr * g / (sqrt(v) + hyper.eps);
}
