// Copies the images of one batch, picked by index, into the rows of a matrix of f32, each with zeros up to a whole
// vec4. A thread unpacks one word: four pixels.

struct Source {
    rows: u32,
    // Pixels of an image.
    pixels: u32,
    // What a pixel's byte is multiplied by.
    scale: f32,
}

@group(0) @binding(0) var<uniform> source: Source;
// Each image begins a new word, and zeros follow it to the end of its last one.
@group(0) @binding(1) var<storage, read> images: array<u32>;
// The number of images in the batch, what its sums are divided by, then the indices of the images.
@group(0) @binding(2) var<storage, read> batch: array<u32>;
@group(0) @binding(3) var<storage, read_write> inputs: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let words = (source.pixels + 3u) / 4u;
    let word = id.x;
    let row = id.y;
    if (word >= words || row >= source.rows) {
        return;
    }
    // Rows past the end of a short last batch become zero.
    var pixels = vec4f();
    if (row < batch[0]) {
        let bytes = vec4u(images[batch[2u + row] * words + word]) >> vec4u(0u, 8u, 16u, 24u);
        pixels = vec4f(bytes & vec4u(255u)) * source.scale;
    }
    inputs[row * words + word] = pixels;
}
