// Lion, as optax.lion, after its decoupled decay:
//   w <- w - lr sign(beta1 m + (1 - beta1) g);   m <- beta2 m + (1 - beta2) g
// state: m, the first moment.
struct Hyper {
    beta1: f32,
    rest1: f32,      // 1 - beta1
    beta2: f32,
    rest2: f32,      // 1 - beta2
}

fn update(w: vec4f, g: vec4f) -> vec4f {
    let direction = la_sign(hyper.beta1 * state[0] + hyper.rest1 * g);
    state[0] = hyper.beta2 * state[0] + hyper.rest2 * g;
    return w - control.lr * direction;
}
