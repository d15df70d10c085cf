//! What people write who come from Python, PyTorch, Go, Rust, Kotlin, Ray or Erlang, and what STARK has instead: names of its own in
//! `names`, and a sentence where there is no such name in `way`, `module_way`, `member_way`, `tensor_way`.
//!
//! The tables are read where a name is not found; what they offer is offered only when it is there.

/// STARK's names for what is called `name` elsewhere; the first that is there is meant.
pub fn names(name: &str) -> &'static [&'static str] {
    match name {
        "append" | "push_back" | "add_item" | "addLast" => &["push"],
        "add" => &["insert", "push"],
        "put" | "enqueue" | "offer" | "tell" | "cast" | "notify" | "post" => &["send", "push", "insert"],
        "get" | "receive" | "take" | "dequeue" | "poll" => &["recv", "join"],
        "get_nowait" | "poll_nowait" => &["try_recv"],
        "put_nowait" => &["try_send"],
        "result" | "wait" | "get_result" | "wait_for_result" => &["join"],
        "abort" | "terminate" | "interrupt" => &["cancel", "kill"],
        "is_finished" | "done" | "isCompleted" | "finished" => &["is_done"],
        "call" | "request" | "query" => &["ask"],
        "shutdown" => &["stop", "close"],
        "isClosed" | "closed" => &["is_closed"],
        "remove_at" | "erase" | "delete" | "del" => &["remove"],
        "has_key" => &["contains_key"],
        "entries" | "entrySet" | "iteritems" => &["items"],
        "keySet" => &["keys"],
        "setdefault" => &["or_insert"],
        "get_or_default" | "getOrDefault" | "getOrElse" => &["get_or"],
        "concat" | "addAll" | "add_all" | "append_all" | "extend_from_slice" => &["extend"],
        "substring" | "substr" => &["slice"],
        "collect" | "to_list" | "toList" | "tolist" => &["to_vec"],
        "empty" => &["is_empty"],
        "head" => &["first"],
        "find_index" | "indexOf" | "index" => &["index_of", "position"],
        "reduce" | "foldl" | "fold_left" | "inject" => &["fold"],
        "select" | "where" => &["filter"],
        "exists" | "some" => &["any"],
        "every" => &["all"],
        "or_default" | "unwrap_or_default" | "orElse" => &["unwrap_or"],
        "i8" => &["Int8"],
        "i16" => &["Int16"],
        "i32" => &["Int32"],
        "i64" | "isize" | "integer" | "Integer" | "Long" | "long" => &["Int"],
        "u8" | "byte" => &["UInt8"],
        "u16" => &["UInt16"],
        "u32" => &["UInt32"],
        "u64" | "usize" | "uint" => &["UInt64"],
        "f32" => &["Float32"],
        "f64" | "double" | "Double" => &["Float"],
        "string" | "Str" | "&str" | "char" | "Char" | "rune" => &["String"],
        "boolean" | "Boolean" => &["Bool"],
        "List" | "Array" | "vec" | "ArrayList" | "MutableList" | "Sequence" => &["Vec"],
        "Dict" | "dict" | "HashMap" | "BTreeMap" | "MutableMap" => &["Map"],
        "HashSet" | "BTreeSet" | "frozenset" => &["Set"],
        "Optional" | "Maybe" => &["Option"],
        "Either" => &["Result"],
        "Promise" | "Deferred" | "CompletableFuture" | "Awaitable" | "Coroutine" | "ObjectRef" | "Task" => &["Future"],
        "Job" | "TaskHandle" => &["JoinHandle"],
        "Chan" | "chan" | "Sender" | "Receiver" | "MpscChannel" => &["Channel"],
        "Pid" | "Address" | "Addr" | "ActorHandle" => &["ActorRef"],
        "Exception" | "BaseException" | "Throwable" => &["Error"],
        "RuntimeError" | "TypeError" | "IllegalArgumentException" => &["ValueError"],
        "void" => &["()"],
        "null" | "nil" | "undefined" => &["None"],
        "True" => &["true"],
        "False" => &["false"],
        "println" | "printf" | "echo" | "puts" => &["print"],
        "eprintln" => &["eprint"],
        "length" | "count_items" => &["len"],
        "size" => &["len", "shape"],
        "view" => &["reshape"],
        "mm" | "bmm" => &["matmul"],
        "toUpperCase" | "to_uppercase" | "toupper" => &["upper"],
        "toLowerCase" | "to_lowercase" | "tolower" => &["lower"],
        "startswith" => &["starts_with"],
        "endswith" => &["ends_with"],
        "lstrip" => &["trim_start"],
        "rstrip" => &["trim_end"],
        "to_str" | "toString" => &["to_string", "show"],
        "includes" | "has" => &["contains"],
        "delay" | "usleep" => &["sleep"],
        "await_all" | "awaitAll" | "join_all" | "joinAll" | "when_all" | "wait_all" => &["gather"],
        "wait_for" | "withTimeout" | "with_timeout" => &["timeout"],
        "loads" | "load" => &["parse", "decode"],
        "dumps" | "dump" | "marshal" => &["stringify", "encode"],
        "unmarshal" => &["parse"],
        "environ" | "getenv" | "get_env" => &["env"],
        "time" | "perf_counter" | "monotonic" | "Now" => &["now"],
        "listdir" | "readdir" | "read_dir" => &["list"],
        "read_to_string" | "read_file" | "readFile" | "ReadFile" => &["read_text"],
        "write_file" | "writeFile" | "WriteFile" => &["write_text"],
        "mkdir" | "makedirs" | "create_dir" => &["make_dir"],
        "unlink" => &["remove"],
        "findall" => &["find_all"],
        "msg" | "what" | "description" | "args" => &["message"],
        _ => &[],
    }
}

