// Weights and gradients in somebody else's buffers, as La_Weight and La_Gradient.
@group(1) @binding(1) var<storage, read_write> la_weights: array<La_Weight>;

#if pooled
// Both side by side in one: WebGPU forbids a read and a read_write binding of one buffer in one dispatch, and
// overlapping ones, so it is bound once.
#else
#if far
// Both in one, too far apart for one binding: WebGPU allows two bindings of one buffer in one dispatch where both are
// read_write and do not overlap.
@group(1) @binding(2) var<storage, read_write> la_gradients: array<La_Gradient>;
#else
@group(1) @binding(2) var<storage, read> la_gradients: array<La_Gradient>;
#end
#end

// Where four values lie in them.
struct La_Place {
    weights: u32,   // where they start in the bound weights
    gradients: u32, // and in the bound gradients
    lanes: u32,     // how many of the four are the tensor's; the others are padding
}

// Where the segment was entered, and how many values are left of it from there on.
var<private> la_weights_at: u32;
var<private> la_gradients_at: u32;
var<private> la_left: u32;

fn la_enter_place() {
    let skip = 4u * (la_entered - la_table[la_segment]);
    la_weights_at = la_table[la_segment + 2u] + skip;
    la_gradients_at = la_table[la_segment + 3u] + skip;
    la_left = max(la_table[la_segment + 1u], skip) - skip;
}

// In values.
fn la_locate(i: u32) -> La_Place {
    let skip = 4u * (i - la_entered);
    return La_Place(la_weights_at + skip, la_gradients_at + skip, min(max(la_left, skip) - skip, 4u));
}
