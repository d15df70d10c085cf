//! `stark lsp` driven as an editor drives it: over its standard input and output.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Nothing here takes seconds; a guess that a busy machine keeps.
const LIMIT: Duration = Duration::from_secs(60);

struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// What came while something else was waited for.
    kept: Vec<Value>,
    n_requests: i64,
    version: i64,
    folder: tempfile::TempDir,
}

/// A text with places marked `§`; the marks are taken out.
struct Marked {
    text: String,
    places: Vec<(usize, usize)>,
}

fn marked(text: &str) -> Marked {
    let (mut out, mut places) = (String::new(), Vec::new());
    for part in text.split('§') {
        out += part;
        let line = out.matches('\n').count();
        let column = out.rsplit('\n').next().unwrap_or("").encode_utf16().count();
        places.push((line, column));
    }
    places.pop();
    Marked { text: out, places }
}

impl Editor {
    fn start() -> Editor {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Command::new(env!("CARGO_BIN_EXE_stark"))
            .args(["lsp", "--debounce", "10"])
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let input = server.stdin.take().expect("piped");
        let mut output = BufReader::new(server.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut editor = Editor { server, input, messages, kept: Vec::new(), n_requests: 0, version: 0, folder };
        let root = editor.uri("");
        let answer = editor.ask("initialize", json!({ "processId": null, "rootUri": root, "capabilities": {} }));
        assert_eq!(answer["capabilities"]["positionEncoding"], "utf-16");
        editor.tell("initialized", json!({}));
        editor
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}/{name}", self.folder.path().display()).trim_end_matches('/').to_string()
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("the server reads");
        self.input.flush().expect("the server reads");
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn begin(&mut self, method: &str, params: Value) -> i64 {
        self.n_requests += 1;
        let id = self.n_requests;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        loop {
            let message = self.messages.recv_timeout(LIMIT).unwrap_or_else(|e| panic!("no {what}: {e}"));
            if wanted(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    fn answer_to(&mut self, id: i64) -> Value {
        self.wait("answer", |m| m["id"] == id)
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        let answer = self.answer_to(id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn refused(&mut self, method: &str, params: Value) -> String {
        let id = self.begin(method, params);
        let answer = self.answer_to(id);
        answer["error"]["message"].as_str().unwrap_or_else(|| panic!("not refused: {answer}")).to_string()
    }

    fn open(&mut self, name: &str, text: &str) {
        self.version += 1;
        let uri = self.uri(name);
        let document = json!({ "uri": uri, "languageId": "stark", "version": self.version, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn change(&mut self, name: &str, text: &str) {
        self.version += 1;
        let document = json!({ "uri": self.uri(name), "version": self.version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [{ "text": text }] }));
    }

    /// The diagnostics of the newest text.
    fn diagnostics(&mut self, name: &str) -> Vec<Value> {
        let (uri, version) = (self.uri(name), self.version);
        let message = self.wait("diagnostics", |m| {
            m["method"] == "textDocument/publishDiagnostics"
                && m["params"]["uri"] == uri
                && m["params"]["version"] == version
        });
        message["params"]["diagnostics"].as_array().expect("a list").clone()
    }

    fn at(&self, name: &str, (line, character): (usize, usize)) -> Value {
        json!({ "textDocument": { "uri": self.uri(name) }, "position": { "line": line, "character": character } })
    }

    fn ask_at(&mut self, method: &str, name: &str, place: (usize, usize)) -> Value {
        let params = self.at(name, place);
        self.ask(&format!("textDocument/{method}"), params)
    }

    fn hover(&mut self, name: &str, place: (usize, usize)) -> String {
        self.ask_at("hover", name, place)["contents"]["value"].as_str().unwrap_or("nothing").to_string()
    }

    /// The labels of what is offered at the mark, as the editor would list them.
    fn completions(&mut self, name: &str, text: &str) -> Vec<String> {
        let text = marked(text);
        self.change(name, &text.text);
        let answer = self.ask_at("completion", name, text.places[0]);
        let mut items = answer.as_array().expect("a list").clone();
        items.sort_by_key(|i| i["sortText"].as_str().or(i["label"].as_str()).unwrap_or("").to_string());
        items.iter().map(|i| i["label"].as_str().unwrap_or("").to_string()).collect()
    }

    fn finish(mut self) {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        assert_eq!(self.server.wait().expect("an end").code(), Some(0));
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // After `finish` it is gone already; a failed test leaves it.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim() {
            "" => break,
            header => {
                if let Some(n) = header.strip_prefix("Content-Length: ") {
                    length = n.parse().ok()?;
                }
            }
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// `line:column` of ranges, in order.
fn starts(list: &Value) -> Vec<String> {
    let start = |v: &Value| {
        let range = if v["range"].is_object() { &v["range"] } else { v };
        format!("{}:{}", range["start"]["line"], range["start"]["character"])
    };
    let mut out: Vec<String> = list.as_array().expect("a list").iter().map(start).collect();
    out.sort();
    out
}

const SHAPES: &str = "\
/// Adds two numbers.
fn §add(a: Int, b: Int = 1) -> Int:
    return a + §b

struct Point:
    x: Float
    /// How high.
    y: Float = 0.0
    fn norm(&self) -> Float:
        return (self.§x ** 2 + self.y ** 2).sqrt()

let p = Point(1.0, y = 2.0)
let total = add(1, §b = 2)
let t = zeros<Float32>([2, 3])
let u§ = t @ ones<Float32>([3, 4])
print(p.no§rm(), total, u.§sum(), [1].ma§p(|v| v + to§tal))
";

#[test]
fn hover_tells_declarations_types_shapes_and_documentation() {
    let mut editor = Editor::start();
    let text = marked(SHAPES);
    editor.open("a.stark", &text.text);
    let shown: Vec<String> = text.places.iter().map(|p| editor.hover("a.stark", *p)).collect();
    assert!(
        shown[0].contains("fn add(a: Int, b: Int = 1) -> Int") && shown[0].contains("Adds two numbers."),
        "{}",
        shown[0]
    );
    assert!(shown[1].contains("b: Int"), "{}", shown[1]);
    assert!(shown[2].contains("x: Float\n# of Point"), "{}", shown[2]);
    assert!(shown[3].contains("b: Int"), "{}", shown[3]);
    assert!(shown[4].contains("let u: Tensor<Float32>[2, 4]"), "{}", shown[4]);
    assert!(shown[5].contains("fn norm(&self) -> Float"), "{}", shown[5]);
    assert!(shown[7].contains("gives `Vec<Int>` here"), "{}", shown[7]);
    assert!(shown[8].contains("let total: Int"), "{}", shown[8]);
    editor.finish();
}

#[test]
fn a_broken_text_is_told_and_understood_all_the_same() {
    let mut editor = Editor::start();
    let text = marked("let na§me = \"a😀b\"\nlet n: Int = name\nlet other = na§me.\nfn half(\n");
    editor.open("a.stark", &text.text);
    let found = editor.diagnostics("a.stark");
    assert!(found.iter().all(|d| d["code"].as_str().is_some_and(|c| c.starts_with("E01"))), "{found:?}");
    assert!(editor.hover("a.stark", text.places[0]).contains("let name: String"));
    assert!(editor.hover("a.stark", text.places[1]).contains("let name: String"));
    // Mended, the types are judged; columns behind the emoji count UTF-16 units.
    editor.change("a.stark", "print(\"😀\", missing)\nlet n: Int = \"x\"\nprint(n)\n");
    let found = editor.diagnostics("a.stark");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1]["code"], "E0301");
    assert_eq!(found[1]["severity"], 1);
    let page = found[1]["codeDescription"]["href"].as_str().expect("a page");
    let page = std::fs::read_to_string(page.trim_start_matches("file://")).expect("the page is there");
    assert!(page.starts_with("E0301"), "{page}");
    let (from, to) = (json!({ "line": 0, "character": 12 }), json!({ "line": 0, "character": 19 }));
    assert_eq!(found[0]["range"], json!({ "start": from, "end": to }));
    editor.change("a.stark", "print(1)\n");
    assert_eq!(editor.diagnostics("a.stark"), Vec::<Value>::new());
    editor.finish();
}

#[test]
fn diagnostics_have_their_other_places_and_their_fixes() {
    let mut editor = Editor::start();
    let text = "let x = 1\nx = 2\nlet lenght = 3\nprint(lengt, x)\n";
    editor.open("a.stark", text);
    let found = editor.diagnostics("a.stark");
    let immutable = found.iter().find(|d| d["code"] == "E0502").unwrap_or_else(|| panic!("{found:?}"));
    let related = &immutable["relatedInformation"][0];
    assert_eq!(related["location"]["range"]["start"]["line"], 0, "{immutable}");
    let unknown = found.iter().find(|d| d["code"] == "E0201").unwrap_or_else(|| panic!("{found:?}"));
    let params = json!({
        "textDocument": { "uri": editor.uri("a.stark") },
        "range": unknown["range"],
        "context": { "diagnostics": [unknown] },
    });
    let actions = editor.ask("textDocument/codeAction", params);
    let action = &actions[0];
    assert_eq!(action["title"], "write `lenght`");
    assert_eq!(action["diagnostics"][0]["code"], "E0201");
    let edit = &action["edit"]["changes"][editor.uri("a.stark")][0];
    assert_eq!(edit["newText"], "lenght");
    assert_eq!(edit["range"], unknown["range"]);
    editor.finish();
}

#[test]
fn definitions_are_found_here_in_other_files_and_in_the_library() {
    let mut editor = Editor::start();
    std::fs::write(editor.folder.path().join("helpers.stark"), "fn twice(n: Int) -> Int:\n    return n * 2\n")
        .expect("written");
    let text = marked("from helpers import twice\nlet a = 1\nprint(twi§ce(§a), [a].ma§p(|x| x))\n");
    editor.open("a.stark", &text.text);
    let there = editor.ask_at("definition", "a.stark", text.places[0]);
    assert_eq!(there["uri"], editor.uri("helpers.stark"));
    assert_eq!(there["range"]["start"], json!({ "line": 0, "character": 3 }));
    let here = editor.ask_at("definition", "a.stark", text.places[1]);
    assert_eq!((here["uri"].as_str(), &here["range"]["start"]["line"]), (Some(&*editor.uri("a.stark")), &json!(1)));
    let library = editor.ask_at("definition", "a.stark", text.places[2]);
    let path = PathBuf::from(library["uri"].as_str().expect("an address").trim_start_matches("file://"));
    assert!(path.starts_with(editor.folder.path().join("cache")) && path.ends_with("prelude/vec.stark"), "{path:?}");
    let source = std::fs::read_to_string(&path).expect("the library's source is there");
    let line = library["range"]["start"]["line"].as_u64().expect("a line") as usize;
    assert!(source.lines().nth(line).is_some_and(|l| l.contains("fn map")), "{library}");
    // The library's own file is looked at as what it is.
    let uri = library["uri"].clone();
    let document = json!({ "uri": uri, "languageId": "stark", "version": 1, "text": source });
    editor.tell("textDocument/didOpen", json!({ "textDocument": document }));
    let place = json!({ "textDocument": { "uri": uri }, "position": library["range"]["start"] });
    let hover = editor.ask("textDocument/hover", place);
    assert!(hover["contents"]["value"].as_str().is_some_and(|v| v.contains("fn map")), "{hover}");
    let told = editor.wait("diagnostics", |m| m["params"]["uri"] == uri);
    assert_eq!(told["params"]["diagnostics"], json!([]));
    editor.finish();
}

#[test]
fn imports_go_where_the_package_says() {
    let mut editor = Editor::start();
    let write = |name: &str, text: &str| {
        let path = editor.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("written");
        std::fs::write(path, text).expect("written");
    };
    let package =
        |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nentry = \"src/main.stark\"\n");
    write("shop/stark.toml", &format!("{}\n[dependencies]\ntill = {{ path = \"../till\" }}\n", package("shop")));
    write("shop/src/prices.stark", "fn of(name: String) -> Int: return len(name)\n");
    write("till/stark.toml", &package("till"));
    write("till/src/main.stark", "fn open() -> Int: return 1\n");
    write("till/src/coins.stark", "fn count(n: Int) -> Int: return n\n");
    let text = marked(
        "import prices\nimport till\nimport till.coins as coins\nprint(prices.o§f(\"a\"), till.op§en(), coins.cou§nt(1))\n",
    );
    editor.open("shop/src/main.stark", &text.text);
    let files = ["shop/src/prices.stark", "till/src/main.stark", "till/src/coins.stark"];
    for (place, file) in text.places.iter().zip(files) {
        let there = editor.ask_at("definition", "shop/src/main.stark", *place);
        assert!(there["uri"].as_str().is_some_and(|uri| uri.ends_with(file)), "{file}: {there}");
    }
    editor.finish();
}

#[test]
fn references_and_renames_go_through_all_files() {
    let mut editor = Editor::start();
    let helpers =
        "fn twice(n: Int) -> Int:\n    return n * 2\n\nfn four(n: Int) -> Int:\n    return twice(twice(n = n))\n";
    std::fs::write(editor.folder.path().join("helpers.stark"), helpers).expect("written");
    let text = marked("from helpers import twice\nlet a = twi§ce(n = 1)\nprint(§a, [1].§map(|n| n + a))\n");
    editor.open("a.stark", &text.text);
    let mut params = editor.at("a.stark", text.places[0]);
    params["context"] = json!({ "includeDeclaration": true });
    let found = editor.ask("textDocument/references", params);
    assert_eq!(starts(&found), ["0:20", "0:3", "1:8", "4:11", "4:17"], "{found}");

    let mut params = editor.at("a.stark", text.places[0]);
    params["newName"] = json!("double");
    let edit = editor.ask("textDocument/rename", params);
    let changes = &edit["changes"];
    assert_eq!(starts(&changes[editor.uri("a.stark")]), ["0:20", "1:8"]);
    assert_eq!(starts(&changes[editor.uri("helpers.stark")]), ["0:3", "4:11", "4:17"]);

    let refused = |editor: &mut Editor, place, name: &str| {
        let mut params = editor.at("a.stark", place);
        params["newName"] = json!(name);
        editor.refused("textDocument/rename", params)
    };
    assert!(refused(&mut editor, text.places[2], "walk").contains("standard library"));
    assert!(refused(&mut editor, text.places[1], "let").contains("keyword"));
    assert!(refused(&mut editor, text.places[1], "2a").contains("not a name"));
    assert!(refused(&mut editor, text.places[1], "n").contains("means something else"));
    assert!(refused(&mut editor, text.places[0], "four").contains("would not compile"));
    let prepared = editor.ask_at("prepareRename", "a.stark", text.places[1]);
    assert_eq!(prepared["placeholder"], "a");
    editor.finish();
}

#[test]
fn completion_knows_members_names_arguments_and_modules() {
    let mut editor = Editor::start();
    let base = "struct Point:\n    x: Float\n    y: Float = 0.0\n    fn norm(&self) -> Float: return self.x\n\
        enum Color:\n    Red\n    Green\nfn add(first: Int, second: Int) -> Int: return first + second\nlet p = Point(1.0)\n";
    editor.open("a.stark", base);
    let offered = |editor: &mut Editor, tail: &str| editor.completions("a.stark", &format!("{base}{tail}"));
    assert_eq!(offered(&mut editor, "p.§\n")[..3], ["norm", "x", "y"]);
    assert_eq!(offered(&mut editor, "print(f\"{p.§}\")\n")[..3], ["norm", "x", "y"]);
    assert_eq!(offered(&mut editor, "if p.§:\n    pass\n")[..3], ["norm", "x", "y"]);
    assert_eq!(offered(&mut editor, "let c = Color::§\n"), ["Green", "Red"]);
    assert_eq!(offered(&mut editor, "add(1, §")[..2], ["first = ", "second = "]);
    assert!(offered(&mut editor, "math.§\n").contains(&"sqrt".to_string()));
    assert!(offered(&mut editor, "from math import §\n").contains(&"PI".to_string()));
    assert!(offered(&mut editor, "import §\n").contains(&"json".to_string()));
    let names = offered(&mut editor, "fn f(amount: Int):\n    let inner = 1\n    §\n");
    for name in ["amount", "inner", "p", "add", "Point", "print", "while", "Int"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
    assert!(offered(&mut editor, "# p.§\n").is_empty());
    assert!(offered(&mut editor, "let s = \"p.§\"\n").is_empty());
    editor.finish();
}

#[test]
fn signatures_hints_outline_folding_and_colours() {
    let mut editor = Editor::start();
    let text = marked(
        "fn scale(t: Tensor<Float32>[n, 4], by: Float = 1.0):\n    let s = t * 2.0\n    return s\n\nlet r = scale(ones([2, 4]), §by = 2.0)\nprint(r)\n",
    );
    editor.open("a.stark", &text.text);
    let help = editor.ask_at("signatureHelp", "a.stark", text.places[0]);
    assert_eq!(help["activeParameter"], 1);
    assert!(
        help["signatures"][0]["label"]
            .as_str()
            .is_some_and(|l| l.starts_with("scale(t: Tensor<Float32>[n, 4], by: Float = 1.0)")),
        "{help}"
    );
    let document = json!({ "uri": editor.uri("a.stark") });
    let all = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let hints = editor.ask("textDocument/inlayHint", json!({ "textDocument": document, "range": all }));
    let labels: Vec<&str> = hints.as_array().expect("a list").iter().filter_map(|h| h["label"].as_str()).collect();
    assert_eq!(labels, [" -> Tensor<Float32>", ": Tensor<Float32>[n, 4]", ": Tensor<Float32>"]);
    let symbols = editor.ask("textDocument/documentSymbol", json!({ "textDocument": document }));
    let names: Vec<&str> = symbols.as_array().expect("a list").iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["scale", "r"]);
    let folds = editor.ask("textDocument/foldingRange", json!({ "textDocument": document }));
    assert_eq!(folds, json!([{ "startLine": 0, "endLine": 2 }]));
    let tokens = editor.ask("textDocument/semanticTokens/full", json!({ "textDocument": document }));
    let data = tokens["data"].as_array().expect("numbers");
    assert_eq!(data[..5], [0, 3, 5, 2, 1].map(|n| json!(n)), "`scale`, a declared function");
    editor.finish();
}

#[test]
fn formatting_gives_the_one_layout_or_says_why_not() {
    let mut editor = Editor::start();
    editor.open("a.stark", "fn f( a:Int )->Int:\n  return a+1\nprint(f(1))\n");
    let params =
        json!({ "textDocument": { "uri": editor.uri("a.stark") }, "options": { "tabSize": 4, "insertSpaces": true } });
    let edits = editor.ask("textDocument/formatting", params.clone());
    assert_eq!(edits[0]["newText"], "fn f(a: Int) -> Int:\n    return a + 1\n", "{edits}");
    assert_eq!(
        edits[0]["range"],
        json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 2, "character": 0 } })
    );
    editor.change("a.stark", "print(1)\n");
    assert_eq!(editor.ask("textDocument/formatting", params.clone()), json!([]));
    editor.change("a.stark", "print((1)\n");
    assert!(editor.refused("textDocument/formatting", params).contains("a.stark:1"));
    editor.finish();
}

#[test]
fn edits_by_range_and_cancelled_requests() {
    let mut editor = Editor::start();
    editor.open("a.stark", "let é = \"😀\"\nprint(é)\n");
    editor.version += 1;
    let change = json!({
        "textDocument": { "uri": editor.uri("a.stark"), "version": editor.version },
        "contentChanges": [
            { "range": { "start": { "line": 0, "character": 9 }, "end": { "line": 0, "character": 11 } }, "text": "x" },
            { "range": { "start": { "line": 1, "character": 6 }, "end": { "line": 1, "character": 7 } }, "text": "é + 1" },
        ],
    });
    editor.tell("textDocument/didChange", change);
    let found = editor.diagnostics("a.stark");
    assert_eq!(found.len(), 1, "{found:?}");
    // In one write, so that the cancellation is there before the request is begun.
    let first =
        json!({ "jsonrpc": "2.0", "id": 1000, "method": "textDocument/hover", "params": editor.at("a.stark", (0, 4)) });
    let cancel = json!({ "jsonrpc": "2.0", "method": "$/cancelRequest", "params": { "id": 1001 } });
    let second =
        json!({ "jsonrpc": "2.0", "id": 1001, "method": "textDocument/hover", "params": editor.at("a.stark", (0, 4)) });
    let framed = |v: &Value| format!("Content-Length: {}\r\n\r\n{v}", v.to_string().len());
    let burst = [framed(&first), framed(&second), framed(&cancel)].concat();
    editor.input.write_all(burst.as_bytes()).expect("the server reads");
    editor.input.flush().expect("the server reads");
    assert!(editor.answer_to(1000)["result"].is_object());
    let second = editor.answer_to(1001);
    // It may have been begun already on a busy machine; it is answered once either way.
    assert!(second["error"]["code"] == -32800 || second["result"].is_object(), "{second}");
    let unknown = editor.refused("textDocument/nonsense", json!({}));
    assert!(unknown.contains("not served"), "{unknown}");
    let bad = editor.refused("textDocument/hover", json!({ "textDocument": 1 }));
    assert!(bad.contains("cannot be read"), "{bad}");
    editor.finish();
}

/// Runs the server on bytes; its status and what it said.
fn given(input: &[u8]) -> (Option<i32>, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_stark"))
        .arg("lsp")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    // It may end before it has read everything.
    let _ = server.stdin.take().expect("piped").write_all(input);
    let mut said = String::new();
    server.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (server.wait().expect("an end").code(), said)
}

#[test]
fn what_is_no_message_ends_the_server_with_a_sentence() {
    let long = vec![b'x'; 1 << 20];
    let cases: [(&[u8], &str); 5] = [
        (b"hello\n", "is not the header of a message"),
        (&long, "is not the header of a message"),
        (b"Content-Length: 99999999999999\r\n\r\n", "the limit is"),
        (b"Content-Length: 9\r\n\r\n{\"a\": 1", "ended"),
        (b"Content-Length: 2\r\n\r\n{]", "not JSON-RPC"),
    ];
    for (input, why) in cases {
        let (status, said) = given(input);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.starts_with("error: ") && said.contains(why) && !said.contains("panic"), "{said}");
    }
    let (status, said) = given(b"");
    assert_eq!((status, said.as_str()), (Some(1), ""), "the editor left without a word");
}

/// What a writer's text looks like on the way: cut after each word of real programs.
#[test]
fn half_typed_programs_are_answered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let programs = [
        "tests/conformance/04-types/generic_traits.stark",
        "tests/conformance/10-actors/batching.stark",
        "examples/inference_service.stark",
    ];
    let mut editor = Editor::start();
    editor.open("a.stark", "");
    for program in programs {
        let text = std::fs::read_to_string(root.join(program)).unwrap_or_else(|e| panic!("{program}: {e}"));
        let ends = text.char_indices().filter(|(_, c)| !c.is_alphanumeric()).map(|(i, c)| i + c.len_utf8());
        for end in ends.step_by(3) {
            let cut = &text[..end];
            editor.change("a.stark", cut);
            let place = (cut.matches('\n').count(), cut.rsplit('\n').next().unwrap_or("").encode_utf16().count());
            for method in ["completion", "hover", "signatureHelp", "definition"] {
                editor.ask_at(method, "a.stark", place);
            }
        }
    }
    let broken: Vec<_> = editor.kept.iter().filter(|m| m["method"] == "window/logMessage").collect();
    assert!(broken.is_empty(), "{broken:?}");
    editor.finish();
}
