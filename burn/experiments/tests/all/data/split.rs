use experiments::data::pairs::Pair;
use experiments::data::split::Parts;
use std::collections::HashSet;

fn pairs(sources: usize) -> impl Iterator<Item = Pair> {
    let pair = |source, target| Pair { source: format!("sentence {source}"), target: format!("{target}") };
    (0..sources).flat_map(move |source| [pair(source, 1), pair(source, 2)])
}

#[test]
fn parts_share_no_source() {
    let Parts { train, valid, test } = Parts::by_source(pairs(2_000), 40);
    assert_eq!(train.len() + valid.len() + test.len(), 4_000);
    let sources =
        [&train, &valid, &test].map(|part| part.iter().map(|pair| &pair.source).collect::<HashSet<_>>());
    assert_eq!(sources.iter().map(HashSet::len).sum::<usize>(), 2_000);
    // About one in 40, and both translations of each.
    assert!(sources[1..].iter().all(|sources| (30..70).contains(&sources.len())));
    assert_eq!((valid.len(), test.len()), (2 * sources[1].len(), 2 * sources[2].len()));
}

#[test]
fn a_pair_stays_where_it_is() {
    let [few, many] = [100, 2_000].map(|count| Parts::by_source(pairs(count), 10));
    assert!(few.test.iter().all(|pair| many.test.contains(pair)));
    let sources: Vec<_> = few.test.iter().map(|pair| &*pair.source).step_by(2).take(3).collect();
    assert_eq!(sources, ["sentence 3", "sentence 9", "sentence 25"]);
}
