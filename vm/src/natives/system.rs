//! Standard input, the environment, files, clocks and random numbers.

use super::rng::Rng;
use super::support::{Outcome, answers, option, size, texts};
use super::text::utc;
use super::{NativeCx, NativeRow, asset};
use crate::fault::Fault;
use crate::heap::Opaque;
use crate::types::TypeInfo;
use crate::value::Value;
use stark_bundle::{Assets, Found};
use std::fs;
use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(super) const TABLE: &[NativeRow] = answers! {
    io_read_line "() -> Option<String>";
    io_read_rest "() -> String";
    env_var "(String) -> Option<String>" Environment;
    env_vars "() -> Map<String, String>" Environment;
    process_exit "(Int) -> ()";
    os_cpu_count "() -> Int";
    os_name "() -> String";
    os_pid "() -> Int" Process;
    os_cwd "() -> String" Environment;
    fs_read_text "(String) -> String" Assets;
    fs_read_bytes "(String) -> Bytes" Assets;
    fs_write_text "(String, String) -> ()" Files;
    fs_write_bytes "(String, Bytes) -> ()" Files;
    fs_append_text "(String, String) -> ()" Files;
    fs_exists "(String) -> Bool" Assets;
    fs_is_dir "(String) -> Bool" Assets;
    fs_is_file "(String) -> Bool" Assets;
    fs_size "(String) -> Int" Assets;
    fs_remove "(String) -> ()" Files;
    fs_rename "(String, String) -> ()" Files;
    fs_copy "(String, String) -> ()" Files;
    fs_list "(String) -> Vec<String>" Assets;
    fs_make_dir "(String) -> ()" Files;
    fs_walk "(String) -> Vec<String>" Assets;
    fs_metadata "(String) -> (String, Int, Float, Bool)" Assets;
    fs_temp_dir "() -> String" Files;
    time_now "() -> Instant";
    instant_elapsed "(Instant) -> Duration";
    time_unix "() -> Float";
    time_unix_ns "() -> Int";
    time_utc "() -> String";
    duration_from_ns "(Int) -> Duration";
    duration_from_s "(Float) -> Duration";
    duration_ns "(Duration) -> Int";
    duration_us "(Duration) -> Float";
    duration_ms "(Duration) -> Float";
    duration_s "(Duration) -> Float";
    duration_add "(Duration, Duration) -> Duration";
    duration_sub "(Duration, Duration) -> Duration";
    duration_mul "(Duration, Int) -> Duration";
    duration_scale "(Duration, Float) -> Duration";
    duration_div "(Duration, Int) -> Duration";
    duration_ratio "(Duration, Duration) -> Float";
    duration_neg "(Duration) -> Duration";
    instant_add "(Instant, Duration) -> Instant";
    instant_sub "(Instant, Duration) -> Instant";
    instant_diff "(Instant, Instant) -> Duration";
    random_seed "(Int) -> ()";
    random_float "() -> Float";
    random_int "(Int, Int) -> Int";
    random_normal "(Float, Float) -> Float";
    random_rng "(Int) -> Rng";
    random_rng_float "(&mut Rng) -> Float";
    random_rng_int "(&mut Rng, Int, Int) -> Int";
    random_rng_normal "(&mut Rng, Float, Float) -> Float";
    random_permutation "(Int, Int, Int) -> Vec<Int>";
};

/// A line or file beyond this is refused rather than read: far above any text, below what a small machine holds.
pub const MAX_FILE_BYTES: u64 = 4 << 30;

fn io_read_line(cx: &NativeCx<'_>) -> Outcome {
    cx.task.program().flush();
    if !cx.task.program().has_input {
        return Ok(option(cx, None));
    }
    let mut input = std::io::stdin().lock();
    let line = grown(cx, 0, |line, n| {
        let read = input.by_ref().take(n).read_until(b'\n', line)?;
        // A line is not gone on with.
        Ok(if line.ends_with(b"\n") { 0 } else { read as u64 })
    });
    let line = input_text(line)?;
    let text = line.strip_suffix('\n').map_or(line.as_str(), |l| l.strip_suffix('\r').unwrap_or(l));
    Ok(option(cx, (!line.is_empty()).then(|| Value::str(text))))
}

