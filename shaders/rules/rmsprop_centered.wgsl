// Centred RMSprop, as torch.optim.RMSprop(centered=True):
//   v <- alpha v + (1 - alpha) g^2;   a <- alpha a + (1 - alpha) g
//   w <- w - lr g / (sqrt(v - a^2) + eps)
// state: v, the mean square of the gradient; a, its mean.
struct Hyper {
    alpha: f32,
    rest: f32,       // 1 - alpha
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let v = hyper.alpha * state[0] + hyper.rest * g * g;
    let a = hyper.alpha * state[1] + hyper.rest * g;
    state[0] = v;
    state[1] = a;
    // A variance of 0 may come out a little below it.
    return w - control.lr * g / (sqrt(la_max(v - a * a, vec4f())) + hyper.eps);
}
