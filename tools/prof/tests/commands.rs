//! The whole way: programs run under the profiler, and every format is read back by a reader that is not ours.

mod built;
mod schema;

use built::{prof, root, stark};
use prost::Message;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

fn service() -> PathBuf {
    root().join("tools/prof/tests/programs/service.stark")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn call(args: &[&str]) -> Output {
    stark();
    Command::new(prof()).args(args).current_dir(root()).output().expect("stark-prof starts")
}

fn succeed(args: &[&str]) -> Vec<u8> {
    let out = call(args);
    assert!(out.status.success(), "{args:?}: {}{}", text(&out.stdout), text(&out.stderr));
    out.stdout
}

fn refuse(args: &[&str]) -> String {
    let out = call(args);
    assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out.stdout));
    let said = text(&out.stderr);
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
    said
}

/// A program that runs for as long as the guard lives.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(options: &[&str]) -> Running {
        let mut command = Command::new(stark());
        command.arg("run").args(options).arg(service()).arg("long").stderr(Stdio::piped());
        let running = Running(command.spawn().expect("stark starts"));
        running.wait_for(|answer| answer.contains("counter"));
        running
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn ps(&self) -> Output {
        Command::new(stark()).args(["ps", &self.pid()]).output().expect("stark starts")
    }

    fn wait_for(&self, is_there: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let answer = text(&self.ps().stdout);
            if is_there(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < LIMIT, "it never came: {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One recording of `service.stark` with a trace, for all formats.
fn traced() -> &'static str {
    static TRACED: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    let (_, path) = TRACED.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("traced.starkprof").display().to_string();
        let program = service().display().to_string();
        succeed(&["run", "--trace", "--rate", "499", "-o", &path, &program]);
        (folder, path)
    });
    path
}

fn report(format: &str) -> Vec<u8> {
    succeed(&["report", traced(), "--format", format])
}

#[test]
fn the_table_names_the_hot_line_the_actors_and_the_waits() {
    let table = text(&report("text"));
    let hot = table.lines().skip_while(|line| !line.contains("own  total")).nth(1).expect("a line");
    assert!(hot.contains("work service.stark:"), "{table}");
    for words in ["counter", "squares", "waits for a timer", "waits for an actor's answer", "tasks begun"] {
        assert!(table.contains(words), "{words}: {table}");
    }
}

/// Reads XML to its end, with closing tags that fit.
fn well_formed(xml: &str) {
    let mut reader = quick_xml::Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => return,
            Ok(_) => {}
            Err(error) => panic!("{error} at {} in {xml}", reader.error_position()),
        }
    }
}

#[test]
fn the_flame_graph_is_xml_with_the_await_chain() {
    let svg = text(&report("flame"));
    let document = scraper::Html::parse_document(&svg);
    let titles = scraper::Selector::parse("g title").expect("a selector");
    let titles: Vec<String> = document.select(&titles).map(|t| t.text().collect()).collect();
    assert!(titles.iter().any(|t| t.starts_with("work service.stark:")), "{titles:?}");
    assert!(titles.iter().any(|t| t.starts_with("main service.stark:") && t.contains(" awaits: ")), "{titles:?}");
    well_formed(&svg);
}

#[test]
fn speedscope_samples_point_at_frames_and_have_weights() {
    let file: Value = serde_json::from_slice(&report("speedscope")).expect("JSON");
    assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
    let frames = file["shared"]["frames"].as_array().expect("frames");
    let profiles = file["profiles"].as_array().expect("profiles");
    assert!(profiles.iter().any(|profile| profile["unit"] == "seconds" && profile["name"] == "worker 0"));
    for profile in profiles {
        assert_eq!(profile["type"], "sampled");
        let (samples, weights) = (profile["samples"].as_array().unwrap(), profile["weights"].as_array().unwrap());
        assert_eq!(samples.len(), weights.len());
        for index in samples.iter().flat_map(|s| s.as_array().unwrap()) {
            assert!(frames[index.as_u64().unwrap() as usize]["name"].is_string());
        }
        let sum: f64 = weights.iter().map(|w| w.as_f64().unwrap()).sum();
        assert!((profile["endValue"].as_f64().unwrap() - sum).abs() < 1e-6);
    }
}

