// Rounds values to the half-width format of the `values/` file before it, two a word.

struct Count {
    values: u32,
    // Threads of the dispatch.
    threads: u32,
}

@group(0) @binding(0) var<uniform> count: Count;
@group(0) @binding(1) var<storage, read> wide: array<f32>;
@group(0) @binding(2) var<storage, read_write> narrow: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let words = (count.values + 1u) / 2u;
    for (var word = id.x; word < words; word += count.threads) {
        let i = 2u * word;
        var pair = vec2f(wide[i], 0.0);
        if (i + 1u < count.values) {
            pair.y = wide[i + 1u];
        }
        narrow[word] = encode(pair);
    }
}
