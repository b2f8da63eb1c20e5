// The sums over a workgroup, in a fixed order. To be called in uniform control flow.
var<workgroup> la_sums: array<La_Sum, LA_WORKGROUP>;

fn la_workgroup_sum(local: u32, value: La_Sum) -> La_Sum {
    la_sums[local] = value;
    for (var half = LA_WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            la_sums[local] += la_sums[local + half];
        }
    }
    workgroupBarrier();
    return la_sums[0];
}
