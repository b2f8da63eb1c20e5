// Softmax cross-entropy of one batch: the gradient of its sum, divided by the batch's share of its step and times a
// scale, with respect to the logits; and, into the meter, its sum and the number of images whose largest logit is
// the right one. One workgroup, so that the sum has one order and every run gives the same bits.

struct Layer {
    rows: u32,
    inputs: u32,
    outputs: u32,
    relu: u32,
}

struct Tally {
    loss: f32,
    correct: u32,
}

struct Meter {
    // Tallies written so far.
    count: u32,
    tallies: array<Tally>,
}

const WIDTH = 64u;

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// The number of images in the batch, what its sums are divided by, then the indices of the images.
@group(0) @binding(3) var<storage, read> batch: array<u32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> meter: Meter;
@group(0) @binding(6) var<storage, read> loss_scale: f32;

var<workgroup> shares: array<Tally, WIDTH>;

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) index: u32) {
    let classes = layer.outputs;
    // Rows are of whole vec4s.
    let stride = (classes + 3u) / 4u * 4u;
    let count = min(batch[0], layer.rows);
    let divisor = bitcast<f32>(batch[1]);
    var own = Tally();
    for (var row = index; row < layer.rows; row += WIDTH) {
        let first = row * stride;
        if (row >= count) {
            for (var k = 0u; k < classes; k++) {
                gradient[first + k] = 0.0;
            }
            continue;
        }
        let label = labels[batch[2u + row]];
        var largest = logits[first];
        var prediction = 0u;
        for (var k = 1u; k < classes; k++) {
            if (logits[first + k] > largest) {
                largest = logits[first + k];
                prediction = k;
            }
        }
        // The largest exponent is zero: no overflow, and a sum of at least one.
        var sum = 0.0;
        for (var k = 0u; k < classes; k++) {
            sum += exp(logits[first + k] - largest);
        }
        for (var k = 0u; k < classes; k++) {
            let probability = exp(logits[first + k] - largest) / sum;
            let target_probability = select(0.0, 1.0, k == label);
            gradient[first + k] = (probability - target_probability) * loss_scale / divisor;
        }
        own.loss += log(sum) + largest - logits[first + label];
        own.correct += select(0u, 1u, prediction == label);
    }
    shares[index] = own;
    workgroupBarrier();
    if (index == 0u) {
        var total = shares[0];
        for (var i = 1u; i < WIDTH; i++) {
            total.loss += shares[i].loss;
            total.correct += shares[i].correct;
        }
        if (meter.count < arrayLength(&meter.tallies)) {
            meter.tallies[meter.count] = total;
        }
        meter.count += 1u;
    }
}
