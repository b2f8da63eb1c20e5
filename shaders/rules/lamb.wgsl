// LAMB, as optax.lamb, with the tensor's trust ratio = ||w|| / ||u||:
//   m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
//   u = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay w;   w <- w - lr trust u
// state: m, the first moment; v, the second. `measure` moves them on, `update` finds them moved.
struct Hyper {
    bias1: f32,      // 1 / (1 - beta1^t)
    beta1: f32,
    rest1: f32,      // 1 - beta1
    beta2: f32,
    rest2: f32,      // 1 - beta2
    bias2: f32,      // 1 / sqrt(1 - beta2^t)
    eps: f32,
}

fn direction(w: vec4f) -> vec4f {
    return hyper.bias1 * state[0] / (sqrt(state[1]) * hyper.bias2 + hyper.eps) + control.decay * w;
}

fn measure(w: vec4f, g: vec4f) -> vec4f {
    state[0] = hyper.beta1 * state[0] + hyper.rest1 * g;
    state[1] = hyper.beta2 * state[1] + hyper.rest2 * g * g;
    return direction(w);
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    return w - (control.lr * trust) * direction(w);
}
