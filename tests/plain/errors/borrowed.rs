//! Weights and gradients in the caller's buffers.

use lookahead_wgpu::{
    Builder, Field, Group, Slice,
    wgpu::{Buffer, BufferUsages},
};

use super::{Noop, check, sgd};

const ALL: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);

/// Tensors `v` and `w` of 4 values each, at bytes 0 and 64 of one buffer.
fn two(buffer: &Buffer) -> Builder {
    let (v, w) = (Slice::new(buffer, 0, 16), Slice::new(buffer, 64, 16));
    sgd().borrowed("v", &[4], v).borrowed("w", &[2, 2], w)
}

#[test]
fn ranges_that_cannot_hold_the_tensor() {
    let noop = Noop::new();
    let buffer = noop.buffer(256, ALL);
    let no_storage = noop.buffer(256, BufferUsages::COPY_DST);
    let refused = [
        (Slice::new(&buffer, 2, 16), &["bytes 2..18 of a buffer of 256", "multiple of 4"][..]),
        (Slice::new(&buffer, 248, 16), &["bytes 248..264", "past the buffer"]),
        (Slice::new(&buffer, u64::MAX - 3, 16), &["past the buffer"]),
        (Slice::new(&buffer, 64, 12), &["bytes 64..76", "the shape [2, 2] has 16 bytes"]),
        (Slice::new(&buffer, 64, 20), &["bytes 64..84", "the shape [2, 2] has 16 bytes"]),
        (Slice::new(&buffer, 64, 0), &["bytes 64..64", "16 bytes"]),
        (Slice::whole(&buffer), &["bytes 0..256", "16 bytes"]),
        (Slice::new(&no_storage, 0, 16), &["lacks the usage", "STORAGE", "COPY_DST"]),
    ];
    let weights = noop.buffer(128, ALL);
    let optimizer = noop.build(two(&weights));
    for (slice, parts) in refused {
        let error = noop.refuse(sgd().borrowed("w", &[2, 2], slice.clone()));
        check(error, "Range", &[&["the weights of `w`"], parts].concat());
        let gradients = [("v", Slice::new(&buffer, 128, 16)), ("w", slice)];
        let error = optimizer.borrow_gradients_blocking(&gradients).unwrap_err();
        check(error, "Range", &[&["the gradients of `w`"], parts].concat());
    }
}

#[test]
fn ranges_that_overlap() {
    let noop = Noop::new();
    let buffer = noop.buffer(256, ALL);
    let at = |offset| Slice::new(&buffer, offset, 16);
    for (v, w) in [(0, 0), (0, 12), (12, 0)] {
        let error = noop.refuse(sgd().borrowed("v", &[4], at(v)).borrowed("w", &[4], at(w)));
        check(error, "Overlap", &["weights of `v`", "weights of `w`", "must not overlap"]);
    }
    noop.build(sgd().borrowed("v", &[4], at(16)).borrowed("w", &[4], at(0)));

    let optimizer = noop.build(two(&buffer));
    let refuse =
        |v: u64, w: u64| optimizer.borrow_gradients_blocking(&[("v", at(v)), ("w", at(w))]).unwrap_err();
    check(refuse(128, 72), "Overlap", &["weights of `w`", "gradients of `w`"]);
    check(refuse(12, 128), "Overlap", &["weights of `v`", "gradients of `v`"]);
    check(refuse(68, 128), "Overlap", &["weights of `w`", "gradients of `v`"]);
    check(refuse(128, 140), "Overlap", &["gradients of `v`", "gradients of `w`"]);
    // The same bytes of another buffer are others.
    let other = noop.buffer(256, ALL);
    let gradients = [("v", Slice::new(&other, 0, 16)), ("w", Slice::new(&other, 64, 16))];
    optimizer.borrow_gradients_blocking(&gradients).unwrap();
    optimizer.borrow_gradients_blocking(&[("v", at(16)), ("w", at(32))]).unwrap();
}

#[test]
fn gradients_missing_unknown_or_twice() {
    let noop = Noop::new();
    let buffer = noop.buffer(256, ALL);
    let optimizer = noop.build(two(&buffer));
    let at = |offset| Slice::new(&buffer, offset, 16);
    let refuse = |slices: &[(&str, Slice)]| optimizer.borrow_gradients_blocking(slices).unwrap_err();
    check(refuse(&[("w", at(128))]), "UnknownName", &["no gradient of the tensor `v`", "there are: `w`"]);
    check(refuse(&[]), "UnknownName", &["no gradient of the tensor `v`", "there are: none"]);
    let unknown = refuse(&[("v", at(128)), ("w", at(144)), ("u", at(160))]);
    check(unknown, "UnknownName", &["no tensor `u`", "`v`, `w`"]);
    let twice = refuse(&[("v", at(128)), ("w", at(144)), ("v", at(160))]);
    check(twice, "DuplicateName", &["the tensor `v` is there twice"]);
}

