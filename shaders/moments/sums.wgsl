// Second moments, first pass: the sums of squared gradients over one dimension of a tensor. Each workgroup
// takes some of the sums over some of the dimension, and several threads each sum.
override WORKGROUP: u32;

struct Task {
    shift: u32,   // where in the window the tensor's value 0 is, or would be (modulo 2^32)
    begin: u32,   // the tensor's values in the window
    end: u32,
    sum: u32,     // the first sum
    count: u32,   // how many
    lanes: u32,   // how many at once, a power of 2
    block: u32,   // the dimension's size times its stride
    stride: u32,
    first: u32,   // the part of the dimension
    last: u32,
    partial: u32, // where the first sum goes
}

@group(3) @binding(0) var<storage, read> tasks: array<Task>;
@group(3) @binding(1) var<storage, read_write> partials: array<f32>;

var<workgroup> mine: array<f32, WORKGROUP>;

fn square(at: u32) -> f32 {
    let i = at / 4u;
    let place = locate(i);
    var g = gradient(i, place);
    if control.l2 != 0.0 {
        g += control.l2 * load_weights(place);
    }
    let value = g[at % 4u];
    return value * value;
}

@compute @workgroup_size(WORKGROUP)
fn sums(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&tasks) || !does(UPDATE) {
        return;
    }
    let task = tasks[at];
    let lane = local % task.lanes;
    for (var done = 0u; done < task.count; done += task.lanes) {
        var total = 0.0;
        if done + lane < task.count {
            let sum = task.sum + done + lane;
            let start = sum / task.stride * task.block + sum % task.stride;
            for (var j = task.first + local / task.lanes; j < task.last; j += WORKGROUP / task.lanes) {
                let value = start + j * task.stride;
                if value >= task.begin && value < task.end {
                    total += square(task.shift + value);
                }
            }
        }
        mine[local] = total;
        for (var half = WORKGROUP / 2u; half >= task.lanes; half /= 2u) {
            workgroupBarrier();
            if local < half {
                mine[local] += mine[local + half];
            }
        }
        if local < task.lanes && done + lane < task.count {
            partials[task.partial + done + lane] = mine[local];
        }
        workgroupBarrier();
    }
}
