// NAdam, as torch.optim.NAdam, with mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2) and P_t = mu_1 ... mu_t:
//   m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
//   w <- w - lr ((1 - mu_t) / (1 - P_t) g + mu_t+1 / (1 - P_t+1) m) / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// state: m, the first moment; v, the second.
struct Hyper {
    beta1: f32,
    rest1: f32,      // 1 - beta1
    beta2: f32,
    rest2: f32,      // 1 - beta2
    own: f32,        // what g weighs: (1 - mu_t) / (1 - P_t)
    past: f32,       // what m weighs: mu_t+1 / (1 - P_t+1)
    bias2: f32,      // 1 / sqrt(1 - beta2^t)
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.beta1 * state[0] + hyper.rest1 * g;
    let v = hyper.beta2 * state[1] + hyper.rest2 * g * g;
    state[0] = m;
    state[1] = v;
    return w - control.lr * (hyper.own * g + hyper.past * m) / (sqrt(v) * hyper.bias2 + hyper.eps);
}
