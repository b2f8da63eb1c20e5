// Second moments, first pass: the sums of squared gradients over one dimension of a tensor. Each workgroup
// takes some of the sums over some of the dimension, and several threads each sum where threads work together.
#import parts/control
#import parts/access
#import parts/gradient

override LA_WORKGROUP: u32;

struct La_Task {
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

@group(3) @binding(0) var<storage, read> la_tasks: array<La_Task>;
@group(3) @binding(1) var<storage, read_write> la_partials: array<f32>;

fn la_squares(i: u32) -> vec4f {
#if row_means
    la_enter(i);
#end
    let place = la_locate(i);
    var g = la_gradient(i, place);
    if control.l2 != 0.0 {
        g += control.l2 * la_load_weights(place);
    }
    return g * g;
}

// One thread's share of a sum, or of four, from `start` on: every `pace`-th value of the dimension or vec4.
fn la_share(task: La_Task, start: u32, thread: u32, pace: u32) -> vec4f {
    var total = vec4f();
    if task.stride == 1u {
        let begin = max(start + task.first, task.begin);
        let end = min(start + task.last, task.end);
        if begin >= end {
            return total;
        }
        let inside = vec2u(task.shift) + vec2u(begin, end);
        for (var i = inside.x / 4u + thread; 4u * i < inside.y; i += pace) {
            let at = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
            total += select(vec4f(), la_squares(i), (at >= vec4u(inside.x)) & (at < vec4u(inside.y)));
        }
        return vec4f(total.x + total.y + total.z + total.w, 0.0, 0.0, 0.0);
    }
    for (var j = task.first + thread; j < task.last; j += pace) {
        let value = start + j * task.stride;
        if value >= task.begin && value < task.end {
            let at = task.shift + value;
            let found = la_squares(at / 4u);
            if task.width == 4u { total += found; } else { total.x += found[at % 4u]; }
        }
    }
    return total;
}

#if together
var<workgroup> la_mine: array<vec4f, LA_WORKGROUP>;

#end
@compute @workgroup_size(LA_WORKGROUP)
fn la_sums(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    la_take_window();
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_tasks) || !la_all_do(LA_UPDATE) {
        return;
    }
    let task = la_tasks[at];
    la_enter((task.shift + task.begin) / 4u);
    for (var done = 0u; done < task.count; done += task.lanes * task.width) {
        let number = done + local % task.lanes * task.width;
        var total = vec4f();
        if number < task.count {
            let sum = task.sum + number;
            let start = sum / task.stride * task.block + sum % task.stride;
            total = la_share(task, start, local / task.lanes, LA_WORKGROUP / task.lanes);
        }
#if together
        la_mine[local] = total;
        for (var half = LA_WORKGROUP / 2u; half >= task.lanes; half /= 2u) {
            workgroupBarrier();
            if local < half {
                la_mine[local] += la_mine[local + half];
            }
        }
        total = la_mine[local];
#end
        if local < task.lanes && number < task.count {
            let first = task.partial + number;
            la_partials[first] = total.x;
            if task.width == 4u {
                la_partials[first + 1u] = total.y;
                la_partials[first + 2u] = total.z;
                la_partials[first + 3u] = total.w;
            }
        }
#if together
        workgroupBarrier();
#end
    }
}
