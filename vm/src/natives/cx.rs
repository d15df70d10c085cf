//! What a native sees: its arguments, its types, its task, and the ways to answer.

use super::{Answered, NativeResult};
use crate::fault::Fault;
use crate::heap::{Held, MapObj, Opaque, StrObj, VecObj, meter};
use crate::interp::kept::Kept;
use crate::task::{TaskCx, WaitReason};
use crate::types::TypeInfo;
use crate::value::{self, Value, ValueRef};
use compact_str::CompactString;

/// A native import of a loaded program, its types resolved.
pub(crate) struct NativeSig {
    pub type_args: Box<[&'static TypeInfo]>,
    pub params: Box<[&'static TypeInfo]>,
    /// Which parameters are `&mut`.
    pub inout: Box<[bool]>,
    pub ret: &'static TypeInfo,
    /// The variants `Some` and `None` of a result that has them.
    pub some: Option<u16>,
    pub none: Option<u16>,
}

/// One call of a native.
pub struct NativeCx<'a> {
    /// The task that calls and the program it belongs to.
    pub task: &'a mut TaskCx,
    pub(crate) args: &'a mut [u64],
    pub(crate) sig: &'static NativeSig,
    /// The result's slot; meaningful when it does not wait.
    pub(crate) ret: u64,
    /// What it waits for; then it is called again after a wake-up.
    pub(crate) waits: Option<(WaitReason, u64)>,
    /// What it keeps while it waits. Lent, not moved: moving it costs more than many natives do.
    pub(crate) resume: &'a mut Option<Kept>,
}

impl NativeCx<'_> {
    pub fn n_args(&self) -> usize {
        self.args.len()
    }

