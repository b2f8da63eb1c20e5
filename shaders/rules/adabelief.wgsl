// AdaBelief, as optax.adabelief:
//   m <- beta1 m + (1 - beta1) g;   s <- beta2 s + (1 - beta2) (g - m)^2 + eps_root
//   w <- w - lr / (1 - beta1^t) * m / (sqrt(s) / sqrt(1 - beta2^t) + eps)
// state: m, the first moment; s, the mean square of the gradient's distance from it.
struct Hyper {
    bias1: f32,      // 1 / (1 - beta1^t)
    beta1: f32,
    rest1: f32,      // 1 - beta1
    beta2: f32,
    rest2: f32,      // 1 - beta2
    bias2: f32,      // 1 / sqrt(1 - beta2^t)
    eps: f32,
    eps_root: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.beta1 * state[0] + hyper.rest1 * g;
    let error = g - m;
    let s = hyper.beta2 * state[1] + hyper.rest2 * error * error + hyper.eps_root;
    state[0] = m;
    state[1] = s;
    return w - (control.lr * hyper.bias1) * m / (sqrt(s) * hyper.bias2 + hyper.eps);
}
