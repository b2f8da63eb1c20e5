// Second moments, second pass: v <- decay v + (1 - decay) (mean of g^2 + eps).
#import moments/entries

// The rule's own, of which the first two are known: the decay of the second moment, and 1 less it.
struct Hyper {
    values: array<vec4f, 16>,
}

@compute @workgroup_size(LA_WORKGROUP)
fn la_fold(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    la_take_control();
    let at = group.x + group.y * groups.x;
    if at >= arrayLength(&la_tasks) || !la_does(LA_UPDATE) {
        return;
    }
    let task = la_tasks[at];
    let decay = hyper.values[0];
    for (var j = local; j < task.count; j += LA_WORKGROUP) {
        let number = task.number + j;
        var sum = 0.0;
        for (var s = task.sheets; s < task.end; s += 1u) {
            let sheet = la_sheets[s];
            if number >= sheet.number && number - sheet.number < sheet.entries {
                let first = sheet.partial + number - sheet.number;
                for (var k = 0u; k < sheet.count; k += 1u) {
                    sum += la_partials[first + k * sheet.entries];
                }
            }
        }
        let mean = task.weight * sum + task.eps;
        la_factors[task.at + j] = decay.x * la_factors[task.at + j] + decay.y * mean;
    }
}
