// What the reductions of a step leave for its dispatches; `window` says where each kind starts.
@group(2) @binding(2) var<storage, read> factors: array<f32>;
