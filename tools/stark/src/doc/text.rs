//! The text of doc comments as HTML: Markdown, examples with what they print, code with its words coloured.
//!
//! Comments are written by anybody: HTML in them is shown as text, and a link leads to the web or to a page, not to a script.

use super::examples::{MORE, PROMPT, behind};
use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};
use stark_syntax::layout::{self, CommentKind};
use stark_syntax::source::SourceId;
use stark_syntax::token::TokenKind;

/// What a doc comment says. `link` finds the page of a name that stands in backquotes.
pub fn doc(text: &str, link: &dyn Fn(&str) -> Option<String>) -> Markup {
    html! {
        @for part in parts(text) {
            @match part {
                Part::Text(text) => (markdown(&text, link)),
                Part::Examples(lines) => (examples(&lines)),
            }
        }
    }
}

/// The first sentence or line, for lists.
pub fn summary(doc: &str) -> String {
    let first = doc.lines().take_while(|l| !l.trim().is_empty() && behind(l, PROMPT).is_none());
    let paragraph = first.collect::<Vec<_>>().join(" ");
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_string(),
        None => paragraph,
    }
}

enum Part {
    Text(String),
    Examples(Vec<String>),
}

/// Examples begin with a prompt and end with a blank line, as they do for the test that runs them.
fn parts(text: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut open = false;
    for line in text.lines() {
        open = behind(line, PROMPT).is_some() || open && !line.trim().is_empty();
        match (found.last_mut(), open) {
            (Some(Part::Examples(lines)), true) => lines.push(line.to_string()),
            (_, true) => found.push(Part::Examples(vec![line.to_string()])),
            (Some(Part::Text(text)), false) => {
                text.push('\n');
                text.push_str(line);
            }
            (_, false) => found.push(Part::Text(line.to_string())),
        }
    }
    found
}

fn examples(lines: &[String]) -> Markup {
    let mut in_code = true;
    html! {
        pre.example { code {
            @for line in lines {
                @let code = behind(line, PROMPT).map(|c| (PROMPT, c)).or_else(|| behind(line, MORE).filter(|_| in_code).map(|c| (MORE, c)));
                @let _ = in_code = code.is_some();
                @match code {
                    Some((prompt, code)) => { span.prompt { (prompt) " " } (highlight(code)) "\n" },
                    None => { span.output { (line) } "\n" },
                }
            }
        } }
    }
}

/// Markdown whose HTML is text.
fn markdown(text: &str, link: &dyn Fn(&str) -> Option<String>) -> Markup {
    let mut events: Vec<Event<'_>> = Vec::new();
    // A link in a link would end the outer one.
    let mut in_link = 0;
    let mut code: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => events.push(Event::Text(text)),
            Event::Start(Tag::CodeBlock(kind)) => {
                let is_stark = match &kind {
                    CodeBlockKind::Indented => true,
                    CodeBlockKind::Fenced(name) => name.is_empty() || &**name == "stark",
                };
                if is_stark {
                    code = Some(String::new());
                } else {
                    events.push(Event::Start(Tag::CodeBlock(kind)));
                }
            }
            Event::Text(text) if code.is_some() => code.get_or_insert_default().push_str(&text),
            Event::End(TagEnd::CodeBlock) if code.is_some() => {
                let block = html! { pre { code { (highlight(&code.take().unwrap_or_default())) } } };
                events.push(Event::Html(block.into_string().into()));
            }
            Event::Code(name) => {
                let found = link(&name).filter(|_| in_link == 0);
                let markup = html! {
                    @match found {
                        Some(href) => a href=(href) { code { (name) } },
                        None => code { (name) },
                    }
                };
                events.push(Event::InlineHtml(markup.into_string().into()));
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                in_link += 1;
                events.push(Event::Start(Tag::Link { link_type, dest_url: safe(dest_url), title, id }));
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                events.push(Event::Start(Tag::Image { link_type, dest_url: safe(dest_url), title, id }));
            }
            Event::End(TagEnd::Link) => {
                in_link -= 1;
                events.push(Event::End(TagEnd::Link));
            }
            event => events.push(event),
        }
    }
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events.into_iter());
    PreEscaped(out)
}

