//! Bytes to snapshots and back.

use super::{refused, snapshot};
use lookahead_wgpu::{CycleSnapshot, GroupSnapshot, Schedule, Snapshot, StatePolicy, TensorSnapshot};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The same to the bit, which `==` is not.
fn same(a: &Snapshot, b: &Snapshot) -> bool {
    let bits = |snapshot: &Snapshot| {
        let mut rest = snapshot.clone();
        let mut bits = vec![rest.loss_scale.to_bits().into(), rest.loss_unscale.to_bits().into()];
        (rest.loss_scale, rest.loss_unscale) = (0.0, 0.0);
        for group in &mut rest.groups {
            let mut numbers = vec![&mut group.learning_rate, &mut group.learning_rate_factor];
            numbers.extend(group.alpha.iter_mut().chain(&mut group.weight_decay));
            numbers.extend(group.hyperparameters.iter_mut().map(|(_, value)| value));
            bits.extend(numbers.into_iter().map(|number| std::mem::take(number).to_bits()));
            bits.extend(
                group
                    .cycle
                    .iter_mut()
                    .map(|cycle| u64::from(std::mem::take(&mut cycle.one_minus_alpha).to_bits())),
            );
        }
        for (_, values) in rest.tensors.iter_mut().flat_map(|tensor| &mut tensor.fields) {
            bits.extend(values.iter().map(|value| u64::from(value.to_bits())));
            values.fill(0.0);
        }
        (bits, rest)
    };
    bits(a) == bits(b)
}

fn float32() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

fn float64() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), any::<u64>().prop_map(f64::from_bits), Just(f64::NAN), Just(-0.0), Just(0.1)]
}

fn groups() -> impl Strategy<Value = GroupSnapshot> {
    let policies =
        [None, Some(StatePolicy::Maintain), Some(StatePolicy::Interpolate), Some(StatePolicy::Reset)];
    let names = (any::<String>(), any::<String>());
    let counters = (any::<u64>(), any::<u32>(), prop_oneof![Just(1), any::<u32>()], any::<bool>());
    let numbers = (float64(), float64(), any::<Option<u32>>(), prop::option::of(float64()));
    let hyperparameters = prop::collection::vec((any::<String>(), float64()), 0..3);
    let cycle = prop::option::of((any::<u32>(), float32()));
    let others = (any::<Option<bool>>(), prop::option::of(float64()), hyperparameters, cycle);
    (names, prop::sample::select(policies.to_vec()), counters, numbers, others).prop_map(
        |((name, rule), policy, (count, position, tasks, initialised), numbers, others)| {
            let (learning_rate, learning_rate_factor, k, alpha) = numbers;
            let (frozen, weight_decay, hyperparameters, cycle) = others;
            GroupSnapshot {
                name,
                rule,
                policy,
                count,
                position,
                initialised,
                learning_rate,
                learning_rate_factor,
                k,
                alpha,
                tasks,
                frozen,
                weight_decay,
                hyperparameters,
                cycle: cycle.map(|(k, one_minus_alpha)| CycleSnapshot { k, one_minus_alpha }),
            }
        },
    )
}

fn tensors() -> impl Strategy<Value = Vec<TensorSnapshot>> {
    let fields = [
        "weights",
        "slow_weights",
        "state.a/b",
        "slow_state.exp_avg",
        "outer.u",
        "fisher",
        "average",
        "iterate.3",
    ];
    let shape = prop::collection::vec(0usize..4, 0..4);
    let tensor = (any::<String>(), shape, prop::sample::subsequence(fields.to_vec(), 0..fields.len()));
    prop::collection::btree_map(any::<String>(), tensor, 0..4).prop_flat_map(|tensors| {
        let tensors: Vec<_> = tensors.into_iter().collect();
        let all = tensors.into_iter().map(|(name, (group, shape, fields))| {
            let len = shape.iter().product::<usize>();
            let values = prop::collection::vec(prop::collection::vec(float32(), len), fields.len());
            values.prop_map(move |values| TensorSnapshot {
                name: name.clone(),
                group: group.clone(),
                shape: shape.clone(),
                fields: fields.iter().map(|field| field.to_string()).zip(values).collect(),
            })
        });
        all.collect::<Vec<_>>()
    })
}

