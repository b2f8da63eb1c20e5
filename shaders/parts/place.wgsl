// Weights and gradients in somebody else's buffers, as La_Weight and La_Gradient.
#if several
// Of several tensors, each in a pair of buffers.
#for pair in pairs
@group(1) @binding(1${pair}) var<storage, read_write> la_weights_${pair}: array<La_Weight>;
@group(1) @binding(2${pair}) var<storage, read> la_gradients_${pair}: array<La_Gradient>;
#end

// The segment's.
var<private> la_place_in: u32;

fn la_bound_weights(at: u32) -> La_Weight {
    switch la_place_in {
#for pair in pairs
        case ${pair}u: { return la_weights_${pair}[at]; }
#end
        default: { return La_Weight(); }
    }
}

fn la_set_weights(at: u32, value: La_Weight) {
    switch la_place_in {
#for pair in pairs
        case ${pair}u: { la_weights_${pair}[at] = value; }
#end
        default: {}
    }
}

fn la_bound_gradients(at: u32) -> La_Gradient {
    switch la_place_in {
#for pair in pairs
        case ${pair}u: { return la_gradients_${pair}[at]; }
#end
        default: { return La_Gradient(); }
    }
}
#else
@group(1) @binding(1) var<storage, read_write> la_weights: array<La_Weight>;

fn la_bound_weights(at: u32) -> La_Weight {
    return la_weights[at];
}

fn la_set_weights(at: u32, value: La_Weight) {
    la_weights[at] = value;
}

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

fn la_bound_gradients(at: u32) -> La_Gradient {
    return la_gradients[at];
}
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
#if several
    la_place_in = la_table[la_segment + 8u];
#end
}

// In values.
fn la_locate(i: u32) -> La_Place {
    let skip = 4u * (i - la_entered);
    return La_Place(la_weights_at + skip, la_gradients_at + skip, min(max(la_left, skip) - skip, 4u));
}
