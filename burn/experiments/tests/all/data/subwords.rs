use experiments::data::subwords::{END_NUMBER, Subwords, UNKNOWN_NUMBER};
use experiments::data::tokens;
use std::collections::BTreeMap;

/// As in the paper's example, and a letter that comes once.
const TEXT: &str =
    "low low low low low lower lower newest newest newest newest newest newest widest widest widest q";

fn vocabulary(subwords: &Subwords) -> Vec<&str> {
    (0..subwords.vocabulary().len() as u32).filter_map(|number| subwords.vocabulary().word(number)).collect()
}

fn parts(subwords: &Subwords, text: &str) -> String {
    let part = |&number: &u32| subwords.vocabulary().word(number).expect("a sub-word");
    subwords.encode(text).iter().map(part).collect::<Vec<_>>().join(" ")
}

/// The first words, and the letters of what `made` gives.
const LETTERS: usize = 4 + 5;

/// A text of made words, some of them more frequent than others.
fn made() -> String {
    let word = |index: usize| ["ab", "ba", "aab", "bcb", "ccc", "aaaaa", "cab"][index * index % 7].to_owned();
    let words = (0..400).map(|index| word(index) + &word(index / 3) + if index % 5 == 0 { "," } else { "" });
    words.collect::<Vec<_>>().join(" ")
}

/// Pairs counted anew for each merge.
fn counted_anew(text: &str, subwords: &Subwords) -> Vec<String> {
    let mut words: Vec<Vec<String>> =
        tokens::split(text).iter().map(|word| word.chars().map(String::from).collect()).collect();
    let number = |part: &str| subwords.vocabulary().get(part).expect("a sub-word");
    let mut merged = Vec::new();
    while merged.len() + LETTERS < subwords.vocabulary().len() {
        let mut counts = BTreeMap::new();
        for word in &words {
            for pair in word.windows(2) {
                *counts
                    .entry((number(&pair[0]), number(&pair[1]), pair[0].clone(), pair[1].clone()))
                    .or_insert(0) += 1;
            }
        }
        let most = *counts.values().max().expect("pairs");
        let (_, _, first, second) = counts.into_iter().find(|(_, count)| *count == most).expect("a pair").0;
        for word in &mut words {
            let mut place = 0;
            while place + 1 < word.len() {
                if word[place] == first && word[place + 1] == second {
                    word.splice(place..place + 2, [first.clone() + &second]);
                }
                place += 1;
            }
        }
        merged.extend(Some(first + &second).filter(|part| !merged.contains(part)));
    }
    merged
}

#[test]
fn what_is_most_frequent_is_merged() {
    // 4 words that stand for something, 11 letters with the mark of a space, and what 10 merges give.
    let subwords = Subwords::learn([TEXT], 25);
    let expected = "<pad> <unk> <bos> <eos> e ▁ w s t l o n d i r q es est ▁l ow ▁low ew ▁n ewest ▁newest";
    assert_eq!(vocabulary(&subwords).join(" "), expected);
    assert_eq!(parts(&subwords, "lowest newer"), "▁low est ▁n ew e r");
}

#[test]
fn counts_are_kept_right() {
    let text = made();
    let subwords = Subwords::learn([&*text], 60);
    let found = vocabulary(&subwords);
    assert_eq!(found[LETTERS..], counted_anew(&text, &subwords));
}

#[test]
fn texts_come_back() {
    let subwords = Subwords::learn([TEXT, "Größe (3,5 cm)."], 60);
    for text in ["lowest wider west", "Größer.", "(5,3) low", ""] {
        assert_eq!(subwords.decode(&subwords.encode(text)), text);
    }
    assert_eq!(subwords.decode(&subwords.encode("low 日本")), "low <unk><unk>");
    // None of the words that stand for something comes of a text.
    let numbers = subwords.encode("low <eos> <pad>");
    assert!(numbers.iter().all(|&number| number == UNKNOWN_NUMBER || number > END_NUMBER));
}

#[test]
fn the_same_texts_give_the_same() {
    let text = made();
    let subwords = Subwords::learn([&*text], 60);
    assert_eq!(vocabulary(&subwords), vocabulary(&Subwords::learn(text.split_inclusive(' '), 60)));
    // In a word that was not learned from, and in words that were.
    assert_eq!(parts(&subwords, "abbaxaab abba"), "▁ab ba <unk> aab ▁ab ba");
}

#[test]
fn letters_leave_room() {
    let subwords = Subwords::learn([TEXT], 12);
    let expected = "<pad> <unk> <bos> <eos> e ▁ w s t l es est";
    assert_eq!(vocabulary(&subwords).join(" "), expected);
    assert_eq!(parts(&subwords, "low"), "▁ l <unk> w");
    assert_eq!([0, 5, 7].map(|most| Subwords::learn([TEXT], most).vocabulary().len()), [4, 5, 7]);
}

#[test]
fn no_texts_give_no_subwords() {
    assert_eq!(Subwords::learn([], 100).vocabulary().len(), 4);
    assert!(Subwords::learn([], 100).encode("a").contains(&UNKNOWN_NUMBER));
}