fn schedules() -> impl Strategy<Value = Option<Schedule>> {
    let factor = || -1e300..1e300f64;
    prop_oneof![
        Just(None),
        Just(Some(Schedule::constant())),
        prop::collection::vec((any::<u64>(), factor()), 0..3)
            .prop_map(|decays| Some(Schedule::steps(decays))),
        any::<(u32, u64)>().prop_map(|(width, warmup)| Some(Schedule::transformer(width, warmup))),
        (any::<(u64, u64)>(), factor())
            .prop_map(|((warmup, total), floor)| Some(Schedule::cosine(warmup, total, floor))),
    ]
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let counters =
        (any::<u64>(), any::<u64>(), (float32(), float32()), any::<u32>(), any::<u32>(), any::<String>());
    let settings = (any::<Option<bool>>(), schedules());
    (counters, settings, prop::collection::vec(groups(), 0..3), tensors().prop_shuffle()).prop_map(
        |(counters, (loss_scaling, schedule), groups, tensors)| {
            let (steps, skipped, (loss_scale, loss_unscale), since_rescaled, accumulated, outer) = counters;
            Snapshot {
                steps,
                skipped,
                loss_scale,
                loss_unscale,
                since_rescaled,
                accumulated,
                average_start: skipped,
                outer,
                loss_scaling,
                schedule,
                groups,
                tensors,
            }
        },
    )
}

proptest! {
    #[test]
    fn snapshots_come_back_to_the_bit(snapshot in snapshots()) {
        let bytes = snapshot.to_bytes().unwrap();
        prop_assert!(same(&Snapshot::from_bytes(&bytes).unwrap(), &snapshot));
        prop_assert_eq!(snapshot.to_bytes().unwrap(), bytes, "one snapshot gives the same bytes");
    }
}

#[test]
fn safetensors_itself_reads_it() {
    let snapshot = snapshot();
    let bytes = snapshot.to_bytes().unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let found = file.tensor("slow_weights/layer/1.weight").unwrap();
    assert_eq!((found.dtype(), found.shape()), (safetensors::Dtype::F32, &[3usize, 2][..]));
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(found.data());
    assert_eq!(values, snapshot.tensors[0].fields[1].1);
    assert_eq!(file.len(), 11);
}

/// The header of a file, and its values.
fn parts(bytes: &[u8]) -> (Value, Vec<u8>) {
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + len]).unwrap(), bytes[8 + len..].to_vec())
}

fn join(header: &Value, data: &[u8]) -> Vec<u8> {
    let text = header.to_string();
    [&(text.len() as u64).to_le_bytes(), text.as_bytes(), data].concat()
}