#[test]
fn calls_of_the_other_way_in() {
    let noop = Noop::new();
    let buffer = noop.buffer(256, ALL);
    let slices = [("v", Slice::new(&buffer, 128, 16)), ("w", Slice::new(&buffer, 192, 16))];
    let mut first = noop.build(two(&buffer));
    let mut second = noop.build(two(&buffer));
    let mut owned = noop.build(sgd().tensor("v", &[4]).tensor("w", &[2, 2]));
    let gradients = first.borrow_gradients_blocking(&slices).unwrap();
    let mut encoder = noop.encoder();

    check(first.step(&mut encoder).unwrap_err(), "Unsupported", &["step has no gradients", "`step_with`"]);
    let error = owned.step_with(&mut encoder, &gradients).unwrap_err();
    check(error, "Unsupported", &["step_with is for borrowed tensors", "call `step`"]);
    let error = second.step_with(&mut encoder, &gradients).unwrap_err();
    check(error, "Unsupported", &["gradients that another optimizer borrowed"]);
    let error = owned.borrow_gradients_blocking(&slices).unwrap_err();
    check(error, "Unsupported", &["borrow_gradients is for borrowed tensors", "`gradients`"]);
    check(first.gradients("w").unwrap_err(), "Unsupported", &["gradients are the caller's"]);
    check(first.buffers(Field::Gradients, "w").unwrap_err(), "Unsupported", &["gradients are the caller's"]);
    check(first.download_blocking(Field::Gradients, "w").unwrap_err(), "Unsupported", &["the caller's"]);
    let mixed = sgd().tensor("own", &[4]).borrowed("w", &[4], Slice::new(&buffer, 0, 16));
    check(noop.refuse(mixed), "Unsupported", &["not both", "use two optimizers"]);

    assert_eq!((first.steps(), second.steps(), owned.steps()), (0, 0, 0));
    first.step_with(&mut encoder, &gradients).unwrap();
    owned.step(&mut encoder).unwrap();
    noop.queue.submit([encoder.finish()]);
}

#[test]
fn copies_that_a_borrowed_buffer_is_not_for() {
    let noop = Noop::new();
    let buffer = noop.buffer(64, BufferUsages::STORAGE);
    let mut optimizer = noop.build(sgd().borrowed("w", &[4], Slice::new(&buffer, 16, 16)));
    let told = ["of `w` (bytes 16..32 of a buffer of 64)", "lacks the usage"];
    let upload = optimizer.upload("w", &[0.0; 4]).unwrap_err();
    check(upload, "Range", &[&told[..], &["COPY_DST"]].concat());
    let download = optimizer.download_blocking(Field::Weights, "w").unwrap_err();
    check(download, "Range", &[&told[..], &["COPY_SRC"]].concat());
    check(optimizer.export_blocking().unwrap_err(), "Range", &told);

    // Of two tensors, the one is named whose buffer lacks it.
    let readable = noop.buffer(64, ALL);
    let source = noop.build(two(&noop.buffer(128, ALL)));
    let snapshot = source.export_blocking().unwrap();
    let (v, w) = (Slice::new(&readable, 0, 16), Slice::new(&buffer, 16, 16));
    let mut optimizer = noop.build(sgd().borrowed("v", &[4], v).borrowed("w", &[2, 2], w));
    check(optimizer.import(&snapshot).unwrap_err(), "Range", &[&told[..], &["COPY_DST"]].concat());
}

#[test]
fn gradients_that_lack_what_trains_again() {
    let noop = Noop::new();
    let buffer = noop.buffer(512, ALL);
    let at = |offset| Slice::new(&buffer, offset, 16);
    let builder = sgd().group(Group::new("head").frozen()).borrowed("v", &[4], at(0));
    let mut optimizer =
        noop.build(builder.borrowed_in("head", "w", &[4], at(64)).borrowed_in("head", "u", &[4], at(128)));
    // What is given is checked as ever, frozen or not.
    let refuse = |slices: &[(&str, Slice)]| optimizer.borrow_gradients_blocking(slices).unwrap_err();
    check(refuse(&[("w", at(256))]), "UnknownName", &["no gradient of the tensor `v`", "there are: `w`"]);
    check(refuse(&[("v", at(256)), ("w", at(264))]), "Overlap", &["gradients of `v`", "gradients of `w`"]);
    check(refuse(&[("v", at(136))]), "Overlap", &["weights of `u`", "gradients of `v`"]);
    check(refuse(&[("v", at(256)), ("u", at(500))]), "Range", &["gradients of `u`", "past the buffer"]);

    let none = optimizer.borrow_gradients_blocking(&[("v", at(256))]).unwrap();
    let one = optimizer.borrow_gradients_blocking(&[("v", at(256)), ("u", at(320))]).unwrap();
    let all = [("v", at(256)), ("u", at(320)), ("w", at(384))];
    let all = optimizer.borrow_gradients_blocking(&all).unwrap();
    let mut encoder = noop.encoder();
    for gradients in [&none, &one, &all] {
        optimizer.step_with(&mut encoder, gradients).unwrap();
    }
    optimizer.set_frozen("head", false).unwrap();
    let error = optimizer.step_with(&mut encoder, &none).unwrap_err();
    check(error, "MissingGradients", &["lack those of `w`, `u`", "were frozen", "borrow them again"]);
    let error = optimizer.step_with(&mut encoder, &one).unwrap_err();
    check(error, "MissingGradients", &["lack those of `w`,", "borrow them again"]);
    assert_eq!(optimizer.steps(), 3);
    optimizer.step_with(&mut encoder, &all).unwrap();
    optimizer.set_frozen("head", true).unwrap();
    optimizer.step_with(&mut encoder, &none).unwrap();
    noop.queue.submit([encoder.finish()]);
    assert_eq!(optimizer.steps(), 5);
}
