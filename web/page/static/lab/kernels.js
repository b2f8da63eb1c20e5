// A network of one hidden layer in WGSL: ReLU, softmax cross-entropy, the mean over a batch; forward and backward.
//
// Inputs and hidden units go by fours, and every kernel sees the same buffers: eight, which is how many every device binds.

/** Classes of the images. */
export const CLASSES = 10;
/** Invocations of a workgroup. */
export const WIDTH = 64;

export const training = /* wgsl */ `
// How many inputs and hidden units, and where each tensor begins: in fours.
struct Sizes { inputs: u32, hidden: u32, rows: u32, hidden_bias: u32, output: u32, output_bias: u32 }
struct Units { value: vec4f, gradient: vec4f }
struct Row { gradients: array<f32, ${CLASSES}>, loss: f32, image: u32 }
struct Results { step: u32, losses: array<f32> }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> pixels: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// The images of one step after the other; after the last it begins again.
@group(0) @binding(3) var<storage, read> order: array<u32>;
// Inputs x hidden units and their biases, classes x hidden units and theirs.
@group(0) @binding(4) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> units: array<Units>;
@group(0) @binding(7) var<storage, read_write> rows: array<Row>;
@group(0) @binding(8) var<storage, read_write> results: Results;

// The hidden units: four of an image each.
@compute @workgroup_size(${WIDTH}) fn forward(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x / sizes.hidden;
  let four = id.x % sizes.hidden;
  if (row >= sizes.rows) { return; }
  let image = order[(results.step * sizes.rows + row) % arrayLength(&order)];
  var sum = weights[sizes.hidden_bias + four];
  for (var i = 0u; i < sizes.inputs; i++) {
    let at = 4u * i * sizes.hidden + four;
    let columns = mat4x4f(
      weights[at], weights[at + sizes.hidden], weights[at + 2u * sizes.hidden], weights[at + 3u * sizes.hidden]);
    sum += columns * pixels[image * sizes.inputs + i];
  }
  units[id.x].value = max(sum, vec4f());
  if (four == 0u) { rows[row].image = image; }
}

// The loss of an image, and its gradients up to the hidden units.
@compute @workgroup_size(${WIDTH}) fn judge(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= sizes.rows) { return; }
  var logits: array<f32, ${CLASSES}>;
  var largest = -3.4e38;
  for (var digit = 0u; digit < ${CLASSES}u; digit++) {
    var sum = weights[sizes.output_bias + digit / 4u][digit % 4u];
    for (var four = 0u; four < sizes.hidden; four++) {
      sum += dot(units[row * sizes.hidden + four].value, weights[sizes.output + digit * sizes.hidden + four]);
    }
    logits[digit] = sum;
    largest = max(largest, sum);
  }
  var total = 0.0;
  for (var digit = 0u; digit < ${CLASSES}u; digit++) { total += exp(logits[digit] - largest); }
  let label = labels[rows[row].image];
  rows[row].loss = largest + log(total) - logits[label];
  for (var digit = 0u; digit < ${CLASSES}u; digit++) {
    let probability = exp(logits[digit] - largest) / total;
    logits[digit] = (probability - select(0.0, 1.0, digit == label)) / f32(sizes.rows);
    rows[row].gradients[digit] = logits[digit];
  }
  for (var four = 0u; four < sizes.hidden; four++) {
    var sum = vec4f();
    for (var digit = 0u; digit < ${CLASSES}u; digit++) {
      sum += logits[digit] * weights[sizes.output + digit * sizes.hidden + four];
    }
    let at = row * sizes.hidden + four;
    units[at].gradient = select(vec4f(), sum, units[at].value > vec4f());
  }
}

// Gradients of weights: sums over the batch of what comes in times what comes back. First those from four inputs to four
// hidden units each.
@compute @workgroup_size(${WIDTH}) fn backward(@builtin(global_invocation_id) id: vec3u) {
  let input = id.x / sizes.hidden;
  let four = id.x % sizes.hidden;
  if (input < sizes.inputs) {
    var sums = mat4x4f();
    for (var row = 0u; row < sizes.rows; row++) {
      let x = pixels[rows[row].image * sizes.inputs + input];
      let back = units[row * sizes.hidden + four].gradient;
      sums += mat4x4f(x.x * back, x.y * back, x.z * back, x.w * back);
    }
    for (var i = 0u; i < 4u; i++) { gradients[(4u * input + i) * sizes.hidden + four] = sums[i]; }
    return;
  }
  let digit = input - sizes.inputs;
  if (digit < ${CLASSES}u) {
    var sum = vec4f();
    for (var row = 0u; row < sizes.rows; row++) {
      sum += rows[row].gradients[digit] * units[row * sizes.hidden + four].value;
    }
    gradients[sizes.output + digit * sizes.hidden + four] = sum;
    if (four > 0u) { return; }
    var bias = 0.0;
    for (var row = 0u; row < sizes.rows; row++) { bias += rows[row].gradients[digit]; }
    gradients[sizes.output_bias + digit / 4u][digit % 4u] = bias;
  } else if (digit == ${CLASSES}u) {
    var sum = vec4f();
    for (var row = 0u; row < sizes.rows; row++) { sum += units[row * sizes.hidden + four].gradient; }
    gradients[sizes.hidden_bias + four] = sum;
  }
}

// Keeps the batch's loss, and goes on to the next step.
@compute @workgroup_size(1) fn record() {
  var sum = 0.0;
  for (var row = 0u; row < sizes.rows; row++) { sum += rows[row].loss; }
  results.losses[results.step] = sum / f32(sizes.rows);
  results.step += 1u;
}
`;

/** Weights at a point of a plane: the origin, and so much of either axis. */
export const placing = /* wgsl */ `
struct Results { step: u32, losses: array<f32> }

@group(0) @binding(0) var<storage, read> points: array<vec2f>;
// The origin, one axis and the other.
@group(0) @binding(1) var<storage, read> plane: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read> results: Results;

@compute @workgroup_size(${WIDTH}) fn place(@builtin(global_invocation_id) id: vec3u) {
  let count = arrayLength(&weights);
  if (id.x >= count) { return; }
  let point = points[results.step];
  weights[id.x] = plane[id.x] + point.x * plane[count + id.x] + point.y * plane[2u * count + id.x];
}
`;
