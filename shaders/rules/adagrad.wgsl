// Adagrad, as torch.optim.Adagrad:
//   s <- s + g^2;   w <- w - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)
// state: s, the sum of squared gradients.
struct Hyper {
    factor: f32,     // 1 / (1 + (t - 1) lr_decay)
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let s = state[0] + g * g;
    state[0] = s;
    return w - (control.lr * hyper.factor) * g / (sqrt(s) + hyper.eps);
}
