//! Sites made from small modules, read back as HTML.

use super::{Input, Output, generate};
use scraper::{ElementRef, Html, Selector};
use stark_syntax::source::SourceMap;
use std::collections::HashSet;

fn site(modules: &[(&str, &str)]) -> Vec<Output> {
    let mut sources = SourceMap::new();
    let input = |(name, text): &(&str, &str)| Input {
        name: name.to_string(),
        source: sources.add(format!("{name}.stark"), *text),
        is_std: name.starts_with("prelude/"),
    };
    let inputs: Vec<Input> = modules.iter().map(input).collect();
    generate("My <site>", &sources, &inputs).unwrap_or_else(|e| panic!("{e:?}"))
}

fn page(files: &[Output], path: &str) -> Html {
    let file = files.iter().find(|f| f.path == path).unwrap_or_else(|| panic!("no {path}"));
    Html::parse_document(&file.text)
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).expect("a selector")).collect()
}

fn texts(html: &Html, selector: &str) -> Vec<String> {
    all(html, selector).iter().map(|e| e.text().collect::<String>()).collect()
}

const SHAPES: &str = r#"/// Shapes & sizes: `Shape`, Vec<T>.
///
/// >>> shapes.area(Circle(1.0))
/// 3.14

/// Anything with an area.
trait Shape:
    /// How large it is.
    fn area(&self) -> Float

/// Round.
struct Circle:
    radius: Float
    _cache: Float = 0.0

impl Shape for Circle:
    fn area(&self) -> Float: return self.radius

impl Circle:
    /// A larger one.
    fn grown(&self, by: Float = 1.0 + 1.0) -> Circle: return Circle(self.radius + by)
    fn _secret(&self): pass

/// By <b>number</b>.
@overload fn area(r: Float) -> Float: return r
/// By shape.
@overload fn area(c: Circle) -> Float: return c.radius

fn _hidden(): pass

/// The largest.
const MAX: Int = 10
"#;

#[test]
fn a_page_shows_what_is_public_and_escapes_what_is_text() {
    let files = site(&[("shapes", SHAPES)]);
    let html = page(&files, "module/shapes.html");
    let ids: Vec<&str> = all(&html, "section").iter().filter_map(|e| e.attr("id")).collect();
    assert_eq!(ids, ["Circle", "Circle.grown", "Shape", "Shape.area", "area", "MAX"]);
    let signatures = texts(&html, "#area > pre.signature");
    assert_eq!(signatures, ["fn area(r: Float) -> Float", "fn area(c: Circle) -> Float"]);
    assert_eq!(texts(&html, "#Circle > pre.signature"), ["struct Circle\n    radius: Float"]);
    let methods = texts(&html, "#Circle pre.signature");
    assert!(methods.contains(&"impl Shape for Circle".to_string()), "{methods:?}");
    assert!(methods.contains(&"fn grown(&self, by: Float = 1.0 + 1.0) -> Circle".to_string()), "{methods:?}");
    assert_eq!(texts(&html, "#area > p"), ["By <b>number</b>.", "By shape."]);
    assert!(all(&html, "article b").is_empty(), "HTML of a comment became part of the page");
    assert_eq!(texts(&html, ".example .output"), ["3.14"]);
    assert_eq!(texts(&html, "title"), ["shapes - My <site>"]);
}

#[test]
fn types_lead_to_where_they_are_declared() {
    let user = "fn draw(c: shapes.Circle, text: Text) -> Vec<shapes.Circle>: return []\n";
    let files = site(&[("shapes", SHAPES), ("user", user), ("prelude/text", "struct Text: pass\n")]);
    let html = page(&files, "module/user.html");
    let links: Vec<&str> = all(&html, "a.type").iter().filter_map(|a| a.attr("href")).collect();
    assert_eq!(links, ["shapes.html#Circle", "prelude.text.html#Text", "shapes.html#Circle"]);
}

#[test]
fn every_link_leads_to_a_place_that_is_there() {
    let odd = "/// See `Strange`.\nstruct Strange: pass\n";
    let files = site(&[("shapes", SHAPES), ("a.b", "fn f(s: Strange) -> Strange: return s\n"), ("ä & b", odd)]);
    let mut n_links = 0;
    for file in files.iter().filter(|f| f.path.ends_with(".html")) {
        let html = Html::parse_document(&file.text);
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for href in all(&html, "a[href]").iter().filter_map(|a| a.attr("href")) {
            let (to, place) = href.split_once('#').unwrap_or((href, ""));
            let to = decode(to);
            let path = match to.strip_prefix("../") {
                Some(up) => up.to_string(),
                None if to.is_empty() => file.path.clone(),
                None if folder.is_empty() => to,
                None => format!("{folder}/{to}"),
            };
            let target = page(&files, &path);
            let ids: HashSet<&str> = all(&target, "[id]").iter().filter_map(|e| e.attr("id")).collect();
            assert!(place.is_empty() || ids.contains(decode(place).as_str()), "{}: {href}", file.path);
            n_links += 1;
        }
    }
    assert!(n_links > 30, "only {n_links} links");
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&more[..2]).expect("digits"), 16).expect("digits"));
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_search_index_is_data_that_cannot_end_the_script() {
    let files = site(&[("m", "/// </script> \"quoted\" \\ back\nfn f(): pass\n")]);
    let index = &files.iter().find(|f| f.path == "search-index.js").expect("an index").text;
    assert!(!index.contains("</script>"));
    assert!(
        index.contains(r#"["m.f","function","module/m.html#f","\u003c/script\u003e \"quoted\" \\ back"]"#),
        "{index}"
    );
}

#[test]
fn equal_sources_give_equal_bytes_without_anything_from_outside() {
    let modules = [("shapes", SHAPES), ("user", "fn f(): pass\n")];
    let (first, second) = (site(&modules), site(&modules));
    for (a, b) in first.iter().zip(&second) {
        assert!(a.path == b.path && a.text == b.text, "{}", a.path);
    }
    for file in first.iter().filter(|f| f.path.ends_with(".html")) {
        let html = Html::parse_document(&file.text);
        for element in all(&html, "script[src], link[href], img[src]") {
            let address = element.attr("src").or(element.attr("href")).expect("an address");
            assert!(!address.contains("//"), "{}: {address}", file.path);
        }
    }
}

#[test]
fn a_module_that_does_not_parse_is_an_error() {
    let mut sources = SourceMap::new();
    let source = sources.add("bad.stark", "fn f(:\n");
    let input = Input { name: "bad".into(), source, is_std: false };
    assert!(generate("x", &sources, &[input]).is_err_and(|found| !found.is_empty()));
}

#[test]
fn the_whole_library_has_a_page_a_module() {
    let mut sources = SourceMap::new();
    let input = |&(path, text): &(&str, &str)| Input {
        name: path.to_string(),
        source: sources.add(format!("std/{path}.stark"), text),
        is_std: true,
    };
    let inputs: Vec<Input> = stark_std::SOURCES.iter().map(input).collect();
    let files = generate("std", &sources, &inputs).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(files.len(), 2 * inputs.len() + 4);
    let html = page(&files, "module/deque.html");
    assert!(!all(&html, "#Deque\\.push_back").is_empty());
    let html = page(&files, "module/prelude.string.html");
    assert!(texts(&html, "#String pre.signature").contains(&"fn upper(&self) -> String".to_string()));
}
