//! Texts in words and marks, and back.

/// Stands for a space, as in SentencePiece. Each token says whether a space came before it, so that nothing is lost
/// but how many there were.
pub const SPACE: char = '\u{2581}';

/// Words, and marks one by one, each with [`SPACE`] before it where a space was, or the text's start.
pub fn split(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut token = String::from(SPACE);
        let mut is_word = None;
        for letter in word.chars() {
            let was_word = is_word.replace(letter.is_alphanumeric());
            if was_word.is_some_and(|was_word| !(was_word && letter.is_alphanumeric())) {
                tokens.push(std::mem::take(&mut token));
            }
            token.push(letter);
        }
        tokens.push(token);
    }
    tokens
}

/// The text of tokens, or of parts of them.
pub fn join<'a>(tokens: impl IntoIterator<Item = &'a str>) -> String {
    let text: String = tokens.into_iter().collect();
    text.replace(SPACE, " ").trim().to_owned()
}