fn io_read_rest(cx: &NativeCx<'_>) -> Outcome {
    cx.task.program().flush();
    if !cx.task.program().has_input {
        return Ok(Value::str(""));
    }
    let mut input = std::io::stdin().lock();
    let text = grown(cx, 0, |text, n| input.by_ref().take(n).read_to_end(text).map(|read| read as u64));
    Ok(Value::str(input_text(text)?))
}

/// What was read of standard input.
fn input_text(read: Result<Vec<u8>, Unread>) -> Result<String, Fault> {
    let wrong = |why: String| Fault::io(format!("standard input cannot be read: {why}"));
    let bytes = read.map_err(|why| why.fault(wrong))?;
    String::from_utf8(bytes).map_err(|_| wrong("stream did not contain valid UTF-8".into()))
}

/// Why something was not read to its end.
enum Unread {
    Failed(std::io::Error),
    TooLong,
    NoRoom(Fault),
}

impl Unread {
    fn fault(self, wrong: impl FnOnce(String) -> Fault) -> Fault {
        match self {
            Unread::Failed(e) => wrong(reason(&e)),
            Unread::TooLong => wrong(format!("it has more than {MAX_FILE_BYTES} bytes")),
            Unread::NoRoom(fault) => fault,
        }
    }
}

/// All that `read` puts into the list, which it is asked for up to so many bytes more and says how many came: fewer at the end. Of what
/// tells no size (pipes, devices, /proc) more is asked for only as far as the task may have it.
fn grown(
    cx: &NativeCx<'_>,
    size: u64,
    mut read: impl FnMut(&mut Vec<u8>, u64) -> std::io::Result<u64>,
) -> Result<Vec<u8>, Unread> {
    const FIRST: u64 = 1 << 16;
    let mut content = Vec::new();
    // The end is seen by asking for one more.
    let mut step = size.saturating_add(1).max(FIRST);
    cx.reserve(size as usize).map_err(Unread::NoRoom)?;
    content.try_reserve_exact(size as usize).map_err(|_| Unread::NoRoom(Fault::out_of_memory()))?;
    while read(&mut content, step).map_err(Unread::Failed)? == step {
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(Unread::TooLong);
        }
        step = (content.len() as u64).min(MAX_FILE_BYTES + 1 - content.len() as u64);
        cx.reserve(content.len() + step as usize).map_err(Unread::NoRoom)?;
    }
    Ok(content)
}

fn env_var(cx: &NativeCx<'_>) -> Outcome {
    let name = cx.str(0);
    // Names that no environment can hold have no value.
    let found = if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var(name).ok() };
    Ok(option(cx, found.map(Value::str)))
}

fn env_vars(cx: &NativeCx<'_>) -> Outcome {
    let text =
        |(name, value): (std::ffi::OsString, std::ffi::OsString)| name.into_string().ok().zip(value.into_string().ok());
    let mut found: Vec<(String, String)> = std::env::vars_os().filter_map(text).collect();
    found.sort();
    let mut vars = Value::map(cx.ret_type());
    for (name, value) in found {
        vars.map_mut().insert(Value::str(name), Value::str(value));
    }
    Ok(vars)
}

fn process_exit(cx: &NativeCx<'_>) -> Outcome {
    // What the operating system keeps of a status.
    Err(Fault::exit((cx.int(0) & 0xff) as i32))
}

fn os_cpu_count(_: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(std::thread::available_parallelism().map_or(1, |n| n.get()) as i64))
}

fn os_name(_: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(std::env::consts::OS))
}

fn os_pid(_: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(std::process::id().into()))
}

