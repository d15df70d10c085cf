//! Models, tokenizers and tensor files.
//!
//! A model's work runs on the calling worker; its kernels split over the others through the lent `Parallel`. What a device
//! computes the task waits for, and its worker runs others.

use super::model_values::{answer, first_tensor, inputs, named_inputs};
use super::support::{Outcome, answers, texts, until_done};
use super::tensor::{device_of, dtype_of_code, ints, sizes_of, tensor, value_of};
use super::{NativeCx, NativeResult, NativeRow, asset, natives};
use crate::fault::{Fault, FaultKind};
use crate::heap::Opaque;
use crate::observe;
use crate::task::WaitReason;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_kernels::{DType, Tensor};
use stark_models::safetensors::SafeTensors;
use stark_models::tokenizer::BYTES_PER_BYTE;
use stark_models::{FileBytes, Load, Model, ModelError, Tokenizer, TokenizerError, Value as Given};
use stark_shapes::{TensorSpec, model_fits};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const TABLE: &[NativeRow] = answers! {
    model_load "(String, String, String) -> Model" Assets;
    model_check "(Model, Vec<Vec<Int>>, Vec<Vec<Int>>) -> ()";
    model_inputs "(Model) -> Vec<String>";
    model_outputs "(Model) -> Vec<String>";
    model_parameters "(Model) -> Int";
    model_device "(Model) -> String";
    device_stats "(String) -> Map<String, Int>";
    tensors_load "(String) -> Map<String, Tensor>" Assets;
    tensors_save "<E>(String, Map<String, Tensor<E>>) -> ()" Files;
    npy_load "(String) -> Tensor" Assets;
    npy_save "<E>(String, Tensor<E>) -> ()" Files;
    use_tokenizer "(String) -> ()" Assets;
    tokenizer_load "(String) -> Tokenizer" Assets;
    tokenize "(String) -> Tensor<Int64>" Tokenizer;
    tokenizer_encode "(Tokenizer, String) -> Tensor<Int64>";
    tokenizer_encode_batch "(Tokenizer, Vec<String>, Int) -> (Tensor<Int64>, Tensor<Int64>)";
    tokenizer_decode "(Tokenizer, Tensor<Int64>) -> String";
    tokenizer_decode_vec "(Tokenizer, Vec<Int>) -> String";
    tokenizer_vocab_size "(Tokenizer) -> Int";
};

pub(super) const PREDICT: &[NativeRow] = natives! {
    model_predict "<I, O>(Model, I) -> O";
    model_predict_named "<I, O>(Model, I, Vec<String>) -> O";
};

impl Opaque for Model {
    fn type_name(&self) -> &'static str {
        "Model"
    }

    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }

    fn show(&self, _: bool, out: &mut String) {
        out.push_str(&format!("Model({})", self.file()));
    }
}

impl Opaque for Tokenizer {
    fn type_name(&self) -> &'static str {
        "Tokenizer"
    }

    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }

    fn show(&self, _: bool, out: &mut String) {
        out.push_str(&format!("Tokenizer({})", self.file()));
    }
}

pub(super) fn model_fault(e: ModelError) -> Fault {
    let kind = match e {
        ModelError::Io { .. } => FaultKind::IoError,
        ModelError::Memory { .. } => FaultKind::OutOfMemoryError,
        _ => FaultKind::ModelError,
    };
    Fault::new(kind, e.to_string())
}

fn tokenizer_fault(e: TokenizerError) -> Fault {
    Fault::new(FaultKind::ModelError, e.to_string())
}

pub(super) fn model<'a>(cx: &'a NativeCx<'_>) -> &'a Model {
    cx.opaque::<Model>(0)
}

/// `auto` is the processor.
fn model_load(cx: &NativeCx<'_>) -> Outcome {
    let (path, method) = (cx.str(0), cx.str(2));
    let device = match cx.str(1) {
        "auto" => None,
        name => device_of(name)?,
    };
    let load = Load::new().on(device).method(Some(method));
    let model = match asset::open(cx, path) {
        Some(bytes) => load.bytes_and(bytes?, path, &asset::beside(cx, path)),
        None => load.file(path),
    };
    Ok(Value::opaque(cx.ret_type(), model.map_err(model_fault)?))
}

/// What a device has still to compute.
struct Predicted {
    prediction: observe::Prediction,
    result: Result<Given, ModelError>,
}

/// A model whose last run took so long does not run where short turns are wanted. A guess: some turns.
const LONG_RUN: Duration = Duration::from_millis(1);

