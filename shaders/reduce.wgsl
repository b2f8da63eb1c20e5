// The sums over a workgroup, in a fixed order. To be called in uniform control flow.
override WORKGROUP: u32;
var<workgroup> sums: array<vec2f, WORKGROUP>;

fn workgroup_sum(local: u32, value: vec2f) -> vec2f {
    sums[local] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            sums[local] += sums[local + half];
        }
    }
    workgroupBarrier();
    return sums[0];
}