fn os_cwd(_: &NativeCx<'_>) -> Outcome {
    let dir = std::env::current_dir().map_err(|e| Fault::io(format!("the current directory is not known: {e}")))?;
    Ok(Value::str(dir.display().to_string()))
}

/// `cannot read notes.txt: no such file or directory`.
pub(super) fn wrong(what: &str, path: &str) -> impl FnOnce(std::io::Error) -> Fault {
    move |e| Fault::io(format!("cannot {what} {path}: {}", reason(&e)))
}

fn reason(e: &std::io::Error) -> String {
    let why = e.to_string();
    why.split(" (os error").next().unwrap_or(&why).to_lowercase()
}

/// A file's content, when it fits the task's memory limit.
fn content(cx: &NativeCx<'_>) -> Result<Vec<u8>, Fault> {
    let path = cx.str(0);
    if let Some(asset) = asset::open(cx, path) {
        let bytes = asset?;
        cx.reserve(bytes.len())?;
        return Ok(bytes.to_vec());
    }
    let file = fs::File::open(path).map_err(wrong("read", path))?;
    let bytes = file.metadata().map_err(wrong("read", path))?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(Fault::io(format!("cannot read {path}: {bytes} bytes are more than {MAX_FILE_BYTES}")));
    }
    let content = grown(cx, bytes, |content, n| (&file).take(n).read_to_end(content).map(|read| read as u64));
    content.map_err(|why| why.fault(|why| Fault::io(format!("cannot read {path}: {why}"))))
}

fn fs_read_text(cx: &NativeCx<'_>) -> Outcome {
    match String::from_utf8(content(cx)?) {
        Ok(text) => Ok(Value::str(text)),
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            Err(Fault::io(format!("cannot read {} as text: byte {at} is not UTF-8", cx.str(0))))
        }
    }
}

fn fs_read_bytes(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bytes(content(cx)?))
}

fn fs_write_text(cx: &NativeCx<'_>) -> Outcome {
    fs::write(cx.str(0), cx.str(1)).map_err(wrong("write", cx.str(0)))?;
    Ok(Value::unit())
}

fn fs_write_bytes(cx: &NativeCx<'_>) -> Outcome {
    fs::write(cx.str(0), cx.bytes(1)).map_err(wrong("write", cx.str(0)))?;
    Ok(Value::unit())
}

fn fs_append_text(cx: &NativeCx<'_>) -> Outcome {
    let path = cx.str(0);
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).map_err(wrong("append to", path))?;
    file.write_all(cx.str(1).as_bytes()).map_err(wrong("append to", path))?;
    Ok(Value::unit())
}

fn fs_exists(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(asset::find(cx, cx.str(0)).is_some() || Path::new(cx.str(0)).exists()))
}

fn fs_is_dir(cx: &NativeCx<'_>) -> Outcome {
    let is_dir = match asset::find(cx, cx.str(0)) {
        Some(found) => found == Found::Folder,
        None => Path::new(cx.str(0)).is_dir(),
    };
    Ok(Value::bool(is_dir))
}

fn fs_is_file(cx: &NativeCx<'_>) -> Outcome {
    let is_file = match asset::find(cx, cx.str(0)) {
        Some(found) => found != Found::Folder,
        None => Path::new(cx.str(0)).is_file(),
    };
    Ok(Value::bool(is_file))
}

fn fs_size(cx: &NativeCx<'_>) -> Outcome {
    let path = cx.str(0);
    if let Some(found) = asset::find(cx, path) {
        return Ok(Value::int(asset::size(found)));
    }
    let found = fs::metadata(path).map_err(wrong("look at", path))?;
    Ok(Value::int(i64::try_from(found.len()).unwrap_or(i64::MAX)))
}

/// A link is removed, never what it points at.
fn fs_remove(cx: &NativeCx<'_>) -> Outcome {
    let path = cx.str(0);
    let kind = fs::symlink_metadata(path).map_err(wrong("remove", path))?.file_type();
    let removed = if kind.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(wrong("remove", path))?;
    Ok(Value::unit())
}

