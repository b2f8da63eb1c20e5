use experiments::data::vocabulary::Vocabulary;

#[test]
fn the_most_frequent_words_are_kept() {
    let words = ["b", "c", "a", "c", "b", "d"];
    let vocabulary = Vocabulary::frequent(&["<pad>"], words, 4);
    assert_eq!(
        (0..4).map(|number| vocabulary.word(number).unwrap_or_default()).collect::<Vec<_>>(),
        ["<pad>", "b", "c", "a"]
    );
    assert_eq!((vocabulary.len(), vocabulary.get("d"), vocabulary.is_empty()), (4, None, false));
}
