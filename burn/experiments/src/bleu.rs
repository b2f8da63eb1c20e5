//! BLEU ([Papineni et al., 2002](https://aclanthology.org/P02-1040)) of a corpus, as
//! [sacrebleu](https://github.com/mjpost/sacrebleu) defines it (`nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`), so
//! that scores can be compared with other people's.

use std::collections::HashMap;

/// The longest n-grams that are counted.
const ORDERS: usize = 4;

/// BLEU in %, of hypotheses and their references. Texts are as people write them: this splits them into words.
pub fn corpus<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> f64 {
    let (mut correct, mut total) = ([0; ORDERS], [0; ORDERS]);
    let (mut length, mut reference_length) = (0, 0);
    for (hypothesis, reference) in texts {
        let [hypothesis, reference] = [hypothesis, reference].map(words);
        length += hypothesis.len();
        reference_length += reference.len();
        for order in 1..=ORDERS {
            let known = counts(&reference, order);
            for (gram, count) in counts(&hypothesis, order) {
                total[order - 1] += count;
                correct[order - 1] += count.min(known.get(gram).copied().unwrap_or_default());
            }
        }
    }
    // Without n-grams of an order a precision is not defined, and sacrebleu gives 0.
    if correct == [0; ORDERS] || total.contains(&0) {
        return 0.0;
    }
    // Precisions of 0 are smoothed: the first to half an n-gram, the next to a quarter, and so on.
    let mut smoothed = 1.0;
    let mut logarithms = 0.0;
    for (&correct, &total) in correct.iter().zip(&total) {
        let correct = match correct {
            0 => {
                smoothed /= 2.0;
                smoothed
            }
            _ => correct as f64,
        };
        logarithms += (correct / total as f64).ln();
    }
    let brevity = (1.0 - reference_length as f64 / length as f64).min(0.0);
    100.0 * (brevity + logarithms / ORDERS as f64).exp()
}

fn counts(words: &[String], order: usize) -> HashMap<&[String], u64> {
    let mut counts = HashMap::new();
    for gram in words.windows(order) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// The words by the rules of WMT's `mteval-v13a.pl`.
fn words(text: &str) -> Vec<String> {
    let text = text.trim_end_matches(is_space).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let mut letters = vec![' '];
    for letter in text.chars() {
        match letter {
            '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/' => {
                letters.extend([' ', letter, ' '])
            }
            _ => letters.push(letter),
        }
    }
    letters.push(' ');
    let is_mark = |letter| matches!(letter, '.' | ',');
    let is_digit = |letter: char| letter.is_ascii_digit();
    let letters = spaced(&letters, |a, b| !is_digit(a) && is_mark(b), ["", " ", " "]);
    let letters = spaced(&letters, |a, b| is_mark(a) && !is_digit(b), [" ", " ", ""]);
    let letters = spaced(&letters, |a, b| is_digit(a) && b == '-', ["", " ", " "]);
    let words = letters.split(|&letter| is_space(letter)).filter(|word| !word.is_empty());
    words.map(|word| word.iter().collect()).collect()
}

/// Puts spaces before, between and after two letters, wherever both are as given. From left to right, and no letter
/// is looked at twice in a match, as regular expressions replace.
fn spaced(letters: &[char], is_match: impl Fn(char, char) -> bool, spaces: [&str; 3]) -> Vec<char> {
    let [before, between, after] = spaces;
    let mut result = Vec::with_capacity(2 * letters.len());
    let mut rest = letters;
    loop {
        rest = match *rest {
            [a, b, ref rest @ ..] if is_match(a, b) => {
                result
                    .extend(before.chars().chain([a]).chain(between.chars()).chain([b]).chain(after.chars()));
                rest
            }
            [a, ref rest @ ..] => {
                result.push(a);
                rest
            }
            [] => return result,
        };
    }
}

/// Python's spaces: Unicode's, and four control characters.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\u{1c}'..='\u{1f}')
}
