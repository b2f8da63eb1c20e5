use super::{message, write};
use experiments::data::help;
use experiments::data::pairs::Pair;

/// A page as the packages have them: menus, then the text.
fn page(body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en-US\"><head><title>Page</title></head><body>\
         <p id=\"bm_system\">menu</p><div id=\"DisplayArea\">{body}</div></body></html>\n"
    )
}

const ENGLISH: &str = "<h1 id=\"hd_id1\" dir=\"auto\">   General</h1>\
    <p id=\"par_id2\" class=\"paragraph\">Choose <span id=\"swlnsys\" class=\"switchinline\">\
    <span hidden=\"true\" id=\"MACx\" class=\"MAC\"><span class=\"emph\">Preferences</span></span>\
    <span hidden=\"true\" id=\"defaultx\"><span class=\"emph\">Tools</span></span></span> &amp; more.</p>\
    <p id=\"par_id3\">SUM(A1)</p><p id=\"par_id4\">Only here.</p><p id=\"par_id5\">a &lt; b</p>";
const GERMAN: &str = "<h1 id=\"hd_id1\">Allgemein</h1><p id=\"par_id2\">Wählen Sie\n Extras.</p>\
    <p id=\"par_id3\">SUM(A1)</p><p id=\"par_id5\">a ist &amp;lt; b</p>";

#[test]
fn paragraphs_of_the_same_id_are_pairs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, target) = (folder.path().join("en-US"), folder.path().join("de"));
    for name in ["text/a/1.html", "text/a/2.html"] {
        write(&source, name, page(ENGLISH));
        write(&target, name, page(GERMAN));
    }
    write(&source, "text/only.html", page(ENGLISH));
    write(&source, "text/style.css", "");
    let pair = |source: &str, target: &str| Pair { source: source.to_owned(), target: target.to_owned() };
    let expected = [
        pair("General", "Allgemein"),
        pair("Choose Tools & more.", "Wählen Sie Extras."),
        pair("a < b", "a ist &lt; b"),
    ];
    // The second page says nothing new.
    assert_eq!(help::pairs(&source, &target).expect("pairs"), expected);
}

#[test]
fn a_page_cut_anywhere_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, target) = (folder.path().join("en-US"), folder.path().join("de"));
    write(&source, "text/a.html", page(ENGLISH));
    let whole = page(GERMAN);
    let end = whole.trim_end().len();
    for length in (0..end).filter(|&length| whole.is_char_boundary(length)) {
        write(&target, "text/a.html", &whole[..length]);
        let text = message(help::pairs(&source, &target), "a.html");
        assert!(text.contains("in the middle of"), "{text}");
    }
}

#[test]
fn missing_pages_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, target) = (folder.path().join("en-US"), folder.path().join("de"));
    assert!(message(help::pairs(&source, &target), "en-US").contains("not a folder"));
    write(&source, "text/note.txt", "");
    assert!(message(help::pairs(&source, &target), "en-US").contains("no pages"));
    write(&source, "text/a.html", page(ENGLISH));
    let text = message(help::pairs(&source, &target), "de");
    assert!(text.contains("give the folder of a language with the pages of"), "{text}");
}
