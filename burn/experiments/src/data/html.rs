//! The paragraphs of LibreOffice's help pages: just as much HTML as they have.

/// Ids of what is a page's own text begin so; others are of menus.
const OWN: [&str; 2] = ["par_", "hd_"];

/// Ids and texts of the paragraphs and headings, in order; or what the page ends in the middle of.
pub(super) fn paragraphs(page: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut open: Option<Open> = None;
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        let Some(end) = tag.find('>') else { return Err(format!("the tag `{}`", super::files::start(tag))) };
        let inside = &tag[1..end];
        rest = &tag[end + 1..];
        if let Some(open) = &mut open {
            open.text(text);
            open.tag(inside);
        }
        let name = name(inside);
        if open.as_ref().is_some_and(|open| inside.strip_prefix('/') == Some(open.name.as_str())) {
            found.extend(open.take().map(Open::finish));
        } else if is_block(name)
            && let Some(id) = attribute(inside, "id").filter(|id| OWN.iter().any(|own| id.starts_with(own)))
        {
            // A block in an open one: browsers end that there.
            found.extend(open.take().map(Open::finish));
            open = Some(Open { name: name.to_owned(), id: id.to_owned(), ..Open::default() });
        }
    }
    match open {
        Some(open) => Err(format!("the paragraph `{}`", open.id)),
        None if !rest.trim().is_empty() || !page.contains("</html>") => Err("the page".to_owned()),
        None => Ok(found),
    }
}

/// A paragraph that is being read.
#[derive(Default)]
struct Open {
    name: String,
    id: String,
    text: String,
    /// Whether each span that is open is of another system or program, whose text is left out.
    spans: Vec<bool>,
}

impl Open {
    fn text(&mut self, text: &str) {
        if !self.spans.contains(&true) {
            self.text.push_str(text);
        }
    }

    fn tag(&mut self, inside: &str) {
        match name(inside) {
            "span" => {
                // One text of several is shown, which `default` is where there is no reason for another.
                let is_default = attribute(inside, "id").is_some_and(|id| id.starts_with("default"));
                self.spans.push(inside.contains("hidden=\"true\"") && !is_default);
            }
            "/span" => drop(self.spans.pop()),
            "br" | "img" => self.text.push(' '),
            _ => {}
        }
    }

    fn finish(self) -> (String, String) {
        let text = self.text.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ");
        // Last, so that `&amp;lt;` stays `&lt;`.
        let text = text.replace("&quot;", "\"").replace("&amp;", "&");
        (self.id, text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

fn name(inside: &str) -> &str {
    inside.split(|letter: char| letter.is_whitespace()).next().unwrap_or_default()
}

fn is_block(name: &str) -> bool {
    matches!(name, "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

fn attribute<'a>(inside: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = inside.split_once(&format!(" {name}=\""))?;
    value.split_once('"').map(|(value, _)| value)
}
