// The sums of LA_LANES neighbours each, in a fixed order; the first of them has it. To be called in uniform control flow.
const LA_LANES = ${lanes}u;

#if together
var<workgroup> la_sums: array<La_Sum, LA_WORKGROUP>;

fn la_sum_of_lanes(local: u32, value: La_Sum) -> La_Sum {
    la_sums[local] = value;
    for (var half = LA_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local % LA_LANES < half {
            la_sums[local] += la_sums[local + half];
        }
    }
    return la_sums[local];
}
#else
fn la_sum_of_lanes(local: u32, value: La_Sum) -> La_Sum {
    return value;
}
#end
