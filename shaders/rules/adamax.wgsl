// Adamax, as torch.optim.Adamax:
//   m <- beta1 m + (1 - beta1) g;   u <- max(beta2 u, |g| + eps);   w <- w - lr / (1 - beta1^t) * m / u
// state: m, the first moment; u, the infinity norm of past gradients.
struct Hyper {
    bias1: f32,      // 1 / (1 - beta1^t)
    beta1: f32,
    rest1: f32,      // 1 - beta1
    beta2: f32,
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.beta1 * state[0] + hyper.rest1 * g;
    let u = la_max(hyper.beta2 * state[1], abs(g) + hyper.eps);
    state[0] = m;
    state[1] = u;
    return w - (control.lr * hyper.bias1) * m / u;
}