/// Runs the model and answers with what it gives. While a device runs it, the task waits and not its thread. It does not run inside
/// another task's turn, not on a relief when it takes long or not as soon as it does, and not on when nobody wants its result any more.
fn predict(
    cx: &mut NativeCx<'_>,
    given: impl FnOnce(&NativeCx<'_>) -> Result<Vec<Option<Given>>, Fault>,
) -> NativeResult {
    let predicted = match cx.resumed::<Option<Predicted>>().flatten() {
        Some(predicted) => predicted,
        None => {
            if cx.task.is_guest() {
                return in_a_turn_of_its_own(cx);
            }
            let is_on_relief = cx.task.is_on_relief();
            if is_on_relief && model(cx).last_run() >= LONG_RUN {
                cx.task.put_off();
                return in_a_turn_of_its_own(cx);
            }
            let begun = Instant::now();
            let between = || {
                cx.task.pause();
                cx.task.is_unwanted() || is_on_relief && begun.elapsed() >= LONG_RUN
            };
            let rows = first_tensor(cx.arg(1)).and_then(|input| input.shape().first().copied()).unwrap_or(1);
            let (prediction, result) = observe::predict(model(cx), given(cx)?, rows as u64, &between);
            if let Err(ModelError::Stopped { .. }) = result {
                if is_on_relief && !cx.task.is_unwanted() {
                    cx.task.put_off();
                }
                // That begins with what has stopped it, or with the model on a worker.
                return in_a_turn_of_its_own(cx);
            }
            Predicted { prediction, result }
        }
    };
    if model(cx).accelerator().is_some()
        && let Ok(output) = &predicted.result
        && let Some((reason, device)) = until_done(cx, &output.tensors())
    {
        return cx.suspend(reason, device, Some(predicted));
    }
    let Predicted { prediction, result } = predicted;
    let model = model(cx);
    let result = result.and_then(|output| model.fetch(output));
    prediction.end(cx.task, model, &result);
    let value = answer(cx.ret_type(), model, &result.map_err(model_fault)?)?;
    cx.return_value(value)
}

/// The prediction begins anew in the task's next turn.
fn in_a_turn_of_its_own(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(me) = cx.task.me() {
        me.wake();
    }
    cx.suspend(WaitReason::Nothing, 0, None::<Predicted>)
}

fn model_predict(cx: &mut NativeCx<'_>) -> NativeResult {
    predict(cx, |cx| {
        let model = model(cx);
        model.given(inputs(model, cx.arg(1))?).map_err(model_fault)
    })
}

fn model_predict_named(cx: &mut NativeCx<'_>) -> NativeResult {
    predict(cx, |cx| {
        let model = model(cx);
        model.given_by_name(named_inputs(model, cx.arg(1), cx.vec(2))?).map_err(model_fault)
    })
}

/// The tensors that a type states, as `_model_check` in the library describes them.
fn stated(cx: &NativeCx<'_>, i: usize) -> Vec<TensorSpec> {
    let row = |row: ValueRef<'_>| {
        let numbers = ints(row);
        let (code, dims) = numbers.split_first().map_or((-1, &[-2][..]), |(code, dims)| (*code, dims));
        let dims = (dims != [-2]).then(|| sizes_of(dims));
        TensorSpec { name: String::new(), dtype: dtype_of_code(code), dims }
    };
    cx.vec(i).iter().map(row).collect()
}

fn model_check(cx: &NativeCx<'_>) -> Outcome {
    let model = model(cx);
    model_fits(&model.spec(), &stated(cx, 1), &stated(cx, 2))
        .map_err(|e| Fault::new(FaultKind::ModelError, format!("{}: {e}", model.file())))?;
    Ok(Value::unit())
}

fn model_inputs(cx: &NativeCx<'_>) -> Outcome {
    Ok(texts(cx, model(cx).arguments().into_iter().map(|(name, _)| name)))
}

fn model_outputs(cx: &NativeCx<'_>) -> Outcome {
    Ok(texts(cx, model(cx).outputs().iter().map(|output| output.name.clone())))
}

fn model_parameters(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(model(cx).n_parameters() as i64))
}

fn model_device(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(model(cx).accelerator().map_or("cpu", |accelerator| accelerator.name())))
}

