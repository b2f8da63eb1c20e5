//! Bytes to snapshots and back.

use crate::{refused, snapshot};
use lookahead_wgpu::{GroupSnapshot, Snapshot, StatePolicy, TensorSnapshot};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The same to the bit, which `==` is not.
fn same(a: &Snapshot, b: &Snapshot) -> bool {
    let bits = |snapshot: &Snapshot| {
        let mut rest = snapshot.clone();
        let mut bits = vec![rest.loss_scale.to_bits().into(), rest.loss_unscale.to_bits().into()];
        (rest.loss_scale, rest.loss_unscale) = (0.0, 0.0);
        for group in &mut rest.groups {
            let numbers = [group.learning_rate, group.learning_rate_factor, group.alpha.unwrap_or(0.0)];
            bits.extend(numbers.map(f64::to_bits));
            (group.learning_rate, group.learning_rate_factor) = (0.0, 0.0);
            group.alpha = group.alpha.map(|_| 0.0);
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
    let counters = (any::<u64>(), any::<u32>(), any::<bool>());
    let numbers = (float64(), float64(), any::<Option<u32>>(), prop::option::of(float64()));
    (names, prop::sample::select(policies.to_vec()), counters, numbers).prop_map(
        |((name, rule), policy, (count, position, seeded), numbers)| {
            let (learning_rate, learning_rate_factor, k, alpha) = numbers;
            GroupSnapshot {
                name,
                rule,
                policy,
                count,
                position,
                seeded,
                learning_rate,
                learning_rate_factor,
                k,
                alpha,
            }
        },
    )
}

fn tensors() -> impl Strategy<Value = Vec<TensorSnapshot>> {
    let fields =
        ["weights", "slow_weights", "state.a/b", "slow_state.exp_avg", "outer.u", "fisher", "average"];
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

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let counters =
        (any::<u64>(), any::<u64>(), (float32(), float32()), any::<u32>(), any::<u32>(), any::<String>());
    (counters, prop::collection::vec(groups(), 0..3), tensors().prop_shuffle()).prop_map(
        |((steps, skipped, (loss_scale, loss_unscale), since_rescaled, gathered, outer), groups, tensors)| {
            Snapshot {
                steps,
                skipped,
                loss_scale,
                loss_unscale,
                since_rescaled,
                gathered,
                average_start: skipped,
                outer,
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
    refused(described(|it| it["version"] = json!(2)), &["version 2", "reads `checkpoint`, version 1"]);
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
    refused(changed(|header, _| header[key]["dtype"] = json!("F33")), &[key, "unknown variant `F33`"]);
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
