// The least that a shader can do with memory: one vec4 a thread, read and written.
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4f>;

@compute @workgroup_size(256)
fn copy(@builtin(global_invocation_id) id: vec3u) {
    if id.x < arrayLength(&destination) {
        destination[id.x] = source[id.x];
    }
}