/// What a device did so far; the processor counts nothing.
fn device_stats(cx: &NativeCx<'_>) -> Outcome {
    let mut map = Value::map(cx.ret_type());
    let Some(device) = device_of(cx.str(0))? else { return Ok(map) };
    let done = device.statistics();
    let counts = [
        ("kernels", done.n_kernels),
        ("busy_ns", done.busy_ns),
        ("uploads", done.n_uploads),
        ("uploaded_bytes", done.uploaded_bytes),
        ("downloads", done.n_downloads),
        ("downloaded_bytes", done.downloaded_bytes),
        ("used_bytes", done.used_bytes),
        ("peak_bytes", done.peak_bytes),
        ("kept_bytes", done.kept_bytes),
        ("out_of_memory", done.n_full),
        ("on_host", done.on_host.iter().map(|(_, n)| n).sum()),
    ];
    for (name, n) in counts {
        map.map_mut().insert(Value::str(name), Value::int(i64::try_from(n).unwrap_or(i64::MAX)));
    }
    Ok(map)
}

fn tensors_load(cx: &NativeCx<'_>) -> Outcome {
    let path = cx.str(0);
    let bytes = open_file(cx, path)?;
    let file = SafeTensors::parse(&bytes, path).map_err(model_fault)?;
    let mut map = Value::map(cx.ret_type());
    let tensor_type = cx.ret_type().map_value();
    for entry in &file.entries {
        let t = file.tensor(&entry.name).map_err(model_fault)?;
        map.map_mut().insert(Value::str(entry.name.as_str()), value_of(tensor_type, t)?);
    }
    Ok(map)
}

fn tensors_save(cx: &NativeCx<'_>) -> Outcome {
    let tensors: Vec<(&str, &Tensor)> =
        cx.map(1).iter().map(|(name, value)| (name.str(), value.opaque::<Tensor>())).collect();
    cx.reserve(tensors.iter().map(|(_, t)| t.n_bytes()).sum())?;
    named_for(cx.str(0), ".npy", "save_npy")?;
    let content = stark_kernels::safetensors::write(tensors, &[]).map_err(super::tensor::fault)?;
    write_file(cx.str(0), content)
}

fn npy_load(cx: &NativeCx<'_>) -> Outcome {
    let path = cx.str(0);
    let bytes = open_file(cx, path)?;
    cx.reserve(bytes.len())?;
    let t = stark_kernels::npy::parse(&bytes).map_err(|e| Fault::io(format!("{path}: {e}")))?;
    value_of(cx.ret_type(), t)
}

fn npy_save(cx: &NativeCx<'_>) -> Outcome {
    let t = super::tensor::tensor(cx, 1);
    cx.reserve(t.n_bytes())?;
    named_for(cx.str(0), ".safetensors", "save_tensors")?;
    write_file(cx.str(0), stark_kernels::npy::write(t).map_err(super::tensor::fault)?)
}

/// An asset of the program, or a file.
fn open_file(cx: &NativeCx<'_>, path: &str) -> Result<FileBytes, Fault> {
    match asset::open(cx, path) {
        Some(bytes) => bytes,
        None => FileBytes::open(Path::new(path)).map_err(super::system::wrong("read", path)),
    }
}

/// Refuses to give a file a name that says another format.
fn named_for(path: &str, other: &str, function: &str) -> Result<(), Fault> {
    match path.ends_with(other) {
        true => Err(Fault::io(format!("{path} is named as a {other} file, which `{function}` writes"))),
        false => Ok(()),
    }
}

fn write_file(path: &str, content: Vec<u8>) -> Outcome {
    std::fs::write(path, content).map_err(|e| Fault::io(format!("cannot write {path}: {e}")))?;
    Ok(Value::unit())
}

/// The program's tokenizer: the one given with `use_tokenizer`, else that of its assets, else `tokenizer.json` beside the program
/// or in the current directory.
fn program_tokenizer(cx: &NativeCx<'_>) -> Result<Tokenizer, Fault> {
    let program = cx.task.program();
    let mut current = program.tokenizer.lock();
    if let Some(tokenizer) = &*current {
        return Ok(tokenizer.clone());
    }
    if let Some(path) = asset::tokenizer(program) {
        let tokenizer = load_tokenizer(cx, path)?;
        *current = Some(tokenizer.clone());
        return Ok(tokenizer);
    }
    let beside = program.options.dir.iter().map(|dir| dir.join("tokenizer.json"));
    let found = beside.chain([std::path::PathBuf::from("tokenizer.json")]).find(|path| path.is_file());
    let path = found.ok_or_else(|| {
        Fault::io("the program has no tokenizer: put a tokenizer.json beside it or call use_tokenizer(path)")
    })?;
    let tokenizer = Tokenizer::load(path).map_err(tokenizer_fault)?;
    *current = Some(tokenizer.clone());
    Ok(tokenizer)
}

