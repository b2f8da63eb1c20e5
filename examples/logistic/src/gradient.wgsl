// Logistic regression with an L2 term: the gradient of some samples.
struct Batch {
    first: u32, // in `order`
    count: u32,
    lambda: f32,
}

const FEATURES = 31u;
const ROW = 32u; // the features of a sample and its label, 1 or -1
const THREADS = 64u;

@group(0) @binding(0) var<storage, read> samples: array<f32>;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<uniform> batch: Batch;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

var<workgroup> rows: array<u32, THREADS>;
var<workgroup> slopes: array<f32, THREADS>;

// First a thread for each sample, which finds the loss's slope there; then one for each weight, which sums over samples.
@compute @workgroup_size(THREADS)
fn find(@builtin(local_invocation_index) i: u32) {
    var sum = 0.0;
    for (var begun = 0u; begun < batch.count; begun += THREADS) {
        let here = min(THREADS, batch.count - begun);
        if i < here {
            let row = ROW * order[batch.first + begun + i];
            var product = 0.0;
            for (var j = 0u; j < FEATURES; j++) {
                product += samples[row + j] * weights[j];
            }
            let label = samples[row + FEATURES];
            rows[i] = row;
            slopes[i] = -label / (1.0 + exp(label * product));
        }
        workgroupBarrier();
        if i < FEATURES {
            for (var s = 0u; s < here; s++) {
                sum += slopes[s] * samples[rows[s] + i];
            }
        }
        workgroupBarrier();
    }
    if i < FEATURES {
        gradient[i] = sum / f32(batch.count) + batch.lambda * weights[i];
    }
}