#[test]
fn pprof_keeps_the_rules_of_its_schema() {
    let profile = schema::pprof::Profile::decode(&report("pprof")[..]).expect("a pprof profile");
    let string = |i: i64| profile.string_table[i as usize].as_str();
    assert_eq!(string(0), "");
    let types: Vec<_> = profile.sample_type.iter().map(|t| (string(t.r#type), string(t.unit))).collect();
    assert_eq!(
        types,
        [("samples", "count"), ("time", "nanoseconds"), ("alloc_objects", "count"), ("alloc_space", "bytes")]
    );
    assert_eq!(string(profile.default_sample_type), "time");
    let functions: HashMap<u64, &schema::pprof::Function> = profile.function.iter().map(|f| (f.id, f)).collect();
    let locations: HashMap<u64, &schema::pprof::Location> = profile.location.iter().map(|l| (l.id, l)).collect();
    assert!(!functions.contains_key(&0) && !locations.contains_key(&0));
    let name = |id: u64| string(functions[&locations[&id].line[0].function_id].name);
    let mut leaves = HashMap::new();
    for sample in &profile.sample {
        assert_eq!(sample.value.len(), 4);
        assert_eq!(sample.value[1], sample.value[0] * profile.period);
        *leaves.entry(name(sample.location_id[0])).or_insert(0) += sample.value[0];
        sample.location_id.iter().for_each(|id| assert!(!name(*id).is_empty()));
    }
    let hottest = leaves.iter().max_by_key(|(_, n)| **n).map(|(name, _)| *name);
    assert_eq!(hottest, Some("work"), "{leaves:?}");
}

/// `allocations.stark` as pprof: bytes and objects by the innermost line that has a place, with the native it called.
fn allocated(profile: &schema::pprof::Profile) -> HashMap<(String, i64, String), (i64, i64)> {
    let string = |i: i64| profile.string_table[i as usize].clone();
    let functions: HashMap<u64, &schema::pprof::Function> = profile.function.iter().map(|f| (f.id, f)).collect();
    let locations: HashMap<u64, &schema::pprof::Location> = profile.location.iter().map(|l| (l.id, l)).collect();
    let mut sums = HashMap::new();
    for sample in profile.sample.iter().filter(|sample| sample.value[3] > 0) {
        let mut native = String::new();
        for id in &sample.location_id {
            let line = &locations[id].line[0];
            let function = functions[&line.function_id];
            if line.line == 0 {
                native = string(function.name);
                continue;
            }
            let sum: &mut (i64, i64) = sums.entry((string(function.name), line.line, native)).or_default();
            *sum = (sum.0 + sample.value[2], sum.1 + sample.value[3]);
            break;
        }
    }
    sums
}

#[test]
fn allocations_are_told_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.starkprof").display().to_string();
    succeed(&["run", "-o", &file, "tools/prof/tests/programs/allocations.stark"]);
    let pprof = succeed(&["report", &file, "--format", "pprof"]);
    let sums = allocated(&schema::pprof::Profile::decode(&pprof[..]).expect("a pprof profile"));
    // By chance, of some fifty or more that are found: these bounds are five deviations away.
    for (function, line, native, n, mb) in [
        ("points", 10, "", 16_000_000, 512.0),
        ("tensors", 17, "tensor_zeros", 4096, 2147.0),
        ("copies", 25, "", 2560, 2048.0),
    ] {
        let (objects, bytes) = sums.get(&(function.into(), line, native.into())).copied().unwrap_or_default();
        let (objects, bytes) = (objects as f64 / f64::from(n), bytes as f64 / (mb * 1e6));
        assert!((0.3..3.0).contains(&bytes) && (0.3..3.0).contains(&objects), "{function}: {sums:?}");
    }
    assert!(
        !sums.keys().any(|(function, ..)| function == "messages"),
        "a loop over numbers of a channel takes no memory: {sums:?}"
    );
    let table = text(&succeed(&["report", &file]));
    let table = table.split("allocated about ").nth(1).expect("a table of allocations");
    for site in
        ["points allocations.stark:10", "tensors allocations.stark:17 (tensor_zeros)", "copies allocations.stark:25"]
    {
        assert!(table.lines().any(|line| line.ends_with(site)), "{site}: {table}");
    }
    let file_of_speedscope = succeed(&["report", &file, "--format", "speedscope"]);
    let speedscope: Value = serde_json::from_slice(&file_of_speedscope).expect("JSON");
    let profiles = speedscope["profiles"].as_array().expect("profiles");
    let bytes = profiles.iter().find(|profile| profile["unit"] == "bytes").expect("a profile in bytes");
    assert_eq!(bytes["samples"].as_array().map(Vec::len), bytes["weights"].as_array().map(Vec::len));
    assert!(bytes["endValue"].as_u64().is_some_and(|all| all > 300_000_000), "{}", bytes["endValue"]);
    let svg = text(&succeed(&["report", &file, "--format", "flame-allocations"]));
    assert!(svg.contains("points allocations.stark:10") && svg.contains("MiB of "), "{svg}");
    well_formed(&svg);
    let page = text(&succeed(&["report", &file, "--format", "html"]));
    assert!(page.contains("Where memory was allocated"), "{page}");
}

#[test]
fn perfetto_tracks_are_described_and_their_slices_nest() {
    use schema::perfetto::{Trace, track_event::Type};
    let trace = Trace::decode(&report("perfetto")[..]).expect("a Perfetto trace");
    let mut tracks = HashMap::new();
    let (mut depth, mut last): (HashMap<u64, i32>, HashMap<u64, u64>) = Default::default();
    let (mut begun, mut ended): (HashSet<u64>, HashSet<u64>) = Default::default();
    for packet in &trace.packet {
        if let Some(track) = &packet.track_descriptor {
            assert!(tracks.insert(track.uuid(), track.name().to_string()).is_none());
            assert!(track.parent_uuid.is_none_or(|parent| tracks.contains_key(&parent)));
        }
        let Some(event) = &packet.track_event else { continue };
        let (track, at) = (event.track_uuid(), packet.timestamp());
        assert!(tracks.contains_key(&track), "an event before its track");
        let before = last.insert(track, at).unwrap_or(0);
        assert!(before <= at, "track {} goes back in time", tracks[&track]);
        match event.r#type() {
            Type::SliceBegin => *depth.entry(track).or_default() += 1,
            Type::SliceEnd => *depth.entry(track).or_default() -= 1,
            Type::Counter => assert!(event.counter_value.is_some()),
            other => panic!("{other:?}"),
        }
        assert!((0..=1).contains(depth.get(&track).unwrap_or(&0)), "spans of {} overlap", tracks[&track]);
        begun.extend(&event.flow_ids);
        ended.extend(&event.terminating_flow_ids);
    }
    assert!(depth.values().all(|depth| *depth == 0));
    // Nearly every message that was worked on was seen when it was sent.
    let matched = ended.iter().filter(|id| begun.contains(id)).count();
    assert!(matched > 100 && matched * 10 >= ended.len() * 9, "{matched} of {}", ended.len());
    for name in ["worker 0", "tasks"] {
        assert!(tracks.values().any(|track| track == name), "{name}: {:?}", tracks.values().take(20));
    }
}

#[test]
fn the_chrome_trace_has_slices_waits_flows_and_counters() {
    let file: Value = serde_json::from_slice(&report("chrome")).expect("JSON");
    let events = file["traceEvents"].as_array().expect("events");
    let mut phases: HashMap<&str, usize> = HashMap::new();
    for event in events {
        let phase = event["ph"].as_str().expect("a phase");
        *phases.entry(phase).or_default() += 1;
        assert!(event["pid"].is_number() && event["tid"].is_number() && event["name"].is_string(), "{event}");
        if phase != "M" {
            assert!(event["ts"].as_f64().expect("a moment") >= 0.0);
        }
    }
    assert!(["M", "X", "s", "f", "C"].iter().all(|phase| phases.contains_key(phase)), "{phases:?}");
    assert!(events.iter().any(|e| e["name"] == "waits for a timer"));
}

#[test]
fn the_page_is_whole_and_fetches_nothing() {
    let page = text(&report("html"));
    let document = scraper::Html::parse_document(&page);
    let heads = scraper::Selector::parse("h2").expect("a selector");
    let heads: Vec<String> = document.select(&heads).map(|h| h.text().collect()).collect();
    for wanted in ["Where the time went", "Batches of squares", "Actors", "Tasks", "Trace"] {
        assert!(heads.iter().any(|h| h == wanted), "{wanted}: {heads:?}");
    }
    let fetching = scraper::Selector::parse("script[src], link[href], img[src], iframe, object").expect("a selector");
    assert_eq!(document.select(&fetching).count(), 0);
}

#[test]
fn the_batch_optimiser_names_a_setting_and_draws_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("plot.svg").display().to_string();
    let table = text(&succeed(&["batch", traced(), "--target-ms", "1000", "--plot", &plot]));
    assert!(
        table.contains("actor squares: 400 messages") && table.contains("best for a p95 of 1.00 s: size "),
        "{table}"
    );
    let svg = std::fs::read_to_string(plot).expect("the plot");
    assert!(svg.starts_with("<svg ") && svg.contains("<polyline"), "{svg}");
    well_formed(&svg);
    let none = text(&succeed(&["batch", traced(), "--target-ms", "0.0001"]));
    assert!(none.contains("no setting keeps a p95 of 100 ns"), "{none}");
    assert!(
        refuse(&["batch", traced(), "--target-ms", "5", "--actor", "counter"]).contains("there are some of: squares")
    );
    refuse(&["batch", traced(), "--target-ms=-5"]);
}

