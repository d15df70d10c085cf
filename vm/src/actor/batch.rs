//! Asks answered together: which messages form a batch, how their tensors are joined and the answer is split again.
//!
//! A batch is made of the oldest message and those behind it for the same handler whose shape joins with it. Asks of other shapes stay for a
//! batch of their own; nothing goes past a message for another handler, or past one that nobody waits for the answer of. Tensors are joined along axis 0: an ask of the rank that the handler's parameter states brings its rows (`cat`),
//! one of a rank less is a row itself (`stack`).

use super::cell::{Envelope, Rows};
use super::inbox::Choice;
use crate::fault::{Fault, FaultKind};
use crate::natives::tensor_fault;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_bytecode::{ActorDesc, BatchDesc};
use stark_kernels::{Tensor, ops};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How `input` takes part in batches of `batch`.
///
/// # Errors
/// `ShapeError` when it is no part of the shape that the handler's parameter states.
pub(super) fn rows_of(batch: &BatchDesc, input: ValueRef<'_>) -> Result<Option<Box<Rows>>, Fault> {
    if batch.as_vec {
        return Ok(None);
    }
    let shape = input.opaque::<Tensor>().shape();
    let fits = |wanted: &[Option<u64>], found: &[usize]| {
        wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, f)| w.is_none_or(|w| w == *f as u64))
    };
    let has_rows = match batch.dims.as_deref() {
        None => batch.cat,
        // How many rows one ask brings is free, whatever the whole batch has.
        Some([_, row @ ..]) if !shape.is_empty() && fits(row, &shape[1..]) => true,
        Some([_, row @ ..]) if !batch.cat && fits(row, shape) => false,
        Some(dims) => {
            let show = |dims: &[Option<u64>]| {
                let sizes: Vec<String> = dims.iter().map(|d| d.map_or("_".into(), |d| d.to_string())).collect();
                format!("[{}]", sizes.join(", "))
            };
            let rows: Vec<Option<u64>> = std::iter::once(None).chain(dims.iter().skip(1).copied()).collect();
            let one = if batch.cat { String::new() } else { format!(" or one row {}", show(&rows[1..])) };
            return Err(Fault::shape(format!(
                "this actor answers batches and takes rows {}{one}, but this tensor has shape {shape:?}",
                show(&rows)
            )));
        }
    };
    match shape {
        [] if has_rows => Err(Fault::shape("a tensor of rank 0 has no rows to join")),
        [n, row @ ..] if has_rows => Ok(Some(Box::new(Rows { n: Some(*n), shape: row.into() }))),
        _ => Ok(Some(Box::new(Rows { n: None, shape: shape.into() }))),
    }
}

/// So many asks of other shapes are looked past for those that join. A guess: a batch for each of many shapes, and a look that takes
/// no longer than a small batch does.
const MOST_PAST: usize = 1024;

/// Which messages from the front of the mailbox are worked on together. `stopping`: no more will come.
pub(super) fn choose(
    desc: &ActorDesc,
    queue: &VecDeque<Envelope>,
    stopping: bool,
    now: impl FnOnce() -> Instant,
) -> Choice {
    let first = &queue[0];
    let choice = |n, but, later| Choice { n, but, later };
    let Some(batch) = &desc.handlers[first.handler as usize].batch else { return choice(1, Vec::new(), None) };
    let max = batch.max_size as usize;
    let shape = first.rows().map(|rows| &rows.shape);
    let (mut n, mut n_rows, mut last, mut but, mut complete) = (0, 0, 0, Vec::new(), stopping);
    for (place, envelope) in queue.iter().enumerate() {
        let more = envelope.rows().and_then(|rows| rows.n).unwrap_or(1);
        let joins = envelope.rows().map(|rows| &rows.shape) == shape;
        if envelope.handler != first.handler || (n > 0 && joins && n_rows + more > max) {
            complete = true;
            break;
        }
        if !joins {
            if !envelope.is_asked() || but.len() == MOST_PAST {
                complete = true;
                break;
            }
            but.push(place);
            continue;
        }
        n_rows += more;
        n += 1;
        last = place;
        if n_rows >= max {
            complete = true;
            break;
        }
    }
    // Behind the last that joins nothing is left out.
    but.truncate(but.partition_point(|&place| place < last));
    if complete || batch.max_delay_ns <= 0 {
        return choice(n, but, None);
    }
    // Messages for a handler of batches are all stamped.
    let until = first.sent().map(|sent| sent + Duration::from_nanos(batch.max_delay_ns as u64));
    if until.is_none_or(|until| now() >= until) { choice(n, but, None) } else { choice(0, Vec::new(), until) }
}

/// One input for the handler from those of several messages. `info` is its parameter's type.
pub(super) fn join(
    batch: &BatchDesc,
    info: &'static TypeInfo,
    parts: &[(&Value, Option<&Rows>)],
) -> Result<Value, Fault> {
    if batch.as_vec {
        return Ok(Value::vec(info, parts.iter().map(|(value, _)| (*value).clone())));
    }
    let mut tensors = Vec::with_capacity(parts.len());
    for (value, rows) in parts {
        let tensor = value.as_ref().opaque::<Tensor>();
        let is_row = rows.is_some_and(|rows| rows.n.is_none());
        tensors.push(if is_row { tensor.unsqueeze(0).map_err(tensor_fault)? } else { tensor.clone() });
    }
    let joined = match tensors.as_slice() {
        [only] => only.clone(),
        _ => ops::cat(&tensors.iter().collect::<Vec<_>>(), 0).map_err(tensor_fault)?,
    };
    Ok(Value::opaque(info, joined))
}

/// The answers of the parts from the handler's answer to all of them.
pub(super) fn split(batch: &BatchDesc, answer: &Value, parts: &[Option<&Rows>]) -> Result<Vec<Value>, Fault> {
    if batch.as_vec {
        let answers: Vec<Value> = answer.as_ref().vec().iter().map(ValueRef::to_owned).collect();
        if answers.len() != parts.len() {
            let (got, want) = (answers.len(), parts.len());
            return Err(Fault::value(format!("the batching handler gave {got} answers for {want} inputs")));
        }
        return Ok(answers);
    }
    let (tensor, info) = (answer.as_ref().opaque::<Tensor>(), answer.info());
    let n_rows: usize = parts.iter().map(|rows| rows.and_then(|r| r.n).unwrap_or(1)).sum();
    if tensor.shape().first() != Some(&n_rows) {
        let shape = tensor.shape();
        return Err(Fault::new(
            FaultKind::ShapeError,
            format!("the batching handler was given {n_rows} rows and answers with shape {shape:?}"),
        ));
    }
    let mut start = 0;
    let mut answers = Vec::with_capacity(parts.len());
    for rows in parts {
        let part = match rows.and_then(|rows| rows.n) {
            Some(n) => tensor.narrow(0, start, n),
            None => tensor.select(0, start),
        };
        start += rows.and_then(|rows| rows.n).unwrap_or(1) as i64;
        answers.push(Value::opaque(info, part.map_err(tensor_fault)?));
    }
    Ok(answers)
}