/// A file whose header was changed.
fn changed(change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Result<Snapshot, lookahead_wgpu::Error> {
    let (mut header, mut data) = parts(&snapshot().to_bytes().unwrap());
    change(&mut header, &mut data);
    Snapshot::from_bytes(&join(&header, &data))
}

/// A file whose metadata were changed.
fn described(change: impl FnOnce(&mut Value)) -> Result<Snapshot, lookahead_wgpu::Error> {
    changed(|header, _| {
        let text = &mut header["__metadata__"]["lookahead-wgpu"];
        let mut metadata: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        change(&mut metadata);
        *text = json!(metadata.to_string());
    })
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    assert!(same(&changed(|_, _| ()).unwrap(), &snapshot()), "the order of the header does not matter");
    let key = "state.exp_avg/layer/1.weight";
    refused(Snapshot::from_bytes(b""), &["the checkpoint is no safetensors file: it has 0 bytes"]);
    refused(Snapshot::from_bytes(&[0xff; 8]), &["18446744073709551615 bytes", "0 follow"]);
    refused(Snapshot::from_bytes(b"PK\x03\x04 a zip file, not safetensors"), &["is no safetensors file"]);
    refused(Snapshot::from_bytes(&join(&json!([]), &[])), &["its header is wrong", "the entries"]);
    refused(Snapshot::from_bytes(&join(&json!({}), &[])), &["without `lookahead-wgpu`", "`load_weights`"]);
    let bytes = snapshot().to_bytes().unwrap();
    let cut = &bytes[..bytes.len() - 5];
    refused(Snapshot::from_bytes(cut), &["is cut short: 240 bytes of values are due, and 235 are there"]);
    refused(Snapshot::from_bytes(&bytes[..40]), &["cut short"]);
    refused(Snapshot::from_bytes(&[&bytes[..], &[0; 3]].concat()), &["3 bytes after the last value"]);
    refused(described(|it| it["version"] = json!(3)), &["version 3", "reads `checkpoint`, versions 1 to 2"]);
    refused(described(|it| it["version"] = json!(0)), &["version 0"]);
    refused(described(|it| it["format"] = json!("other")), &["format `other`"]);
    refused(described(|it| it["steps"] = json!(-1)), &["has wrong metadata", "-1"]);
    refused(described(|it| it["steps"] = json!(1.5)), &["has wrong metadata", "1.5"]);
    refused(described(|it| it["more"] = json!(1)), &["unknown field `more`"]);
    refused(described(|it| drop(it.as_object_mut().unwrap().remove("outer"))), &["missing field `outer`"]);
    refused(described(|it| it["groups"][0]["policy"] = json!("keep")), &["unknown variant `keep`"]);
    refused(described(|it| it["groups"][0]["alpha"] = json!("much")), &["`much` is no number"]);
    refused(described(|it| it["tensors"][0]["fields"][0] = json!("weight")), &["unknown field `weight`"]);
    refused(described(|it| it["tensors"][0]["shape"] = json!([2, 3])), &["[3, 2]", "say [2, 3]"]);
    refused(described(|it| it["tensors"][0]["name"] = json!("w")), &["lacks the entry `weights/w`"]);
    refused(described(|it| drop(it["tensors"].as_array_mut().unwrap().pop())), &["does not speak"]);
    refused(described(|it| it["steps"] = json!(8)), &["damaged or edited", "checksum"]);
    refused(described(|it| it["groups"][1]["learning_rate"] = json!("0.3")), &["damaged or edited"]);
    refused(
        changed(|header, _| {
            let entry = header.as_object_mut().unwrap().remove(key).unwrap();
            header["state.exp_avg/other"] = entry;
        }),
        &["lacks the entry `state.exp_avg/layer/1.weight`"],
    );
    refused(changed(|header, _| header[key]["dtype"] = json!("I32")), &[key, "I32, and F32 is due"]);
    refused(
        changed(|header, _| header[key]["dtype"] = json!("F64")),
        &[key, "F64 of the shape [3, 2], in 24"],
    );
    refused(changed(|header, _| header[key]["dtype"] = json!("F33")), &[key, "in F33, and F32 is due"]);
    refused(changed(|header, _| header[key]["shape"] = json!([2, 3])), &[key, "[2, 3]"]);
    refused(
        changed(|header, _| header[key]["shape"] = json!([1u64 << 60, 1u64 << 60])),
        &[key, "1152921504606846976"],
    );
    refused(changed(|header, _| header[key]["shape"] = json!([-3, 2])), &[key, "-3"]);
    refused(
        changed(|header, _| header[key]["data_offsets"] = json!([0, 1u64 << 60])),
        &["has a wrong header"],
    );
    refused(changed(|header, _| header[key]["data_offsets"][1] = json!(0)), &["has a wrong header"]);
    refused(changed(|header, _| header["__metadata__"]["other"] = json!(3)), &["its header is wrong"]);
    refused(changed(|_, data| data[17] ^= 4), &["damaged or edited"]);
    // The values of two tensors of one shape.
    let swap = |header: &mut Value| {
        let other = "state.exp_avg/layer/22.weight";
        let (a, b) = (header[key].clone(), header[other].clone());
        (header[key], header[other]) = (b, a);
    };
    refused(changed(|header, _| swap(header)), &["damaged or edited"]);
}

/// Of entries that are not asked for only the places matter.
#[test]
fn entries_of_unknown_types_are_left_alone() {
    let (mut header, mut data) = parts(&snapshot().to_torch().unwrap());
    let end = data.len();
    data.extend([0; 7]);
    let odd = json!({"dtype": "F6_E9M9", "shape": [3], "data_offsets": [end, end + 3]});
    header["other.scales"] = odd;
    // Not as long as its shape says, which is its reader's affair.
    header["another"] = json!({"dtype": "F32", "shape": [2, 2], "data_offsets": [end + 3, end + 7]});
    let mut found = snapshot();
    let report = found.import_torch(&join(&header, &data)).unwrap();
    assert_eq!(report.left_over, ["another", "other.scales"]);
    assert_eq!((report.imported.len(), report.missing.len()), (3, 0));
    // Asked for, it is told.
    let text = "x".repeat(100);
    for (dtype, told) in [("F6_E9M9", "in F6_E9M9, and F32, F64"), (&text, "xxx..., and F32, F64")] {
        header["bias.momentum_buffer"]["dtype"] = json!(dtype);
        refused(snapshot().import_torch(&join(&header, &data)), &["`bias.momentum_buffer`", told]);
    }
    // A type is a text, and places follow each other.
    header["other.scales"]["dtype"] = json!(6);
    refused(snapshot().import_torch(&join(&header, &data)), &["its header is wrong", "other.scales"]);
    header["other.scales"] = json!({"dtype": "F6_E9M9", "shape": [3], "data_offsets": [end + 1, end + 3]});
    refused(snapshot().import_torch(&join(&header, &data)), &["`other.scales` lies at"]);
}

// Faults: what a file of one task holds is another text than before; one that does not tell is of another number.
#[test]
fn the_number_of_tasks_is_told_where_it_is_not_one() {
    let metadata = |bytes: &[u8]| {
        let text = parts(bytes).0["__metadata__"]["lookahead-wgpu"].clone();
        serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap()
    };
    let groups = metadata(&snapshot().to_bytes().unwrap())["groups"].clone();
    assert_eq!((groups[0].get("tasks"), &groups[1]["tasks"]), (None, &json!(4)));
    let found = Snapshot::from_bytes(&snapshot().to_bytes().unwrap()).unwrap();
    assert_eq!([found.groups[0].tasks, found.groups[1].tasks], [1, 4]);
    refused(described(|it| it["groups"][1]["tasks"] = json!(3)), &["damaged or edited"]);
    let take_out = |it: &mut Value| drop(it["groups"][1].as_object_mut().unwrap().remove("tasks"));
    refused(described(take_out), &["damaged or edited"]);
}

/// Written by the version before settings were kept: `interpolated` of `settings.rs`, three steps in.
#[test]
fn files_of_older_versions_are_read() {
    let found = Snapshot::from_bytes(include_bytes!("version1.safetensors")).unwrap();
    assert_eq!((found.steps, found.tensors.len(), found.loss_scaling, &found.schedule), (3, 2, None, &None));
    let head = &found.groups[1];
    assert_eq!((head.frozen, head.weight_decay, head.cycle, head.tasks), (None, None, None, 1));
    assert_eq!((head.learning_rate, head.k, head.hyperparameters.len()), (0.3, Some(4), 0));
    let again = Snapshot::from_bytes(&found.to_bytes().unwrap()).unwrap();
    assert_eq!(again, found);
}

#[test]
fn names_that_are_there_twice_are_refused() {
    let twice = |text: &str, data: &[u8]| {
        let bytes = [&(text.len() as u64).to_le_bytes(), text.as_bytes(), data].concat();
        Snapshot::from_bytes(&bytes)
    };
    let entry = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    refused(twice(&format!("{{{entry},{entry}}}"), &[0; 4]), &["`w` is there twice"]);
    refused(twice(r#"{"__metadata__":{},"__metadata__":{}}"#, &[]), &["`__metadata__` is there twice"]);
    refused(twice(r#"{"__metadata__":{"a":"","a":""}}"#, &[]), &["`a` is twice"]);
}

#[test]
fn snapshots_that_contradict_themselves_are_not_written() {
    let mut it = snapshot();
    it.tensors[0].fields[0].1.pop();
    refused(it.to_bytes(), &["`weights/layer/1.weight` has the shape [3, 2] and 20 bytes"]);
    let mut it = snapshot();
    it.tensors[2].name = it.tensors[0].name.clone();
    refused(it.to_bytes(), &["two entries `weights/layer/1.weight`"]);
    let mut it = snapshot();
    it.tensors[0].shape = vec![1 << 40, 1 << 40];
    refused(it.to_bytes(), &["cannot be written", "1099511627776"]);
    let mut it = snapshot();
    it.tensors[0].fields[0].0 = "momentum".to_owned();
    refused(it.to_bytes(), &["unknown field `momentum`"]);
}
