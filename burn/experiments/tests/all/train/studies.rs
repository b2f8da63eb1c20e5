//! The runs of figures and tables.

use experiments::presets::Preset;
use experiments::store::Store;
use experiments::studies::{Size, Study};
use std::collections::HashSet;

#[test]
fn every_run_can_be_made_and_has_a_file_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a folder");
    for size in [Size::Full, Size::Reduced] {
        let (mut runs, mut files) = (vec![], HashSet::new());
        for study in Study::ALL {
            for run in study.runs(size, 3) {
                assert!(Preset::find(&run.preset).is_some(), "{}", run.preset);
                if !runs.contains(&run) {
                    assert!(files.insert(store.record(&run)), "{}", store.record(&run).display());
                    runs.push(run);
                }
            }
        }
    }
}

#[test]
fn figures_are_found_by_their_names() {
    for study in Study::ALL {
        for name in study.names() {
            assert_eq!(Study::find(name), Some(study));
        }
    }
    assert_eq!(Study::find("figure-3"), None);
}
