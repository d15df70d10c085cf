//! Traces and logs as a collector gets them: OTLP over HTTP, read back by the rules of the protocol.

mod built;

use built::{root, stark};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

const PROGRAM: &str = "
actor Inner:
    model: Model

    fn on_receive(input: Tensor<Float32>) -> Tensor<Float32>:
        return model.predict(input)

actor Outer:
    inner: ActorRef<Inner>

    fn on_receive(n: Int) -> Int:
        return inner.ask(zeros([n, 64])).await.shape()[0]

fn request(outer: ActorRef<Outer>) -> Int:
    return outer.ask(2).await

fn main():
    let inner = spawn_actor(Inner::new(load_model(\"MODEL\")))
    let outer = spawn_actor(Outer::new(inner))
    for _ in 0..20:
        let asked = spawn request(outer)
        assert(asked.await == 2)
";

/// Answers every post and keeps its path and body.
fn collect(stream: TcpStream, posts: &mut Vec<(String, Value)>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).is_err() || line.is_empty() {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.expect("a length")];
        reader.read_exact(&mut body).expect("a body");
        assert!(head.contains(&"content-type: application/json".to_string()), "{head:?}");
        let path = head[0].split(' ').nth(1).expect("a path").to_string();
        posts.push((path, serde_json::from_slice(&body).expect("JSON")));
        write!(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{{}}").expect("answered");
    }
}

/// Fails for odd numbers, alone and in batches, and logs what it does.
const FAILING: &str = "
import log

actor Half:
    fn on_receive(n: Int) -> Int:
        log.info(\"asked\", {\"n\": n})
        if n % 2 == 1: throw ValueError::new(f\"{n} is odd\")
        return n / 2

actor Halves:
    @batch(max_size = 4, max_delay = 20ms)
    fn on_batch(n: Vec<Int>) -> Vec<Int>:
        let mut out: Vec<Int> = []
        for x in n:
            if x % 2 == 1: throw ValueError::new(f\"{x} is odd\")
            out.push(x / 2)
        return out

fn told() -> Int: throw ValueError::new(\"as it was told\")

fn main():
    let half = spawn_actor(Half::new())
    print(half.ask(4).await)
    print((try: half.ask(5).await catch ValueError: -1))
    let halves = spawn_actor(Halves::new())
    let asked = [halves.ask(n) for n in [2, 4, 7, 8]]
    for answer in asked: print((try: answer.await catch ValueError: -1))
    let failing = spawn told()
    print((try: failing.await catch ValueError: -1))
    log.warn(\"outside\")
";

/// Runs a program and gives what was posted.
fn posts(program: &str, options: &[&str]) -> (Output, Vec<(String, Value)>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("traced.stark");
    let model = root().join("tests/data/models/digits_mlp.pt");
    std::fs::write(&file, program.replace("MODEL", &model.display().to_string())).expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let collector = std::thread::spawn(move || {
        let mut posts = Vec::new();
        // The last connection is the test's own: it says nothing.
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            if matches!(stream.peek(&mut [0]), Ok(0)) {
                return posts;
            }
            collect(stream, &mut posts);
        }
        posts
    });
    let out =
        Command::new(stark()).args(["run", "--otlp", &endpoint]).args(options).arg(&file).output().expect("stark");
    drop(TcpStream::connect(endpoint.trim_start_matches("http://")).expect("the collector"));
    let posts = collector.join().expect("it collects");
    assert!(!String::from_utf8_lossy(&out.stderr).contains("could not be sent"), "{out:?}");
    (out, posts)
}

/// What all posts to `/v1/WHAT` hold.
fn all(posts: &[(String, Value)], what: &str, outer: [&str; 3]) -> Vec<Value> {
    let of_kind = posts.iter().filter(|(path, _)| *path == format!("/v1/{what}"));
    let of_post = |(_, body): &(String, Value)| -> Vec<Value> {
        assert_eq!(body[outer[0]][0]["resource"]["attributes"][0]["key"], "service.name");
        body[outer[0]][0][outer[1]][0][outer[2]].as_array().expect("an array").clone()
    };
    of_kind.flat_map(of_post).collect()
}

/// Runs the program and gives the spans that came.
fn spans(options: &[&str]) -> (Output, Vec<Value>) {
    let (out, posts) = posts(PROGRAM, options);
    let spans = all(&posts, "traces", ["resourceSpans", "scopeSpans", "spans"]);
    (out, spans)
}

#[test]
fn a_request_is_one_trace_over_tasks_actors_and_models() {
    let (out, spans) = spans(&["--trace-share", "1"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let by_id: HashMap<&str, &Value> =
        spans.iter().map(|span| (span["spanId"].as_str().expect("an id"), span)).collect();
    assert_eq!(by_id.len(), spans.len());
    let number =
        |span: &Value, key: &str| span[key].as_str().expect("a number as text").parse::<u64>().expect("a number");
    for span in &spans {
        let (trace, id) = (span["traceId"].as_str().expect("text"), span["spanId"].as_str().expect("text"));
        assert!(trace.len() == 32 && id.len() == 16, "{span}");
        assert!(format!("{trace}{id}").bytes().all(|b| b.is_ascii_hexdigit()), "{span}");
        assert!(number(span, "startTimeUnixNano") <= number(span, "endTimeUnixNano"), "{span}");
        let parent = span["parentSpanId"].as_str().expect("text");
        if !parent.is_empty() {
            let parent = by_id[parent];
            assert_eq!(parent["traceId"], span["traceId"]);
            assert!(number(parent, "startTimeUnixNano") <= number(span, "startTimeUnixNano"), "{span}");
        }
    }
    // From the model up to the task of the request.
    let runs: Vec<&Value> = spans.iter().filter(|span| span["name"] == "predict").collect();
    assert_eq!(runs.len(), 20);
    for run in runs {
        let mut path = vec![run["name"].as_str().expect("a name")];
        let mut at = run;
        while let Some(parent) = by_id.get(at["parentSpanId"].as_str().expect("text")) {
            path.push(parent["name"].as_str().expect("a name"));
            at = parent;
        }
        assert_eq!(path, ["predict", "on_receive", "send", "on_receive", "send", "request"]);
        let model = &run["attributes"][0];
        assert!(
            model["key"] == "stark.model" && model["value"]["stringValue"].as_str().expect("text").ends_with(".pt")
        );
    }
    let kinds = |name: &str| spans.iter().find(|span| span["name"] == name).map(|span| span["kind"].clone());
    assert_eq!(
        [kinds("request"), kinds("on_receive"), kinds("send")],
        [Some(1.into()), Some(2.into()), Some(3.into())]
    );
}

#[test]
fn nothing_is_traced_with_a_share_of_0_and_a_wrong_share_is_refused() {
    let (out, none) = spans(&["--trace-share", "0"]);
    assert!(out.status.success() && none.is_empty(), "{none:?}");
    let (out, _) = spans(&["--trace-share", "2"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("a share is a number from 0 to 1"));
}

#[test]
fn what_fails_says_so_on_its_span_and_lines_of_the_log_name_the_span_they_were_written_in() {
    let (out, posts) = posts(FAILING, &["--trace-share", "1"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "2\n-1\n1\n2\n-1\n4\n-1\n");
    let spans = all(&posts, "traces", ["resourceSpans", "scopeSpans", "spans"]);
    let failed = |name: &str| -> Vec<&str> {
        let named = spans.iter().filter(|span| span["name"] == name && span["status"]["code"] == 2);
        let mut found: Vec<&str> = named.map(|span| span["status"]["message"].as_str().expect("a reason")).collect();
        found.sort_unstable();
        found
    };
    let count = |name: &str| spans.iter().filter(|span| span["name"] == name).count();
    // Each ask that failed, and none that was answered.
    assert_eq!(failed("send"), ["ValueError: 5 is odd", "ValueError: 7 is odd"]);
    assert_eq!(count("send"), 6);
    assert_eq!(failed("on_receive"), ["ValueError: 5 is odd"]);
    // The batch as a whole failed, its half with the seven, and the seven alone; of each message one span.
    let batches = failed("on_batch");
    assert!(batches.len() >= 3 && batches.iter().all(|why| *why == "ValueError: 7 is odd"), "{batches:?}");
    assert_eq!(failed("told"), ["ValueError: as it was told"]);

    let lines = all(&posts, "logs", ["resourceLogs", "scopeLogs", "logRecords"]);
    let texts: Vec<&str> = lines.iter().map(|line| line["body"]["stringValue"].as_str().expect("a text")).collect();
    assert_eq!(texts, ["asked", "asked", "outside"]);
    assert_eq!((&lines[0]["severityNumber"], &lines[2]["severityText"]), (&9.into(), &"WARN".into()));
    assert_eq!(lines[1]["attributes"][0]["value"]["stringValue"], "5");
    let working = spans.iter().find(|span| span["spanId"] == lines[1]["spanId"]).expect("the span of the handler");
    assert_eq!((&working["name"], &working["traceId"]), (&"on_receive".into(), &lines[1]["traceId"]));
    assert!(lines[2].get("traceId").is_none());
}
