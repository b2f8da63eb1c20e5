// Adam as most write it first: one value a thread.

struct Step {
    learning_rate: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    // 1 - beta^t of both.
    correction1: f32,
    correction2: f32,
}

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> weights: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> second: array<f32>;

@compute @workgroup_size(64)
fn adam(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x;
    if i >= arrayLength(&weights) {
        return;
    }
    let gradient = gradients[i];
    let m = step.beta1 * first[i] + (1.0 - step.beta1) * gradient;
    let v = step.beta2 * second[i] + (1.0 - step.beta2) * gradient * gradient;
    first[i] = m;
    second[i] = v;
    let divisor = sqrt(v / step.correction2) + step.epsilon;
    weights[i] -= step.learning_rate * (m / step.correction1) / divisor;
}