    /// What type parameter `i` of the scheme stands for.
    pub fn type_arg(&self, i: usize) -> &'static TypeInfo {
        self.sig.type_args[i]
    }

    pub fn param_type(&self, i: usize) -> &'static TypeInfo {
        self.sig.params[i]
    }

    pub fn ret_type(&self) -> &'static TypeInfo {
        self.sig.ret
    }

    /// Argument `i`, borrowed.
    #[inline]
    pub fn arg(&self, i: usize) -> ValueRef<'_> {
        ValueRef::from_raw(self.args[i], self.sig.params[i])
    }

    /// Argument `i`, moved out. A `&mut` parameter that was taken must be given back with `replace` before the native returns.
    #[inline]
    pub fn take(&mut self, i: usize) -> Value {
        let info = self.sig.params[i];
        let bits = if info.is_ref { std::mem::take(&mut self.args[i]) } else { self.args[i] };
        Value::from_raw(bits, info)
    }

    /// Puts `value` into argument `i` and returns what was there; for `&mut` parameters.
    pub fn replace(&mut self, i: usize, value: Value) -> Value {
        let info = self.sig.params[i];
        Value::from_raw(std::mem::replace(&mut self.args[i], value.into_slot(info)), info)
    }

    #[inline]
    pub fn int(&self, i: usize) -> i64 {
        self.arg(i).int()
    }

    pub fn float(&self, i: usize) -> f64 {
        self.arg(i).float()
    }

    pub fn bool(&self, i: usize) -> bool {
        self.arg(i).bool()
    }

    pub fn str(&self, i: usize) -> &str {
        self.arg(i).str()
    }

    /// The text with its character count and positions.
    pub fn str_obj(&self, i: usize) -> &StrObj {
        self.arg(i).str_obj()
    }

    pub fn bytes(&self, i: usize) -> &[u8] {
        self.arg(i).bytes()
    }

    pub fn vec(&self, i: usize) -> &VecObj {
        self.arg(i).vec()
    }

    /// A `Map` or `Set`.
    pub fn map(&self, i: usize) -> &MapObj {
        self.arg(i).map()
    }

    #[inline(always)]
    pub fn opaque<T: Opaque>(&self, i: usize) -> &T {
        self.arg(i).opaque()
    }

    /// As `opaque`, to keep it while the native waits.
    #[inline]
    pub(crate) fn held<T: Opaque>(&self, i: usize) -> Held<T> {
        self.arg(i).held()
    }

    /// A `&mut` vector in place, copied first when shared. Also for a vector that is only moved in: change it, then `take` it.
    pub fn vec_mut(&mut self, i: usize) -> &mut VecObj {
        value::slot_vec_mut(&mut self.args[i], self.sig.params[i])
    }

    /// A `&mut` map or set in place, copied first when shared.
    pub fn map_mut(&mut self, i: usize) -> &mut MapObj {
        value::slot_map_mut(&mut self.args[i], self.sig.params[i])
    }

    /// A `&mut` text in place, copied first when shared.
    pub fn str_mut(&mut self, i: usize) -> &mut StrObj {
        value::slot_str_mut(&mut self.args[i], self.sig.params[i])
    }

    /// Sets a `&mut` scalar.
    pub fn set_int(&mut self, i: usize, x: i64) {
        self.replace(i, Value::int(x));
    }

    /// Whether `bytes` more fit the task's memory limit; call it before making anything whose size comes from the program.
    pub fn reserve(&self, bytes: usize) -> Result<(), Fault> {
        if meter::has_room(bytes) { Ok(()) } else { Err(Fault::out_of_memory()) }
    }

    // --- answering -----------------------------------------------------------------------------------------

    /// Answers with `value`, which is of the declared result type.
    #[inline]
    pub fn return_value(&mut self, value: Value) -> NativeResult {
        self.ret = value.into_slot(self.sig.ret);
        Ok(Answered(()))
    }

    #[inline]
    pub fn return_unit(&mut self) -> NativeResult {
        if matches!(self.sig.ret.desc, stark_bytecode::TypeDesc::Unit) {
            self.ret = 0;
            return Ok(Answered(()));
        }
        self.return_value(Value::unit())
    }

    pub fn return_bool(&mut self, x: bool) -> NativeResult {
        self.return_value(Value::bool(x))
    }

    /// Also for the smaller integers, when `x` is in their range.
    pub fn return_int(&mut self, x: i64) -> NativeResult {
        self.return_value(Value::int(x))
    }

    /// A length or count.
    pub fn return_len(&mut self, n: usize) -> NativeResult {
        self.return_int(n as i64)
    }

    /// Also for the smaller floats, when `x` is rounded to them.
    pub fn return_float(&mut self, x: f64) -> NativeResult {
        self.return_value(Value::float(x))
    }

    /// Any scalar, by its bits.
    pub fn return_scalar(&mut self, bits: u64) -> NativeResult {
        let value = Value::scalar(self.sig.ret, bits);
        self.return_value(value)
    }

    pub fn return_str(&mut self, text: impl Into<CompactString>) -> NativeResult {
        self.return_value(Value::str(text))
    }

    pub fn return_bytes(&mut self, bytes: impl Into<Vec<u8>>) -> NativeResult {
        self.return_value(Value::bytes(bytes))
    }

    /// A `Vec` of the result type.
    pub fn return_vec(&mut self, items: impl IntoIterator<Item = Value>) -> NativeResult {
        self.return_value(Value::vec(self.sig.ret, items))
    }

    /// A tuple or struct of the result type.
    pub fn return_fields(&mut self, fields: impl IntoIterator<Item = Value>) -> NativeResult {
        self.return_value(Value::fields(self.sig.ret, fields))
    }

    #[inline]
    pub fn return_some(&mut self, value: Value) -> NativeResult {
        let some = self.sig.some.unwrap_or_else(|| panic!("{:?} has no variant Some", self.sig.ret));
        self.return_value(Value::variant_of(self.sig.ret, some, value))
    }

    pub fn return_none(&mut self) -> NativeResult {
        let none = self.sig.none.unwrap_or_else(|| panic!("{:?} has no variant None", self.sig.ret));
        self.return_value(Value::variant(self.sig.ret, none, []))
    }

    #[inline]
    pub fn return_option(&mut self, value: Option<Value>) -> NativeResult {
        match value {
            Some(value) => self.return_some(value),
            None => self.return_none(),
        }
    }

    pub fn return_ok(&mut self, value: Value) -> NativeResult {
        self.return_value(Value::variant_named(self.sig.ret, "Ok", [value]))
    }

    pub fn return_err(&mut self, value: Value) -> NativeResult {
        self.return_value(Value::variant_named(self.sig.ret, "Err", [value]))
    }

    /// A value kept by Rust code, of the result type.
    pub fn return_opaque(&mut self, body: impl Opaque) -> NativeResult {
        self.return_value(Value::opaque(self.sig.ret, body))
    }

    // --- suspending ----------------------------------------------------------------------------------------

    /// The state given to `suspend`, when this call is the continuation of one with a `T`.
    #[inline]
    pub fn resumed<T: Send + 'static>(&mut self) -> Option<T> {
        match self.resume.take()?.take() {
            Ok(state) => Some(state),
            Err(other) => {
                *self.resume = Some(other);
                None
            }
        }
    }

    /// Waits for a wake-up. The native is called again with the same arguments and finds `state` in `resumed`.
    #[inline]
    pub fn suspend(&mut self, reason: WaitReason, detail: u64, state: impl Send + 'static) -> NativeResult {
        *self.resume = Some(Kept::new(state));
        self.waits = Some((reason, detail));
        Ok(Answered(()))
    }
}
