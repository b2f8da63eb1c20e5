// Second moments, second pass: v <- decay v + (1 - decay) (mean of g^2 + eps).
#import moments/entries

// The rule's own, of which the first two are known: the decay of the second moment, and 1 less it.
struct Hyper {
    values: array<vec4f, 16>,
}

#if together
var<workgroup> la_mine: array<f32, LA_WORKGROUP>;

#end
// One thread's share of an entry's partial sums.
fn la_share(task: La_Entries, number: u32, share: u32) -> f32 {
    var sum = 0.0;
    for (var s = task.sheets; s < task.end; s += 1u) {
        let sheet = la_sheets[s];
        if number >= sheet.number && number - sheet.number < sheet.entries {
            let first = sheet.partial + number - sheet.number;
            for (var k = share; k < sheet.count; k += task.shares) {
                sum += la_partials[first + k * sheet.entries];
            }
        }
    }
    return sum;
}

@compute @workgroup_size(LA_WORKGROUP)
fn la_fold(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_tasks) || !la_all_do(LA_UPDATE) {
        return;
    }
    let task = la_tasks[at];
    let decay = hyper.values[0];
    // Neighbours have entries side by side.
    let width = LA_WORKGROUP / task.shares;
    for (var first = 0u; first < task.count; first += width) {
        let j = first + local % width;
        var sum = 0.0;
        if j < task.count {
            sum = la_share(task, task.number + j, local / width);
        }
#if together
        if task.shares > 1u {
            la_mine[local] = sum;
            for (var half = LA_WORKGROUP / 2u; half >= width; half /= 2u) {
                workgroupBarrier();
                if local < half {
                    la_mine[local] += la_mine[local + half];
                }
            }
            sum = la_mine[local];
            workgroupBarrier();
        }
#end
        if j < task.count && local < width {
            let mean = task.weight * sum + task.eps;
            la_factors[task.at + j] = decay.x * la_factors[task.at + j] + decay.y * mean;
        }
    }
}