fn load_tokenizer(cx: &NativeCx<'_>, path: &str) -> Result<Tokenizer, Fault> {
    Tokenizer::from_bytes(&open_file(cx, path)?, path).map_err(tokenizer_fault)
}

fn use_tokenizer(cx: &NativeCx<'_>) -> Outcome {
    let tokenizer = load_tokenizer(cx, cx.str(0))?;
    *cx.task.program().tokenizer.lock() = Some(tokenizer);
    Ok(Value::unit())
}

fn tokenizer_load(cx: &NativeCx<'_>) -> Outcome {
    let tokenizer = load_tokenizer(cx, cx.str(0))?;
    Ok(Value::opaque(cx.ret_type(), tokenizer))
}

/// Asks for what encoding `text` takes, beside `more`.
fn reserve_encoding(cx: &NativeCx<'_>, text: &str, more: usize) -> Result<(), Fault> {
    cx.reserve(text.len().saturating_mul(BYTES_PER_BYTE).saturating_add(more))
}

/// `[1, n]`.
fn ids_of(cx: &NativeCx<'_>, tokenizer: &Tokenizer, text: &str) -> Outcome {
    reserve_encoding(cx, text, 0)?;
    let ids = tokenizer.encode(text, true).map_err(tokenizer_fault)?.ids;
    let n = ids.len();
    super::tensor::answer(cx, Tensor::from_vec(ids, &[1, n]))
}

fn tokenize(cx: &NativeCx<'_>) -> Outcome {
    ids_of(cx, &program_tokenizer(cx)?, cx.str(0))
}

fn tokenizer<'a>(cx: &'a NativeCx<'_>) -> &'a Tokenizer {
    cx.opaque::<Tokenizer>(0)
}

fn tokenizer_encode(cx: &NativeCx<'_>) -> Outcome {
    ids_of(cx, tokenizer(cx), cx.str(1))
}

fn tokenizer_encode_batch(cx: &NativeCx<'_>) -> Outcome {
    let tokenizer = tokenizer(cx);
    let most = usize::try_from(cx.int(2)).ok().filter(|&n| n > 0).unwrap_or(usize::MAX);
    let (mut texts, mut kept) = (Vec::new(), 0);
    for text in cx.vec(1).iter() {
        reserve_encoding(cx, text.str(), kept)?;
        let ids = tokenizer.encode_at_most(text.str(), true, most).map_err(tokenizer_fault)?.ids;
        kept += size_of_val(&ids[..]);
        texts.push(ids);
    }
    let length = tokenizer.padded_length(texts.iter().map(Vec::len));
    // As lists and as tensors.
    cx.reserve(texts.len().saturating_mul(length).saturating_mul(4 * size_of::<i64>()).saturating_add(kept))?;
    let (ids, mask) = tokenizer.padded(&texts, length);
    let shape = [texts.len(), length];
    let ret = cx.ret_type();
    let as_value = |i: usize, numbers: Vec<i64>| {
        value_of(ret.field(0, i), Tensor::from_vec(numbers, &shape).map_err(super::tensor::fault)?)
    };
    Ok(Value::fields(ret, [as_value(0, ids)?, as_value(1, mask)?]))
}

fn tokenizer_decode(cx: &NativeCx<'_>) -> Outcome {
    let shape = tensor(cx, 1).shape();
    if shape.len() > 1 && shape[..shape.len() - 1].iter().product::<usize>() > 1 {
        let reason = format!("`decode` takes the ids of one text, not {shape:?}; `ids.rows()` gives each text's");
        return Err(Fault::shape(reason));
    }
    let ids = tensor(cx, 1).to(DType::I64).and_then(|t| t.to_vec::<i64>()).map_err(super::tensor::fault)?;
    tokenizer(cx).decode(&ids, true).map(Value::str).map_err(tokenizer_fault)
}

fn tokenizer_decode_vec(cx: &NativeCx<'_>) -> Outcome {
    tokenizer(cx).decode(&super::tensor::ints(cx.arg(1)), true).map(Value::str).map_err(tokenizer_fault)
}

fn tokenizer_vocab_size(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(tokenizer(cx).vocab_size() as i64))
}