/// An address that only leads somewhere: `javascript:` and its like become a place on the page.
fn safe(url: CowStr<'_>) -> CowStr<'_> {
    let scheme = url.split(['/', '?', '#']).next().unwrap_or("").split_once(':').map(|(scheme, _)| scheme);
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        None | Some("http" | "https" | "mailto") => url,
        Some(_) => "#".into(),
    }
}

/// STARK code with its keywords, texts, numbers and comments in spans. Any text will do: what is no code stays as it is.
pub fn highlight(code: &str) -> Markup {
    let lexed = layout::lex(code, SourceId::default());
    let mut marks: Vec<(usize, usize, &str)> = Vec::new();
    let before = [None].into_iter().chain(lexed.tokens.iter().map(|t| Some(t.kind)));
    for (token, before) in lexed.tokens.iter().zip(before) {
        let class = match token.kind {
            // Behind `.` and `::` it is a name.
            kind if kind.is_keyword() && !matches!(before, Some(TokenKind::Dot | TokenKind::ColonColon)) => "keyword",
            TokenKind::Text | TokenKind::FormatText | TokenKind::BrokenText => "text",
            TokenKind::Number => "number",
            _ => continue,
        };
        marks.push((token.start as usize, token.end as usize, class));
    }
    for comment in lexed.comments.iter().filter(|c| c.kind != CommentKind::Shebang) {
        marks.push((comment.span.start as usize, comment.span.end as usize, "comment"));
    }
    marks.sort();
    let mut at = 0;
    html! {
        @for (start, end, class) in marks {
            // Overlaps come from broken code only.
            @if let (Some(before), Some(marked)) = (code.get(at..start.max(at)), code.get(start.max(at)..end.max(at))) {
                (before)
                span class=(class) { (marked) }
                @let _ = at = end.max(at);
            }
        }
        (code.get(at..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        doc(text, &|name| (name == "Vec").then(|| "vec.html#Vec".to_string())).into_string()
    }

    #[test]
    fn html_in_comments_is_text() {
        let html = shown("Takes a Vec<T> <script>alert(1)</script> & more");
        assert!(html.contains("Vec&lt;T&gt; &lt;script&gt;alert(1)&lt;/script&gt; &amp; more"), "{html}");
    }

    #[test]
    fn links_lead_to_the_web_or_a_page() {
        assert!(shown("[a](https://a.b/c) [b](#x) [c](other.html)").contains("href=\"https://a.b/c\""));
        let html = shown("[x](javascript:alert(1)) [y](JavaScript:y) [z](data:text/html,z) ![i](javascript:i)");
        assert!(!html.to_lowercase().contains("javascript:") && !html.contains("data:"), "{html}");
    }

    #[test]
    fn names_in_backquotes_lead_to_their_page() {
        assert!(
            shown("a `Vec` or `Voc`").contains("<a href=\"vec.html#Vec\"><code>Vec</code></a> or <code>Voc</code>")
        );
    }

    #[test]
    fn examples_show_what_they_print() {
        let html = shown("Adds.\n\n>>> 1 + \"<\"\n2 < 3\n\nMore.");
        let want = "<span class=\"prompt\">&gt;&gt;&gt; </span><span class=\"number\">1</span> + <span class=\"text\">&quot;&lt;&quot;</span>\n<span class=\"output\">2 &lt; 3</span>\n";
        assert!(html.contains(want), "{html}");
        assert!(html.contains("<p>More.</p>"), "{html}");
    }

    #[test]
    fn highlighting_keeps_every_character() {
        for code in ["let x = \"a\" // b", "f(\"broken", "/* open", "é = 'ß'", "", "a\n  b\n"] {
            let html = scraper::Html::parse_fragment(&format!("<pre>{}</pre>", highlight(code).into_string()));
            let text: String = html.root_element().text().collect();
            assert_eq!(text, code);
        }
    }

    #[test]
    fn a_summary_is_the_first_sentence() {
        assert_eq!(summary("The sum. Throws."), "The sum.");
        assert_eq!(summary("One\ntwo\n\nthree"), "One two");
        assert_eq!(summary(">>> x"), "");
    }
}
