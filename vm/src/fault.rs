//! What the VM refuses to do for a running program, before it becomes a `dyn Error` value.
//!
//! A native or an instruction answers with a `Fault`; the interpreter makes it an error of the struct that the module
//! names for it and looks for a handler.

use crate::load::CodeSpace;
use crate::trace::Trace;
use crate::types::TypeInfo;
use crate::value::Value;
use stark_bytecode::TypeDesc;
use std::sync::Arc;

/// Calls `$table!` with every kind of fault: `Name "what it means"`.
#[macro_export]
macro_rules! for_each_fault {
    ($table:ident) => {
        $table! {
            IndexError "a position outside a sequence";
            KeyError "a key that a map does not have";
            ValueError "a value that makes no sense there";
            OverflowError "a number outside its type's range";
            ZeroDivisionError "an integer divided by zero";
            ShapeError "tensor shapes that do not go together";
            AssertionError "an assertion that did not hold";
            TimeoutError "a time limit passed";
            CancelledError "the task was cancelled";
            OverloadedError "a full mailbox refused a message";
            DeadlockError "tasks or actors that would wait for each other for ever";
            ChannelClosed "a channel that is closed";
            LaggedError "a subscriber that fell too far behind";
            ActorError "an actor failed while answering";
            IoError "the outside world failed";
            ModelError "a model that cannot be loaded or run";
            OutOfMemoryError "a task's memory limit was passed";
            StackOverflowError "calls nested too deep";
            PermissionError "the host does not allow it";
            InternalError "a bug in STARK itself";
        }
    };
}

