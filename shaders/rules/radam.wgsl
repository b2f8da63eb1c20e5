// RAdam, as torch.optim.RAdam; Ranger is the same on centralised gradients:
//   m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
//   w <- w - lr / (1 - beta1^t) * m                                              while v knows too little
//   w <- w - lr / (1 - beta1^t) * r_t sqrt(1 - beta2^t) m / (sqrt(v) + eps)      later
// state: m, the first moment; v, the second.
struct Hyper {
    beta1: f32,
    rest1: f32,      // 1 - beta1
    beta2: f32,
    rest2: f32,      // 1 - beta2
    plain: f32,      // 1 / (1 - beta1^t) in the first case, else 0
    adaptive: f32,   // r_t sqrt(1 - beta2^t) / (1 - beta1^t) in the second, else 0
    eps: f32,
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let m = hyper.beta1 * state[0] + hyper.rest1 * g;
    let v = hyper.beta2 * state[1] + hyper.rest2 * g * g;
    state[0] = m;
    state[1] = v;
    return w - control.lr * (hyper.plain * m + hyper.adaptive * m / (sqrt(v) + hyper.eps));
}