#[test]
fn models_come_with_their_operators_and_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("models.starkprof").display().to_string();
    succeed(&["run", "--trace", "-o", &file, "examples/inference_service.stark"]);
    let table = text(&succeed(&["report", &file]));
    for words in ["model tests/data/models/mini_classifier.pt on cpu", "rows/s", "latency p50", "device cpu: busy"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(table.lines().any(|line| line.contains(" runs, ") && line.contains("linear")), "{table}");
    // The latencies of an operator, by count, are the time that it took in all.
    let profile = stark_profile::file::decode(&std::fs::read(&file).expect("a recording")).expect("it is whole");
    for op in profile.models.iter().flat_map(|model| &model.ops) {
        let sum: u64 = op.latencies.iter().map(|(ns, runs)| ns * runs).sum();
        assert!(sum * 10 > op.total_ns * 9 && sum * 9 < op.total_ns * 10 + 1000 * op.runs, "{op:?}");
    }
    let page = text(&succeed(&["report", &file, "--format", "html"]));
    assert!(page.contains("Device cpu") && page.contains("Memory of tensors"), "{page}");
}

#[test]
fn the_status_of_the_program_is_passed_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("leaves.stark").display().to_string();
    std::fs::write(&program, "exit(7)\n").expect("a program");
    let file = folder.path().join("x.starkprof").display().to_string();
    assert_eq!(call(&["run", "-o", &file, &program]).status.code(), Some(7));
    succeed(&["report", &file]);
    // What does not compile leaves no recording, also not an old one.
    std::fs::write(&program, "let x = \n").expect("a program");
    assert_eq!(call(&["run", "-o", &file, &program]).status.code(), Some(2));
    assert!(!Path::new(&file).exists());
}