fn fs_rename(cx: &NativeCx<'_>) -> Outcome {
    fs::rename(cx.str(0), cx.str(1)).map_err(wrong("rename", cx.str(0)))?;
    Ok(Value::unit())
}

fn fs_copy(cx: &NativeCx<'_>) -> Outcome {
    if let Some(asset) = asset::open(cx, cx.str(0)) {
        fs::write(cx.str(1), &*asset?).map_err(wrong("write", cx.str(1)))?;
        return Ok(Value::unit());
    }
    fs::copy(cx.str(0), cx.str(1)).map_err(wrong("copy", cx.str(0)))?;
    Ok(Value::unit())
}

fn fs_list(cx: &NativeCx<'_>) -> Outcome {
    let path = cx.str(0);
    if let Some(names) = asset::in_folder(cx, path, Assets::list) {
        return Ok(texts(cx, names?));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(wrong("list", path))? {
        let name = entry.map_err(wrong("list", path))?.file_name();
        names.push(name.into_string().map_err(|name| Fault::io(format!("cannot list {path}: {name:?} is not UTF-8")))?);
    }
    names.sort();
    Ok(texts(cx, names))
}

fn fs_make_dir(cx: &NativeCx<'_>) -> Outcome {
    fs::create_dir_all(cx.str(0)).map_err(wrong("make", cx.str(0)))?;
    Ok(Value::unit())
}

/// Folders that are still to be listed wait on a list, not on the stack. Links are named and not followed, so there is no circle.
fn fs_walk(cx: &NativeCx<'_>) -> Outcome {
    let root = cx.str(0);
    if let Some(found) = asset::in_folder(cx, root, Assets::walk) {
        return Ok(texts(cx, found?));
    }
    let mut found: Vec<String> = Vec::new();
    let mut bytes = 0;
    let mut pending = vec![std::path::PathBuf::from(root)];
    while let Some(folder) = pending.pop() {
        let shown = folder.display().to_string();
        for entry in fs::read_dir(&folder).map_err(wrong("list", &shown))? {
            let entry = entry.map_err(wrong("list", &shown))?;
            let path = entry.path();
            let Some(text) = path.to_str() else {
                return Err(Fault::io(format!("cannot list {shown}: {:?} is not UTF-8", entry.file_name())));
            };
            // The text, twice (here and as a value), and what keeps it.
            bytes += 2 * text.len() + 128;
            cx.reserve(bytes)?;
            found.push(text.to_string());
            if entry.file_type().map_err(wrong("look at", text))?.is_dir() {
                pending.push(path);
            }
        }
    }
    // By their parts: what is in a folder stands right behind it.
    found.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    Ok(texts(cx, found))
}

fn fs_metadata(cx: &NativeCx<'_>) -> Outcome {
    let path = cx.str(0);
    if let Some(found) = asset::find(cx, path) {
        let kind = if found == Found::Folder { "dir" } else { "file" };
        // A bundle keeps no times: it is the same bytes whenever it is made.
        let fields = [Value::str(kind), Value::int(asset::size(found)), Value::float(0.0), Value::bool(true)];
        return Ok(Value::fields(cx.ret_type(), fields));
    }
    let found = fs::symlink_metadata(path).map_err(wrong("look at", path))?;
    let kind = match found.file_type() {
        kind if kind.is_file() => "file",
        kind if kind.is_dir() => "dir",
        kind if kind.is_symlink() => "link",
        _ => "other",
    };
    // Before 1970 is below 0; a system that keeps no such time says 0.
    let modified = found.modified().map_or(0.0, |t| match t.duration_since(UNIX_EPOCH) {
        Ok(d) => d.as_secs_f64(),
        Err(e) => -e.duration().as_secs_f64(),
    });
    let size = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let fields =
        [Value::str(kind), Value::int(size), Value::float(modified), Value::bool(found.permissions().readonly())];
    Ok(Value::fields(cx.ret_type(), fields))
}

fn fs_temp_dir(_: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(std::env::temp_dir().display().to_string()))
}