/// The first of STARK's names for `name` that is there: from the table, or `isEmpty` written as names are here, `is_empty`.
pub fn meant(name: &str, is_there: impl Fn(&str) -> bool) -> Option<String> {
    let listed = names(name).iter().find(|ours| is_there(ours)).map(|ours| ours.to_string());
    listed.or_else(|| snake(name).filter(|ours| is_there(ours)))
}

/// `isEmpty` as `is_empty`, `Sleep` as `sleep`.
fn snake(name: &str) -> Option<String> {
    if !name.contains(char::is_uppercase) || name.len() > 60 {
        return None;
    }
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    Some(out)
}

const ZONE: &str =
    "what tasks share is a zone at the top level: `shared let n: Shared<Int> = 0`, taken by `with n.write() as v:`";
const TASK: &str = "`spawn f(x)` starts a task, and `.join()` of what it gives waits for the result";
const SCOPE: &str = "`scope s:` and a block: it ends when all that `s.spawn(|| f(x))` began has ended";
const CHANNEL: &str =
    "`let ch: Channel<Int> = channel(10)` makes a queue for tasks; `ch.send(x)` and `ch.recv()` use it";
const THROW: &str = "`throw ValueError(\"…\")` ends with an error";
const TOLD_APART: &str = "a value's type is known before the program runs; `match` tells the variants of an enum apart";
const PLAIN: &str =
    "no wrapper is needed: a value is copied when one of two users changes it; what tasks share is a `shared let`";