#[test]
fn a_running_program_is_recorded_and_goes_on() {
    let running = Running::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("attached.starkprof").display().to_string();
    let table = text(&succeed(&["attach", &running.pid(), "--seconds", "1", "-o", &file]));
    assert!(table.contains("work service.stark:") && table.contains("counter"), "{table}");
    succeed(&["report", &file, "--format", "html"]);
    // One recording at a time, and another as soon as it is over.
    let mut first = Command::new(prof())
        .args(["record", &running.pid(), "--seconds", "3", "-o", &file])
        .stderr(Stdio::piped())
        .spawn()
        .expect("stark-prof starts");
    let mut said = [0; 9];
    first.stderr.as_mut().expect("piped").read_exact(&mut said).expect("it says that it records");
    assert_eq!(&said, b"recording");
    assert!(refuse(&["attach", &running.pid(), "--seconds", "1"]).contains("is being recorded already"));
    assert!(first.wait().expect("it ends").success());
    succeed(&["record", &running.pid(), "--seconds", "0.2", "-o", &file]);
    running.wait_for(|answer| answer.contains("actor counter"));
}

#[test]
fn the_end_of_the_program_ends_the_recording_with_what_there_is() {
    let mut running = Command::new(stark()).arg("run").arg(service()).stdout(Stdio::piped()).spawn().expect("stark");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.starkprof").display().to_string();
    let begun = Instant::now();
    let pid = running.id().to_string();
    // It may still be compiling.
    while !call(&["record", &pid, "-o", &file]).status.success() {
        assert!(begun.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(running.wait().expect("it ends").success());
    assert!(text(&succeed(&["report", &file])).contains("service.stark (pid "));
}

#[test]
fn ps_tells_what_waits_for_what_and_where() {
    let running = Running::start(&[]);
    let answer = running.wait_for(|answer| answer.contains("waits for a timer of 5 ms"));
    assert!(answer.contains("  at slow (") && answer.contains("service.stark:"), "{answer}");
    let answer = running.wait_for(|answer| answer.contains("waits for a future (task") || answer.contains("(actor "));
    assert!(answer.contains("  at main ("), "{answer}");
    let listed = Command::new(stark()).arg("ps").output().expect("stark starts");
    assert!(text(&listed.stdout).contains(&running.pid()));
    let json = Command::new(stark()).args(["ps", "--json", &running.pid()]).output().expect("stark starts");
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(json["tasks"].as_array().is_some_and(|tasks| tasks.len() >= 3), "{json}");
}

#[test]
fn a_signal_has_the_tasks_told() {
    let mut running = Running::start(&[]);
    let sent = Command::new("kill").args(["-USR1", &running.pid()]).status().expect("kill");
    assert!(sent.success());
    std::thread::sleep(Duration::from_millis(500));
    let mut stderr = running.0.stderr.take().expect("piped");
    drop(running);
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("text");
    assert!(said.contains("actor counter") && said.contains("service.stark (pid "), "{said}");
}

#[test]
fn metrics_are_served_in_prometheus_format() {
    // A free port, given back for the program to take.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let address = format!("127.0.0.1:{port}");
    let _running = Running::start(&["--metrics", &address]);
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(&address).expect("the endpoint");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let answer = get("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for start in
        ["stark_tasks ", "stark_worker_runs_total{worker=\"0\"} ", "stark_actor_requests_total{actor=\"counter\"} "]
    {
        let line = answer.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {answer}"));
        assert!(line[start.len()..].parse::<f64>().expect("a number") > 0.0, "{line}");
    }
    assert!(get("/").starts_with("HTTP/1.1 404"));
    let taken = Command::new(stark()).args(["run", "--metrics", &address]).arg(service()).output().expect("stark");
    assert_eq!(taken.status.code(), Some(2));
    assert!(text(&taken.stderr).contains("cannot serve at"), "{}", text(&taken.stderr));
}

#[test]
fn a_collector_gets_the_figures_as_otlp() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", collector.local_addr().expect("an address"));
    let _running = Running::start(&["--otlp", &endpoint]);
    let (mut stream, _) = collector.accept().expect("a post");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let mut request = Vec::new();
    let (head, length) = loop {
        let mut part = [0; 4096];
        let n = stream.read(&mut part).expect("a request");
        assert!(n > 0, "it ended early: {}", text(&request));
        request.extend_from_slice(&part[..n]);
        let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = text(&request[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if let Some(length) = length.filter(|length| request.len() >= end + 4 + length) {
            break (head, request[end + 4..].len().min(length));
        }
    };
    assert!(head.starts_with("post /v1/metrics ") && head.contains("content-type: application/json"), "{head}");
    let body: Value = serde_json::from_slice(&request[request.len() - length..]).expect("JSON");
    let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().expect("metrics");
    assert!(metrics.iter().any(|metric| metric["name"] == "stark_actor_requests_total"), "{body}");
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}").expect("answered");
    let encrypted = Command::new(stark()).args(["run", "--otlp", "https://x"]).arg(service()).output().expect("stark");
    assert_eq!(encrypted.status.code(), Some(2));
}

#[test]
fn who_cannot_be_reached_is_told_with_a_reason() {
    let mut gone = Command::new("true").spawn().expect("true");
    gone.wait().expect("it ends");
    let pid = gone.id().to_string();
    assert!(refuse(&["attach", &pid, "--seconds", "1"]).contains(&format!("there is no process {pid}")));
    let own = std::process::id().to_string();
    assert!(refuse(&["attach", &own]).contains("is no program that `stark run` runs"));
    assert!(refuse(&["top", &own]).contains("is no program that `stark run` runs"));
    assert!(refuse(&["attach", "0"]).contains("0 is not the number of a process"));
    let running = Running(
        Command::new(stark()).args(["run", "--no-attach"]).arg(service()).arg("long").spawn().expect("stark starts"),
    );
    assert!(refuse(&["attach", &running.pid()]).contains("--no-attach"));
    let seeded =
        Running(Command::new(stark()).args(["run", "--seed", "1"]).arg(service()).arg("long").spawn().expect("stark"));
    seeded.wait_for(|answer| !answer.is_empty());
    assert!(refuse(&["attach", &seeded.pid()]).contains("a run with a seed"));
}

/// Needs root to be somebody else; without it the test says so and looks at a process of root's instead.
#[test]
fn a_process_of_another_user_is_refused_with_a_sentence() {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if !is_root {
        assert!(refuse(&["attach", "1", "--seconds", "1"]).contains("process 1 belongs to another user"));
        return;
    }
    let running = Running::start(&[]);
    // Where anybody may read it.
    let folder = tempfile::Builder::new().prefix("stark-other").tempdir_in("/tmp").expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("opened");
    let copy = folder.path().join("stark-prof");
    std::fs::copy(prof(), &copy).expect("copied");
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy).current_dir("/");
    let out = other.args(["attach", &running.pid(), "--seconds", "1"]).output().expect("setpriv");
    let said = text(&out.stderr);
    assert_eq!(said, format!("error: process {} belongs to another user\n", running.pid()));
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn a_stopped_program_is_given_up_with_a_sentence() {
    let running = Running::start(&[]);
    assert!(Command::new("kill").args(["-STOP", &running.pid()]).status().expect("kill").success());
    let said = refuse(&["attach", &running.pid(), "--seconds", "1"]);
    assert!(said.contains("did not answer for 10 s"), "{said}");
}

#[test]
fn the_socket_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(stark());
    command.arg("run").arg(service()).arg("long").env("XDG_RUNTIME_DIR", folder.path());
    let _running = Running(command.spawn().expect("stark starts"));
    let sockets = folder.path().join("stark");
    let begun = Instant::now();
    let socket = loop {
        match std::fs::read_dir(&sockets).ok().and_then(|mut entries| entries.next()) {
            Some(entry) => break entry.expect("an entry").path(),
            None => assert!(begun.elapsed() < LIMIT),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    // The mode of the socket follows its making by a moment; the folder's is there from the beginning.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!((mode(&sockets), mode(&socket)), (0o700, 0o600));
}

#[test]
fn cut_and_forged_recordings_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.starkprof");
    let shown = path.display().to_string();
    let bytes = std::fs::read(traced()).expect("a recording");
    let mut cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "is not a recording"),
        (b"hello, world, this is text".to_vec(), "is not a recording"),
        (bytes[..20].to_vec(), "within the header"),
        (bytes[..bytes.len() / 2].to_vec(), "its checksum is wrong"),
    ];
    let mut newer = bytes.clone();
    newer[8] = 99;
    cases.push((newer, "it is of version 99"));
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    cases.push((flipped, "its checksum is wrong"));
    for (bytes, reason) in cases {
        std::fs::write(&path, bytes).expect("written");
        let said = refuse(&["report", &shown]);
        assert!(said.contains(reason) && said.contains(&shown), "{reason}: {said}");
    }
    assert!(refuse(&["report", "/nowhere/x.starkprof"]).contains("there is no such file"));
    assert!(refuse(&["report", &folder.path().display().to_string()]).contains("is not a file"));
}

#[test]
fn a_limit_of_entries_is_kept_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.starkprof").display().to_string();
    let program = service().display().to_string();
    succeed(&["run", "--trace", "--max-entries", "50", "-o", &file, &program]);
    assert!(text(&succeed(&["report", &file])).contains("entries came after the limit"));
    assert!(std::fs::metadata(&file).expect("it is there").len() < 10_000);
}