/// Since 1970; 0 on a machine whose clock stands before.
fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Nanoseconds since the program first asked; virtual under a seed.
fn since_start(cx: &NativeCx<'_>) -> i64 {
    let program = cx.task.program();
    let now = program.scheduler().map_or_else(Instant::now, |scheduler| scheduler.now());
    let start = *program.started.get_or_init(|| now);
    let ns = |d: std::time::Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    match now.checked_duration_since(start) {
        Some(passed) => ns(passed),
        None => -ns(start - now),
    }
}

fn time_now(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::scalar(cx.ret_type(), since_start(cx) as u64))
}

fn instant_elapsed(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::duration(since_start(cx).saturating_sub(cx.int(0))))
}

/// Under a seed every program begins at midnight before the first of January 2000, in UTC.
const SEEDED_START: std::time::Duration = std::time::Duration::from_secs(946_684_800);

/// The date; virtual under a seed.
fn date(cx: &NativeCx<'_>) -> std::time::Duration {
    match cx.task.program().scheduler() {
        Some(scheduler) if scheduler.is_seeded() => SEEDED_START + scheduler.since_start(),
        _ => since_1970(),
    }
}

fn time_unix(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float(date(cx).as_secs_f64()))
}

fn time_unix_ns(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(i64::try_from(date(cx).as_nanos()).unwrap_or(i64::MAX)))
}

fn time_utc(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(utc(date(cx).as_secs())))
}

fn fits(what: &str, ns: Option<i64>) -> Result<i64, Fault> {
    ns.ok_or_else(|| Fault::overflow(what, "Duration"))
}

/// A float of nanoseconds, when it is a number in range.
fn from_float(cx: &NativeCx<'_>, ns: f64, what: &str) -> Outcome {
    let bound = i64::MAX as f64;
    let inside = ns.is_finite() && ns > -bound && ns < bound;
    Ok(Value::scalar(cx.ret_type(), fits(what, inside.then(|| ns.round() as i64))? as u64))
}

fn duration_from_ns(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::duration(cx.int(0)))
}

fn duration_from_s(cx: &NativeCx<'_>) -> Outcome {
    from_float(cx, cx.float(0) * 1e9, &format!("{} seconds", cx.float(0)))
}

fn duration_ns(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.int(0)))
}

fn duration_us(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float(cx.int(0) as f64 / 1e3))
}

fn duration_ms(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float(cx.int(0) as f64 / 1e6))
}

fn duration_s(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float(cx.int(0) as f64 / 1e9))
}

/// Sums and differences of durations and instants are all of nanoseconds.
fn nanoseconds(cx: &NativeCx<'_>, sign: &str, ns: Option<i64>) -> Outcome {
    let what = || format!("{} {sign} {}", cx.arg(0).show(), cx.arg(1).show());
    Ok(Value::scalar(cx.ret_type(), ns.map_or_else(|| fits(&what(), None), Ok)? as u64))
}

fn duration_add(cx: &NativeCx<'_>) -> Outcome {
    nanoseconds(cx, "+", cx.int(0).checked_add(cx.int(1)))
}

fn duration_sub(cx: &NativeCx<'_>) -> Outcome {
    nanoseconds(cx, "-", cx.int(0).checked_sub(cx.int(1)))
}

fn duration_mul(cx: &NativeCx<'_>) -> Outcome {
    nanoseconds(cx, "*", cx.int(0).checked_mul(cx.int(1)))
}

fn duration_scale(cx: &NativeCx<'_>) -> Outcome {
    from_float(cx, cx.int(0) as f64 * cx.float(1), &format!("{} * {}", cx.arg(0).show(), cx.float(1)))
}

