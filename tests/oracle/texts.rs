//! Every kernel's text: name, entry point, the constants that pipelines are made with, WGSL.

use std::collections::BTreeMap;

use crate::{record::Record, sources};

#[test]
fn kernels_are_as_recorded() {
    // What a kernel does and of which rule; its name goes on with access and policy.
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources::all() {
        let kind = source.name.split(',').next().unwrap().to_owned();
        let constants = sources::constants(&source);
        let text = format!("// {}: {}\n// {constants:?}\n{}\n", source.name, source.entry, source.wgsl);
        kinds.entry(kind).or_default().push(text);
    }
    let mut record = Record::new("sources");
    for (kind, mut texts) in kinds {
        texts.sort();
        record.case(&kind, texts.iter().map(String::as_str));
    }
    record.finish();
}