/// Where there is no OpenCL this says so and passes: that is a normal state.
#[test]
fn a_device_is_recorded_with_its_kernels_and_transfers() {
    let devices = Command::new(stark()).arg("devices").output().expect("stark starts");
    if !text(&devices.stdout).lines().any(|line| line.starts_with("opencl ") && !line.contains(" none: ")) {
        eprintln!("no OpenCL device, nothing was recorded");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (program, file) = (folder.path().join("device.stark"), folder.path().join("device.starkprof"));
    let model = root().join("tests/data/models/digits_mlp.pt");
    let source = format!(
        "fn main():
    let model = load_model(\"{}\", device = \"opencl\")
    for _ in 0..200:
        let y: Tensor<Float32> = model.predict(zeros([32, 64]))
        assert(y.to_device(\"cpu\").shape()[0] == 32)
",
        model.display()
    );
    std::fs::write(&program, source).expect("written");
    let (program, file) = (program.display().to_string(), file.display().to_string());
    let out = call(&["run", "-o", &file, &program]);
    let report = text(&out.stderr);
    assert!(out.status.success(), "{report}");
    assert!(report.contains(" on opencl: 200 calls (0 failed), 6400 rows"), "{report}");
    let own = report.lines().find(|line| line.starts_with("device opencl by its own count: ")).expect(&report);
    let kernels: u64 = own.split([' ', ':']).filter_map(|word| word.parse().ok()).next().expect(own);
    assert!(kernels >= 600 && own.contains(" copied to it") && !own.contains(" 0 B copied to it"), "{own}");
    let page = text(&succeed(&["report", &file, "--format", "html"]));
    assert!(page.contains("transfers over time") && page.contains("on opencl"));
    let chrome: Value = serde_json::from_slice(&succeed(&["report", &file, "--format", "chrome"])).expect("JSON");
    let events = chrome["traceEvents"].as_array().or(chrome.as_array()).expect("events");
    assert!(events.iter().any(|event| event["ph"] == "C" && event["name"] == "opencl bytes/s to it"));
}

/// An awaited ask of an idle actor runs within the turn that asks: its time still stands under the line that asked.
#[test]
fn the_time_of_an_actor_that_is_called_stands_under_its_caller() {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, file) = (folder.path().join("called.stark"), folder.path().join("called.starkprof"));
    let source = "
actor Worker:
    fn on_receive(n: Int) -> Int:
        let mut x = 0
        for i in 0..n: x = (x * 31 + i) % 1000003
        return x

fn request(worker: ActorRef<Worker>) -> Int:
    return worker.ask(50000).await

fn main():
    let worker = spawn_actor(Worker::new())
    for _ in 0..2000: request(worker)
";
    std::fs::write(&program, source).expect("written");
    let (program, file) = (program.display().to_string(), file.display().to_string());
    succeed(&["run", "-o", &file, &program]);
    let scope: Value = serde_json::from_slice(&succeed(&["report", &file, "--format", "speedscope"])).expect("JSON");
    let frames = scope["shared"]["frames"].as_array().expect("frames");
    let name = |frame: &Value| frames[frame.as_u64().expect("a number") as usize]["name"].as_str().expect("a name");
    let profiles = scope["profiles"].as_array().expect("profiles").iter().filter(|p| p["unit"] == "seconds");
    let stacks: Vec<Vec<&str>> = profiles
        .flat_map(|profile| profile["samples"].as_array().expect("samples"))
        .map(|stack| stack.as_array().expect("a stack").iter().map(name).collect())
        .collect();
    let in_handler: Vec<_> = stacks.iter().filter(|stack| stack.iter().any(|f| f.contains("on_receive"))).collect();
    assert!(!in_handler.is_empty(), "{stacks:?}");
    for stack in in_handler {
        let at = |what: &str| stack.iter().position(|frame| frame.contains(what));
        assert!(at("main") < at("request") && at("request") < at("on_receive") && at("main").is_some(), "{stack:?}");
    }
}