/// What to do instead of what `name` does elsewhere, as a value or as a type.
pub fn way(name: &str) -> Option<&'static str> {
    Some(match name {
        "Mutex" | "RwLock" | "RWMutex" | "ReentrantLock" | "Lock" | "RLock" | "Atomic" | "AtomicInt" | "AtomicI64"
        | "AtomicU64" | "AtomicUsize" | "AtomicInteger" | "AtomicBool" | "ConcurrentHashMap" | "DashMap" => ZONE,
        "Semaphore" => "a channel of `n` tokens lets `n` tasks in: `ch.recv()` takes one, `ch.send(())` gives it back",
        "Arc" | "Rc" | "Box" | "RefCell" | "Cell" | "Pointer" => PLAIN,
        "Thread" | "thread" | "create_task" | "ensure_future" | "launch" | "go" | "Process" | "run_in_executor" => TASK,
        "runBlocking" | "block_on" | "run_until_complete" => "any function may wait: write `await f()`",
        "coroutineScope" | "supervisorScope" | "WaitGroup" | "JoinSet" | "open_nursery" => SCOPE,
        "Queue" | "mpsc" | "make_chan" | "BlockingQueue" | "make" => CHANNEL,
        "range" | "xrange" => {
            "`0..n` are the numbers below `n`, `1..=n` those from 1 to `n`; `(0..n).step_by(2)` is every other"
        }
        "isinstance" | "instanceof" | "typeof" | "type" => TOLD_APART,
        "panic" | "todo" | "unimplemented" | "unreachable" | "bail" => THROW,
        "sprintf" | "vformat" => "an f-string formats: `f\"{x:.2}\"`",
        "open" => "`fs.open(path)`, or `fs.read_text(path)` for all of it, with `import fs`",
        "tuple" => "a tuple is written `(a, b)`",
        "hasattr" | "getattr" | "setattr" => "fields are known before the program runs; a `Map` holds what is not",
        "super" => "there is no inheritance: a type holds another as a field, and traits say what types have in common",
        "Any" | "Object" | "object" => {
            "a type parameter stands for any type: `fn f<T>(x: T)`; a trait's name for all that implement it"
        }
        "Callable" | "Func" | "Function" | "FnMut" | "FnOnce" => "a function's type is `fn(Int) -> Int`",
        "Tuple" | "Pair" => "a tuple's type is `(Int, String)`",
        "Union" => "an `enum` is one of several: `enum Id: Number(Int), Name(String)`",
        "Number" | "number" => "whole numbers are `Int`, others `Float`",
        "BufferedReader" | "File" => "`fs.open(path)` opens a file, with `import fs`",
        "instance" => TOLD_APART,
        "zeros_like" | "empty_like" => "`zeros(x.shape())` makes one of the shape of `x`",
        "ones_like" => "`ones(x.shape())` makes one of the shape of `x`",
        "full_like" => "`full(x.shape(), value)` makes one of the shape of `x`",
        "rand_like" => "`rand(x.shape())` makes one of the shape of `x`",
        "randn_like" => "`randn(x.shape())` makes one of the shape of `x`",
        "isnan" => "only what is no number differs from itself: `x != x`",
        _ => return None,
    })
}

/// What to do instead of a method that PyTorch's or NumPy's tensors have.
pub fn tensor_way(name: &str) -> Option<&'static str> {
    Some(match name {
        "T" | "t" | "mT" | "swapaxes" | "swapdims" => {
            "`transpose()` exchanges the axes of a matrix, `transpose(a, b)` two of several"
        }
        "dim" | "ndim" | "ndimension" => "STARK calls it `rank()`",
        "size" => "`shape()` gives the sizes of all axes, `shape()[0]` one of them",
        "nelement" => "STARK calls it `numel()`",
        "long" | "int64" => "`.to(Int64)` converts the elements",
        "int" | "int32" => "`.to(Int32)` converts the elements",
        "short" => "`.to(Int16)` converts the elements",
        "char" => "`.to(Int8)` converts the elements",
        "byte" | "uint8" => "`.to(UInt8)` converts the elements",
        "float" | "float32" => "`.to(Float32)` converts the elements",
        "double" | "float64" => "`.to(Float64)` converts the elements",
        "half" | "float16" => "`.to(Float16)` converts the elements",
        "bfloat16" => "`.to(BFloat16)` converts the elements",
        "bool" => "`.to(Bool)` converts the elements; a comparison such as `t > 0.0` gives them, too",
        "type" | "astype" => "`.to(Float32)` converts the elements; `dtype()` tells what they are",
        "detach" | "requires_grad" | "requires_grad_" | "backward" | "grad" | "retain_grad" => {
            "tensors keep no gradients here: leave it out"
        }
        "contiguous" => "the operations see to it: leave it out",
        "numpy" | "tolist" | "data" => {
            "`to_vec()` gives the elements as a list, and `save_npy(path, t)` a file for NumPy"
        }
        "cuda" => "`.to_device(\"gpu\")` brings it to a device",
        "cpu" => "`.to_device(\"cpu\")` brings it to the processor",
        "device" => "`device()` tells where it is, `.to_device(\"gpu\")` brings it elsewhere",
        "repeat" | "tile" => {
            "`expand(shape)` repeats axes of size 1, `cat([t, t], axis = 0)` puts copies behind one another"
        }
        "argsort" => "`sort()` gives the elements in order and their places: `t.sort().1`",
        "isnan" => "only what is no number differs from itself: `t != t`",
        "isfinite" | "isinf" => "`t - t` is no number exactly where `t` is infinite or none: `(t - t) != (t - t)`",
        "masked_select" => "a mask in brackets picks elements: `t[t > 0.0]`",
        "unbind" => "`rows()` gives the slices of axis 0 as a list",
        "eq" => "`==` compares elements: `a == b`",
        "ne" => "`!=` compares elements: `a != b`",
        "lt" | "gt" | "le" | "ge" => "elements are compared by `<`, `<=`, `>`, `>=`",
        _ => return None,
    })
}