fn duration_div(cx: &NativeCx<'_>) -> Outcome {
    if cx.int(1) == 0 {
        return Err(Fault::zero_division(format!("{} / 0", cx.arg(0).show())));
    }
    nanoseconds(cx, "/", cx.int(0).checked_div(cx.int(1)))
}

fn duration_ratio(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float(cx.int(0) as f64 / cx.int(1) as f64))
}

fn duration_neg(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::duration(fits(&format!("-{}", cx.arg(0).show()), cx.int(0).checked_neg())?))
}

fn instant_add(cx: &NativeCx<'_>) -> Outcome {
    duration_add(cx)
}

fn instant_sub(cx: &NativeCx<'_>) -> Outcome {
    duration_sub(cx)
}

fn instant_diff(cx: &NativeCx<'_>) -> Outcome {
    duration_sub(cx)
}

fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(since_1970().as_nanos())
}

/// Lets `draw` have the program's generator. Under `--seed` it follows from that number.
fn with_rng<R>(cx: &NativeCx<'_>, draw: impl FnOnce(&mut Rng) -> R) -> R {
    let program = cx.task.program();
    let mut rng = program.rng.lock();
    draw(rng.get_or_insert_with(|| Rng::new(program.options.seed.unwrap_or_else(fresh_seed))))
}

/// A seed that the program gave, or a fresh one below 0.
pub(super) fn seed_of(cx: &NativeCx<'_>, n: i64) -> u64 {
    u64::try_from(n).unwrap_or_else(|_| with_rng(cx, Rng::next_u64))
}

fn random_seed(cx: &NativeCx<'_>) -> Outcome {
    *cx.task.program().rng.lock() = Some(Rng::new(cx.int(0) as u64));
    Ok(Value::unit())
}

fn random_float(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float(with_rng(cx, Rng::float)))
}

fn random_int(cx: &NativeCx<'_>) -> Outcome {
    let (low, high) = (cx.int(0), cx.int(1));
    if low > high {
        return Err(Fault::value(format!("no number is in {low}..={high}")));
    }
    Ok(Value::int(with_rng(cx, |rng| rng.int(low, high))))
}

fn random_normal(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float(cx.float(0) + cx.float(1) * with_rng(cx, Rng::normal)))
}

impl Opaque for Rng {
    fn type_name(&self) -> &'static str {
        "Rng"
    }

    /// A copy goes on from the same place, as any value's copy.
    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }
}

fn random_rng(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::opaque(cx.ret_type(), Rng::new(cx.int(0) as u64)))
}

/// Lets `draw` have the generator that is lent as the first argument.
fn drawn<R>(cx: &mut NativeCx<'_>, draw: impl FnOnce(&mut Rng) -> R) -> R {
    let mut rng = cx.take(0);
    let result = draw(rng.opaque_mut());
    cx.replace(0, rng);
    result
}

fn random_rng_float(cx: &mut NativeCx<'_>) -> Outcome {
    Ok(Value::float(drawn(cx, Rng::float)))
}

fn random_rng_int(cx: &mut NativeCx<'_>) -> Outcome {
    let (low, high) = (cx.int(1), cx.int(2));
    if low > high {
        return Err(Fault::value(format!("no number is in {low}..={high}")));
    }
    Ok(Value::int(drawn(cx, |rng| rng.int(low, high))))
}

fn random_rng_normal(cx: &mut NativeCx<'_>) -> Outcome {
    let (mean, deviation) = (cx.float(1), cx.float(2));
    Ok(Value::float(mean + deviation * drawn(cx, Rng::normal)))
}

fn random_permutation(cx: &NativeCx<'_>) -> Outcome {
    let (n, run) = (size(cx.int(0), "the number of items")?, size(cx.int(1), "the length of a run")?);
    cx.reserve(n.saturating_mul(8))?;
    let order = Rng::new(cx.int(2) as u64).permutation(n, run);
    Ok(Value::vec_of_scalars(cx.ret_type(), order.into_iter().map(|x| x as u64).collect()))
}
