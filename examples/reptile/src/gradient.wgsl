// The gradient of the network's mean squared error at ten points: one workgroup, in which each thread has one unit of each
// hidden layer. The layout of the weights is that of network.rs.
const POINTS = 10u;
const UNITS = 64u;
const B1 = UNITS;
const W2 = B1 + UNITS;
const B2 = W2 + UNITS * UNITS;
const W3 = B2 + UNITS;
const B3 = W3 + UNITS;

@group(0) @binding(0) var<storage, read> points: array<vec2f, POINTS>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;

var<workgroup> first: array<array<f32, UNITS>, POINTS>;
var<workgroup> second: array<array<f32, UNITS>, POINTS>;
// Of the loss: by the output, and by what goes into the second layer's units.
var<workgroup> by_output: array<f32, POINTS>;
var<workgroup> by_second: array<array<f32, UNITS>, POINTS>;

@compute @workgroup_size(64)
fn find_gradient(@builtin(local_invocation_index) unit: u32) {
    for (var p = 0u; p < POINTS; p++) {
        first[p][unit] = tanh(weights[unit] * points[p].x + weights[B1 + unit]);
    }
    workgroupBarrier();
    for (var p = 0u; p < POINTS; p++) {
        var sum = weights[B2 + unit];
        for (var i = 0u; i < UNITS; i++) {
            sum += weights[W2 + UNITS * unit + i] * first[p][i];
        }
        second[p][unit] = tanh(sum);
    }
    workgroupBarrier();
    if unit < POINTS {
        var sum = weights[B3];
        for (var i = 0u; i < UNITS; i++) {
            sum += weights[W3 + i] * second[unit][i];
        }
        by_output[unit] = 2.0 / f32(POINTS) * (sum - points[unit].y);
    }
    workgroupBarrier();

    var last = 0.0;
    var bias = 0.0;
    var output = 0.0;
    for (var p = 0u; p < POINTS; p++) {
        let value = second[p][unit];
        let back = by_output[p] * weights[W3 + unit] * (1.0 - value * value);
        by_second[p][unit] = back;
        last += by_output[p] * value;
        bias += back;
        output += by_output[p];
    }
    gradient[W3 + unit] = last;
    gradient[B2 + unit] = bias;
    if unit == 0u {
        gradient[B3] = output;
    }
    for (var i = 0u; i < UNITS; i++) {
        var sum = 0.0;
        for (var p = 0u; p < POINTS; p++) {
            sum += by_second[p][unit] * first[p][i];
        }
        gradient[W2 + UNITS * unit + i] = sum;
    }
    workgroupBarrier();
    var by_weight = 0.0;
    var by_bias = 0.0;
    for (var p = 0u; p < POINTS; p++) {
        var sum = 0.0;
        for (var i = 0u; i < UNITS; i++) {
            sum += by_second[p][i] * weights[W2 + UNITS * i + unit];
        }
        let value = first[p][unit];
        let back = sum * (1.0 - value * value);
        by_weight += back * points[p].x;
        by_bias += back;
    }
    gradient[unit] = by_weight;
    gradient[B1 + unit] = by_bias;
}