/// STARK's names for a parameter that is called `name` elsewhere.
pub fn parameters(name: &str) -> &'static [&'static str] {
    match name {
        "dim" | "dims" | "axes" => &["axis", "order"],
        "keepdims" => &["keepdim"],
        "size" => &["shape"],
        "min" => &["low"],
        "max" => &["high"],
        "input" => &["t", "x"],
        "correction" => &["unbiased"],
        _ => &[],
    }
}

/// What to do instead of importing another language's module.
pub fn module_way(name: &str) -> Option<&'static str> {
    let first = name.split(['.', ':']).next().unwrap_or(name);
    Some(match first {
        "asyncio" | "trio" | "tokio" | "async_std" | "kotlinx" | "futures" => {
            "nothing is imported for tasks: `async fn`, `await`, `spawn`, `gather([…])`, `timeout(1s, f())` and `sleep(1s)` are there"
        }
        "threading" | "multiprocessing" | "concurrent" | "sync" => {
            "nothing is imported for tasks: `spawn f(x)` starts one, `channel()` and `shared let` connect them"
        }
        "queue" => CHANNEL,
        "ray" | "akka" => {
            "`actor` declares an actor, `spawn_actor(A::new())` starts one; `parallel_map(xs, f)` spreads work"
        }
        "typing" | "dataclasses" | "enum" | "abc" | "types" => {
            "types are part of the language: `struct`, `enum`, `trait`, `Vec<Int>`"
        }
        "numpy" | "np" | "torch" | "tensorflow" | "tf" | "jax" => {
            "nothing is imported for tensors: `tensor([[1.0, 2.0]])`, `zeros([2, 3])` and `load_model(path)` are there"
        }
        "transformers" => "nothing is imported for models: `load_model(path)` and `load_tokenizer(path)` are there",
        "sys" => "`args()`, `exit(n)` and `eprint(…)` are there, and `os` has the rest",
        "itertools" | "functools" | "collections" => {
            "lists and maps have methods for it: `zip`, `enumerate`, `chunks`, `fold`, `counts`; `deque` and `heap` are modules"
        }
        "re" => "the module is called `regex`",
        "datetime" => "the module is called `time`",
        "logging" => "the module is called `log`",
        "requests" | "httpx" | "aiohttp" | "urllib" => "the module is called `http`",
        "argparse" => "`os.parse_args` reads them, with `import os`",
        "unittest" | "pytest" => {
            "`@test fn name():` is a test, and `stark test` runs them; the module `testing` has comparisons"
        }
        "fmt" | "io" | "std" | "string" => {
            "`print(…)` and f-strings need no import; `fs`, `os`, `time` and their like are the library's modules"
        }
        "copy" => "nothing is imported to copy: `let b = a` does",
        "pathlib" => "the module is called `path`",
        "base64" | "binascii" => "the module is called `encoding`",
        "heapq" => "the module is called `heap`",
        _ => return None,
    })
}

/// What to do instead of a method that no type has.
pub fn member_way(name: &str) -> Option<&'static str> {
    Some(match name {
        "clone" | "copy" | "cloned" | "deepcopy" | "dup" => "assigning copies: `let b = a`",
        "unwrap" | "expect" | "get_or_throw" => "the value is there already: leave the call out",
        "format" => "an f-string formats: `f\"{name} is {age}\"`",
        "await" => "`await` stands before what it waits for: `await f`",
        "lock" | "acquire" => ZONE,
        "remote" => "a call of an actor's method is a message already: `await actor.method(x)`",
        "as_str" | "into" | "to_owned" | "as_ref" | "borrow" | "borrow_mut" | "get_mut" => "use the value itself",
        "charAt" | "char_at" => "a character is taken by its position: `text[0]`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_spellings_are_found() {
        assert_eq!(meant("isEmpty", |n| n == "is_empty").as_deref(), Some("is_empty"));
        assert_eq!(meant("put", |n| n == "insert").as_deref(), Some("insert"));
        assert_eq!(meant("is_empty", |_| true), None);
        assert_eq!(meant("Mutex", |n| n == "lock"), None);
    }
}
