use experiments::data::tokens;

#[test]
fn words_and_marks_are_apart() {
    let cases = [
        ("Die Größe (3,5 cm).", "▁Die ▁Größe ▁( 3 , 5 ▁cm ) ."),
        ("„So“ -- it's", "▁„ So “ ▁- - ▁it ' s"),
        ("  two \t spaces ", "▁two ▁spaces"),
        ("", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(tokens::split(text).join(" "), expected);
    }
}

#[test]
fn nothing_but_runs_of_spaces_is_lost() {
    for text in
        ["Click \"OK\" (or [Cancel]); a/b, x-y...", "„Hallo“, sagte er – so ist’s.", "日本語 - 1,234.5%", ""]
    {
        assert_eq!(tokens::join(tokens::split(text).iter().map(String::as_str)), text);
    }
}
