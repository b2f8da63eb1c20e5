// AMSGrad, as torch.optim.Adam(amsgrad=True): Adam with the largest second moment so far in the denominator:
//   m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2;   x <- max(x, v)
//   w <- w - lr / (1 - beta1^t) * m / (sqrt(x) / sqrt(1 - beta2^t) + eps)
// state: m, the first moment; v, the second; x, the largest v.
struct Hyper {
    bias1: f32,      // 1 / (1 - beta1^t)
    beta1: f32,
    rest1: f32,      // 1 - beta1
    beta2: f32,
    rest2: f32,      // 1 - beta2
    bias2: f32,      // 1 / sqrt(1 - beta2^t)
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.beta1 * state[0] + hyper.rest1 * g;
    let v = hyper.beta2 * state[1] + hyper.rest2 * g * g;
    let x = la_max(state[2], v);
    state[0] = m;
    state[1] = v;
    state[2] = x;
    return w - (control.lr * hyper.bias1) * m / (sqrt(x) * hyper.bias2 + hyper.eps);
}
