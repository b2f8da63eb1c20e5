// A cubic through points, by least squares: the gradient of the mean squared error, one invocation for
// each of the four coefficients.
@group(0) @binding(0) var<storage, read> points: array<vec2f>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(4)
fn gradient(@builtin(local_invocation_index) i: u32) {
    var sum = 0.0;
    for (var p = 0u; p < arrayLength(&points); p++) {
        let x = points[p].x;
        let powers = vec4f(1.0, x, x * x, x * x * x);
        let error = dot(vec4f(weights[0], weights[1], weights[2], weights[3]), powers) - points[p].y;
        sum += 2.0 * error * powers[i];
    }
    gradients[i] = sum / f32(arrayLength(&points));
}
