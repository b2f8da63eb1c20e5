// Centred RMSprop with momentum, as torch.optim.RMSprop(centered=True, momentum=...):
//   v <- alpha v + (1 - alpha) g^2;   a <- alpha a + (1 - alpha) g
//   b <- momentum b + g / (sqrt(v - a^2) + eps);   w <- w - lr b
// state: v, the mean square of the gradient; a, its mean; b, the momentum buffer.
struct Hyper {
    alpha: f32,
    rest: f32,       // 1 - alpha
    eps: f32,
    momentum: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let v = hyper.alpha * state[0] + hyper.rest * g * g;
    let a = hyper.alpha * state[1] + hyper.rest * g;
    // A variance of 0 may come out a little below it.
    let b = hyper.momentum * state[2] + g / (sqrt(la_max(v - a * a, vec4f())) + hyper.eps);
    state[0] = v;
    state[1] = a;
    state[2] = b;
    return w - control.lr * b;
}
