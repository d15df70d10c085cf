//! JSON and comma-separated values for the library, and errors' own natives.

use super::support::{Outcome, answers};
use super::text::{csv_rows, json_events as events_of, json_quote as quoted};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[NativeRow] = answers! {
    json_quote "(String) -> String";
    json_events "(String) -> Vec<(String, String)>";
    csv_parse "(String, String) -> Vec<Vec<String>>";
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