macro_rules! define_kinds {
    ($($name:ident $doc:literal;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum FaultKind { $( #[doc = $doc] $name, )* }
        impl FaultKind {
            pub const ALL: &[FaultKind] = &[$(FaultKind::$name),*];
            /// The name of the error's type in STARK.
            pub fn name(self) -> &'static str { match self { $(FaultKind::$name => stringify!($name)),* } }
        }
    };
}
for_each_fault!(define_kinds);

/// Why a native or an instruction did not succeed.
#[derive(Debug)]
pub struct Fault(Box<FaultBody>);

#[derive(Debug)]
pub(crate) enum FaultBody {
    /// A fault of the VM's own table. `fields` fill the error struct behind its message.
    /// `cause` is the trace in the task that failed first.
    Kind { kind: FaultKind, message: String, fields: Vec<Value>, cause: Option<Arc<Trace>> },
    /// A `dyn Error` that was thrown elsewhere (in a task that was awaited); its trace is kept as the cause.
    Thrown(Value),
    /// `exit(status)`: the program ends.
    Exit(i32),
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault(Box::new(FaultBody::Kind { kind, message: message.into(), fields: Vec::new(), cause: None }))
    }

    /// A fault whose error struct has more fields than the message: their values, in order.
    pub fn with_fields(kind: FaultKind, message: impl Into<String>, fields: Vec<Value>) -> Fault {
        Fault(Box::new(FaultBody::Kind { kind, message: message.into(), fields, cause: None }))
    }

    /// What it says, if it was made here.
    pub(crate) fn message(&self) -> &str {
        match &*self.0 {
            FaultBody::Kind { message, .. } => message,
            FaultBody::Thrown(_) | FaultBody::Exit(_) => "",
        }
    }

    /// The same fault, remembering where `error` was thrown, which led to it.
    pub(crate) fn caused_by(mut self, error: &Value) -> Fault {
        if let FaultBody::Kind { cause, .. } = &mut *self.0 {
            *cause = error.as_ref().dyn_obj().trace.clone();
        }
        self
    }

    /// Throws a `dyn Error` value that came from another task.
    pub fn thrown(error: Value) -> Fault {
        Fault(Box::new(FaultBody::Thrown(error)))
    }

    /// Ends the program with a status.
    pub fn exit(status: i32) -> Fault {
        Fault(Box::new(FaultBody::Exit(status)))
    }

    pub(crate) fn into_body(self) -> FaultBody {
        *self.0
    }

    /// The kind, for a fault of the VM's own.
    pub fn kind(&self) -> Option<FaultKind> {
        match &*self.0 {
            FaultBody::Kind { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    pub fn value(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::ValueError, message)
    }

    pub fn io(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::IoError, message)
    }

    pub fn shape(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::ShapeError, message)
    }

    /// `index 7 is out of range for a Vec of length 3`; `what` is `Vec`, `String`, ….
    pub fn index(idx: i64, what: &str, len: usize) -> Fault {
        let hint = if idx < 0 {
            format!("; write `len - {}` to count from the end", idx.unsigned_abs())
        } else {
            String::new()
        };
        Fault::new(FaultKind::IndexError, format!("index {idx} is out of range for a {what} of length {len}{hint}"))
    }

    /// `key "b" is not in the Map`.
    pub fn key(key: crate::value::ValueRef<'_>) -> Fault {
        Fault::new(FaultKind::KeyError, format!("key {} is not in the Map", key.show()))
    }

    /// A result that does not fit its integer type: `9223372036854775807 + 1 does not fit Int`.
    pub fn overflow(what: impl Into<String>, kind: &str) -> Fault {
        Fault::new(FaultKind::OverflowError, format!("{} does not fit {kind}", what.into()))
    }

    pub fn zero_division(what: impl Into<String>) -> Fault {
        Fault::new(FaultKind::ZeroDivisionError, format!("{} divides by zero", what.into()))
    }

    pub fn out_of_memory() -> Fault {
        let heap = crate::heap::meter::current();
        if let Some((budget, used)) = crate::heap::meter::budget()
            && heap.bytes <= heap.limit
        {
            let text =
                format!("the memory budget of {budget} bytes is passed ({used} in use by all tasks and tensors)");
            return Fault::new(FaultKind::OutOfMemoryError, text);
        }
        Fault::new(
            FaultKind::OutOfMemoryError,
            format!("the task's memory limit of {} bytes is passed ({} in use)", heap.limit, heap.bytes),
        )
    }

    pub fn internal(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::InternalError, message)
    }
}

impl CodeSpace {
    /// The error value of a fault outside any running call: for whoever ends a task or an ask from the outside.
    pub(crate) fn error_value(&self, fault: Fault) -> Value {
        let (mut error, cause) = self.materialise(fault.into_body());
        if let Some(trace) = cause {
            error.set_trace(trace);
        }
        error
    }

    /// The `dyn Error` for a fault, and the trace it brought from another task.
    pub(crate) fn materialise(&self, body: FaultBody) -> (Value, Option<Arc<Trace>>) {
        match body {
            FaultBody::Thrown(error) => {
                let cause = error.as_ref().dyn_obj().trace.clone();
                (error, cause)
            }
            FaultBody::Kind { kind, message, fields, cause } => {
                let info = self.faults.get(kind);
                let TypeDesc::Struct { fields: declared, .. } = &info.desc else {
                    unreachable!("the loader takes structs only")
                };
                let mut given = fields.into_iter();
                let values = (0..declared.len()).map(|i| match i {
                    0 => Value::str(message.as_str()),
                    // A module may declare the struct with other fields than the library's.
                    _ => given
                        .next()
                        .filter(|value| value.info().stands_for(info.field(0, i)))
                        .unwrap_or_else(|| default_of(info.field(0, i))),
                });
                let values: Vec<Value> = values.collect();
                (Value::dynamic(self.dyn_error, Value::fields(info, values)), cause)
            }
            FaultBody::Exit(status) => {
                let message = format!("exit({status}) where only an error can be");
                self.materialise(*Fault::internal(message).0)
            }
        }
    }
}

/// What a field of an error struct holds when the fault says nothing about it.
fn default_of(info: &'static TypeInfo) -> Value {
    match &info.desc {
        TypeDesc::Str => Value::str(""),
        TypeDesc::Bytes => Value::bytes([]),
        TypeDesc::Vec(_) => Value::vec(info, []),
        TypeDesc::Map(..) | TypeDesc::Set(_) => Value::map(info),
        TypeDesc::Enum { variants, .. } => match variants.iter().position(|v| v.fields.is_empty()) {
            Some(variant) => Value::variant(info, variant as u16, []),
            None => Value::from_raw(0, info),
        },
        // A null reference: reading it is the fault of a hole.
        _ => Value::from_raw(0, info),
    }
}

/// The error struct of each kind of fault in one program.
pub struct FaultTypes(Vec<&'static TypeInfo>);

impl FaultTypes {
    /// `types` in the order of `FaultKind::ALL`; each is a struct whose first field is a `String`.
    pub(crate) fn new(types: Vec<&'static TypeInfo>) -> FaultTypes {
        assert_eq!(types.len(), FaultKind::ALL.len());
        FaultTypes(types)
    }

    pub fn get(&self, kind: FaultKind) -> &'static TypeInfo {
        self.0[kind as usize]
    }
}
