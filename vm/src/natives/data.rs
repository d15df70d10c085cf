//! JSON and comma-separated values for the library, and errors' own natives.

use super::support::{Outcome, answers};
use super::text::{csv_rows, json_events as events_of, json_quote as quoted};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_bytecode::TypeDesc;

pub(super) const TABLE: &[NativeRow] = answers! {
    json_quote "(String) -> String";
    json_events "(String) -> Vec<(String, String)>";
    csv_parse "(String, String) -> Vec<Vec<String>>";
    error_kind "<T>(T) -> String";
    error_trace "<T>(T) -> String";
    error_is "<T>(Error) -> Bool";
    error_as "<T>(Error) -> T";
};

fn json_quote(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(quoted(cx.str(0))))
}

fn json_events(cx: &NativeCx<'_>) -> Outcome {
    // A pair, two texts and a slot for each event; the shortest event takes one byte of text.
    cx.reserve(cx.str(0).len())?;
    let events = events_of(cx.str(0)).map_err(Fault::value)?;
    cx.reserve(events.len().saturating_mul(200))?;
    let pair = cx.ret_type().elem();
    let value = |(kind, text): (char, String)| Value::fields(pair, [Value::str(kind), Value::str(text)]);
    Ok(Value::vec(cx.ret_type(), events.into_iter().map(value)))
}

fn csv_parse(cx: &NativeCx<'_>) -> Outcome {
    let mut sep = cx.str(1).chars();
    let (Some(c), None) = (sep.next(), sep.next()) else {
        return Err(Fault::value(format!("the separator {:?} is not one character", cx.str(1))));
    };
    cx.reserve(cx.str(0).len())?;
    let rows = csv_rows(cx.str(0), c).map_err(Fault::value)?;
    cx.reserve(rows.iter().map(|row| 64 + row.len() * 96).sum())?;
    let row_type = cx.ret_type().elem();
    Ok(Value::vec(cx.ret_type(), rows.into_iter().map(|row| Value::vec(row_type, row.into_iter().map(Value::str)))))
}

/// The name of the error's type, without type arguments.
fn error_kind(cx: &NativeCx<'_>) -> Outcome {
    let error = cx.arg(0);
    let info = if matches!(error.info().desc, TypeDesc::Dyn { .. }) { error.inner().info() } else { error.info() };
    let name = info.name();
    Ok(Value::str(name.split('<').next().unwrap_or(&name)))
}

/// Empty for an error that was not thrown yet.
fn error_trace(cx: &NativeCx<'_>) -> Outcome {
    let error = cx.arg(0);
    let trace = if matches!(error.info().desc, TypeDesc::Dyn { .. }) { error.trace() } else { None };
    Ok(Value::str(trace.map_or_else(String::new, |trace| trace.render())))
}

/// The value of type `wanted` in a `dyn Error`: itself, or what caused it through any number of `ActorError`s.
fn error_of<'a>(error: ValueRef<'a>, wanted: &TypeInfo) -> Option<ValueRef<'a>> {
    let mut inner = error.inner();
    loop {
        if inner.info().same_as(wanted) {
            return Some(inner);
        }
        let is_actor_error = matches!(&inner.info().desc, TypeDesc::Struct { name, .. } if name == "ActorError");
        let cause = (is_actor_error && inner.n_fields() > 1).then(|| inner.field(1))?;
        inner = matches!(cause.info().desc, TypeDesc::Dyn { .. }).then(|| cause.inner())?;
    }
}

fn error_is(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(error_of(cx.arg(0), cx.type_arg(0)).is_some()))
}

fn error_as(cx: &NativeCx<'_>) -> Outcome {
    let wanted = cx.type_arg(0);
    let found = error_of(cx.arg(0), wanted).map(ValueRef::to_owned);
    found.ok_or_else(|| Fault::value(format!("the error is a {:?}, not a {wanted:?}", cx.arg(0).inner().info())))
}
