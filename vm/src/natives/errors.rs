//! What every error can be asked.

use super::support::{Outcome, answers};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_bytecode::TypeDesc;

pub(super) const TABLE: &[NativeRow] = answers! {
    error_kind "<T>(T) -> String";
    error_trace "<T>(T) -> String";
    error_is "<T>(Error) -> Bool";
    error_as "<T>(Error) -> T";
};

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
