// Second moments, first pass: the sums of squared gradients over one dimension of a tensor. Each workgroup
// takes some of the sums over some of the dimension, and several threads each sum.
override WORKGROUP: u32;

struct Task {
    shift: u32,   // where in the window the tensor's value 0 is, or would be (modulo 2^32)
    begin: u32,   // the tensor's values in the window
    end: u32,
    sum: u32,     // the first sum
    count: u32,   // how many
    lanes: u32,   // how many at once, a power of 2, or how many times four
    width: u32,   // four at once where they are always side by side in a vec4, else 1
    block: u32,   // the dimension's size times its stride
    stride: u32,
    first: u32,   // the part of the dimension
    last: u32,
    partial: u32, // where the first sum goes
}

@group(3) @binding(0) var<storage, read> tasks: array<Task>;
@group(3) @binding(1) var<storage, read_write> partials: array<f32>;

var<workgroup> mine: array<vec4f, WORKGROUP>;

fn squares(i: u32) -> vec4f {
    let place = locate(i);
    var g = gradient(i, place);
    if control.l2 != 0.0 {
        g += control.l2 * load_weights(place);
    }
    return g * g;
}

// One thread's share of a sum, or of four, from `start` on: every `step`-th value of the dimension or vec4.
fn share(task: Task, start: u32, thread: u32, step: u32) -> vec4f {
    var total = vec4f();
    if task.stride == 1u {
        let begin = max(start + task.first, task.begin);
        let end = min(start + task.last, task.end);
        if begin >= end {
            return total;
        }
        let inside = vec2u(task.shift) + vec2u(begin, end);
        for (var i = inside.x / 4u + thread; 4u * i < inside.y; i += step) {
            let at = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
            total += select(vec4f(), squares(i), (at >= vec4u(inside.x)) & (at < vec4u(inside.y)));
        }
        return vec4f(total.x + total.y + total.z + total.w, 0.0, 0.0, 0.0);
    }
    for (var j = task.first + thread; j < task.last; j += step) {
        let value = start + j * task.stride;
        if value >= task.begin && value < task.end {
            let at = task.shift + value;
            let found = squares(at / 4u);
            if task.width == 4u { total += found; } else { total.x += found[at % 4u]; }
        }
    }
    return total;
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
    for (var done = 0u; done < task.count; done += task.lanes * task.width) {
        let number = done + local % task.lanes * task.width;
        var total = vec4f();
        if number < task.count {
            let sum = task.sum + number;
            let start = sum / task.stride * task.block + sum % task.stride;
            total = share(task, start, local / task.lanes, WORKGROUP / task.lanes);
        }
        mine[local] = total;
        for (var half = WORKGROUP / 2u; half >= task.lanes; half /= 2u) {
            workgroupBarrier();
            if local < half {
                mine[local] += mine[local + half];
            }
        }
        if local < task.lanes && number < task.count {
            let sums = mine[local];
            let first = task.partial + number;
            partials[first] = sums.x;
            if task.width == 4u {
                partials[first + 1u] = sums.y;
                partials[first + 2u] = sums.z;
                partials[first + 3u] = sums.w;
            }
        }
        workgroupBarrier();
    }
}
