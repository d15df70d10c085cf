//! Loading: a verified module becomes code that runs.
//!
//! Every function is decoded once into wide words with all it names resolved: types, constants, callees and natives are
//! plain addresses. Natives are checked against the table here. What was loaded is leaked: it lives as long as the
//! process, so code, types and constants can be pointed at from every task without counting.

mod decode;
pub(crate) mod fuse;
mod held;

use crate::fault::FaultKind;
use crate::fault::FaultTypes;
use crate::heap;
use crate::interp::Op;
use crate::jit;
use crate::mapped::Mapped;
use crate::natives::cx::NativeSig;
use crate::natives::scheme::Scheme;
use crate::natives::work::Work;
use crate::natives::{self, NativeRow};
use crate::types::{TypeInfo, Types};
use stark_bytecode::verify::VerifiedModule;
use stark_bytecode::{FieldDesc, FuncId, Function, MethodId, Module, Reg, TypeDesc, TypeId};
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Slots between a frame's registers and its outgoing area, filled by a call: the callee's function, the distance to
/// the caller's registers, and where the caller goes on.
pub(crate) const LINK: usize = 3;

/// A function, decoded.
pub(crate) struct Func {
    pub code: OnceLock<FuncCode>,
    /// The first word of `code`; set once while loading, before anything can run.
    pub entry: AtomicPtr<u64>,
    pub def: Function,
    pub id: FuncId,
    /// Registers, a hidden one included when `hidden` says so.
    pub n_regs: usize,
    /// Slots from the first register to the end of the outgoing area.
    pub frame_size: usize,
    /// Slots a task's stack begins with when it runs this function: as many as an earlier one came to need.
    pub first_stack: AtomicUsize,
    /// Registers to set to null at entry: all references that are no parameters and not lent lie in here.
    pub zero: std::ops::Range<usize>,
    /// Reference registers, but for `&mut` parameters and lent ones: what leaving the function drops.
    pub refs: Box<[u16]>,
    pub registers: Box<[&'static TypeInfo]>,
    /// The types of the captured values, the last parameters.
    pub captures: &'static [&'static TypeInfo],
    pub ret: &'static TypeInfo,
    /// A register behind the declared ones that remembers what type a `&mut self` call on a dynamic value unboxed (0: none).
    pub hidden: Option<usize>,
    pub files: Arc<[Arc<str>]>,
    /// What it is over whole tensors, once that was asked.
    pub mapped: OnceLock<Mapped>,
    /// Its machine code, once it ran long enough to be compiled.
    pub native: jit::Native,
}

pub(crate) struct FuncCode {
    /// Atomic because compiling the function changes the opcodes of words at which its machine code can be entered.
    pub words: Box<[AtomicU64]>,
    /// The opcode of the first word, which is also changed to have the function compiled.
    pub first_op: Op,
    /// Where each instruction begins in `words`.
    pub starts: Box<[u32]>,
}

impl Func {
    /// Slots that the stack of a task begins with whose first call is one of this.
    pub fn first_stack(&self) -> usize {
        (LINK + self.frame_size).max(self.first_stack.load(Relaxed))
    }

    pub fn code(&self) -> &FuncCode {
        self.code.get().expect("every function of a loaded module is decoded")
    }

    pub fn entry(&self) -> *const u64 {
        self.entry.load(Relaxed)
    }

    /// The instruction whose words contain `word`.
    pub fn pc_of(&self, word: *const u64) -> usize {
        let offset = self.offset_of(word);
        self.code().starts.partition_point(|&start| start as usize <= offset).saturating_sub(1)
    }

    /// The position of `word` in its words.
    pub fn offset_of(&self, word: *const u64) -> usize {
        (word as usize - self.entry() as usize) / 8
    }

    pub fn address_of(&self, pc: usize) -> *const u64 {
        self.word_of(pc).as_ptr()
    }

    /// The first word of the instruction at `pc`.
    pub fn word_of(&self, pc: usize) -> &AtomicU64 {
        &self.code().words[self.code().starts[pc] as usize]
    }

    /// Whether the register holds references that the frame owns.
    pub fn owns(&self, reg: Reg) -> bool {
        self.registers[reg.index()].is_ref && !self.def.is_lent(reg)
    }

    pub fn out_base(&self) -> usize {
        self.n_regs + LINK
    }

    pub fn params(&self) -> &[&'static TypeInfo] {
        &self.registers[..usize::from(self.def.n_params)]
    }

    /// Whether it takes a state by `&mut` and one message, and answers with nothing that is counted.
    #[inline]
    pub fn is_handler_of_one(&self) -> bool {
        self.def.n_params == 2 && *self.def.inout == [0] && !self.ret.is_ref
    }
}

impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.def.name)
    }
}

/// A native import, bound to its row.
pub(crate) struct BoundNative {
    pub row: &'static NativeRow,
    pub sig: NativeSig,
    /// What a call costs beside being one.
    pub work: Work,
}

impl BoundNative {
    pub fn new(row: &'static NativeRow, sig: NativeSig) -> &'static BoundNative {
        Box::leak(Box::new(BoundNative { row, sig, work: Work::of(row.name) }))
    }
}

/// A dynamic method: who implements it.
pub(crate) struct BoundMethod {
    pub name: String,
    /// Sorted by type.
    pub impls: Box<[(TypeId, &'static Func)]>,
    pub inout: Box<[u16]>,
    pub params: Box<[&'static TypeInfo]>,
}

impl BoundMethod {
    pub fn find(&self, ty: TypeId) -> Option<&'static Func> {
        self.impls.binary_search_by_key(&ty, |(ty, _)| *ty).ok().map(|i| self.impls[i].1)
    }
}

/// A loaded program's code.
pub struct CodeSpace {
    pub(crate) types: &'static Types,
    /// Whether its loops spend reductions.
    pub(crate) counts: bool,
    pub(crate) funcs: Box<[&'static Func]>,
    pub(crate) natives: Box<[&'static BoundNative]>,
    pub(crate) methods: Box<[&'static BoundMethod]>,
    pub(crate) scalars: Box<[u64]>,
    pub(crate) strings: Box<[u64]>,
    pub(crate) blobs: Box<[u64]>,
    pub(crate) globals: Box<[(String, &'static TypeInfo)]>,
    pub(crate) faults: FaultTypes,
    pub(crate) error_message: Option<MethodId>,
    /// The module's `dyn Error`, for wrapping faults.
    pub(crate) dyn_error: &'static TypeInfo,
    pub entry: FuncId,
}

/// Why a verified module cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    UnknownNative {
        name: String,
    },
    NativeMismatch {
        name: String,
        scheme: &'static str,
        reason: String,
    },
    /// More code than jumps can span.
    FunctionTooLarge {
        name: String,
        n_words: usize,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::UnknownNative { name } => write!(f, "this runtime has no native `{name}`"),
            LoadError::NativeMismatch { name, scheme, reason } => {
                write!(f, "native `{name}` is `{scheme}`: {reason}")
            }
            LoadError::FunctionTooLarge { name, n_words } => {
                write!(f, "function `{name}` decodes to {n_words} words, the most is {}", i32::MAX)
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// Loads a module.
pub fn load(module: VerifiedModule) -> Result<&'static CodeSpace, LoadError> {
    load_behind(&module.into_inner(), None, true)
}

/// Loads a module whose loops spend nothing and so keep their worker for as long as they run: for measuring what it costs
/// to count, and good for nothing else.
pub fn load_uncounted(module: VerifiedModule) -> Result<&'static CodeSpace, LoadError> {
    load_behind(&module.into_inner(), None, false)
}

/// Loads a module that begins with all of `before`'s (`Module::append`), whose code is taken over.
pub(crate) fn load_more(module: VerifiedModule, before: &'static CodeSpace) -> Result<&'static CodeSpace, LoadError> {
    load_behind(&module.into_inner(), Some(before), true)
}

/// For the VM's own tests, which build modules by hand.
#[cfg(test)]
pub(crate) fn load_unverified(module: Module) -> Result<&'static CodeSpace, LoadError> {
    load_behind(&module, None, true)
}

/// What was loaded before, then what the new rows give.
fn behind<T: Clone, R>(
    before: Option<&[T]>,
    rows: &[R],
    mut new: impl FnMut(usize, &R) -> Result<T, LoadError>,
) -> Result<Box<[T]>, LoadError> {
    let known = before.unwrap_or_default();
    let mut all = known.to_vec();
    for (i, row) in rows.iter().enumerate().skip(known.len()) {
        all.push(new(i, row)?);
    }
    Ok(all.into())
}

fn load_behind(
    module: &Module,
    before: Option<&'static CodeSpace>,
    counts: bool,
) -> Result<&'static CodeSpace, LoadError> {
    let mut descs = module.types.clone();
    let (fault_types, dyn_error) = complete_faults(module, &mut descs);
    let types = Types::leak(&descs);
    // Constants are not charged to the heap that happens to be current.
    let strings =
        behind(before.map(|b| &*b.strings), &module.strings, |_, s| Ok(heap::immortal_str(s.as_str().into())))?;
    let blobs = behind(before.map(|b| &*b.blobs), &module.blobs, |_, b| Ok(heap::immortal_bytes(b.clone())))?;
    let natives = behind(before.map(|b| &*b.natives), &module.natives, |_, import| bind_native(import, types))?;
    let files: Arc<[Arc<str>]> = module.files.iter().map(|f| Arc::from(f.as_str())).collect();
    let funcs = behind(before.map(|b| &*b.funcs), &module.functions, |i, def| {
        Ok(&*Box::leak(Box::new(prepare(FuncId(i as u32), def, types, &files))))
    })?;
    let methods = behind(before.map(|b| &*b.methods), &module.methods, |_, method| {
        let impls = method.impls.iter().map(|&(ty, func)| (ty, funcs[func.index()])).collect();
        let params = method.params.iter().map(|&t| types.get(t)).collect();
        let inout = method.inout.clone().into();
        Ok(&*Box::leak(Box::new(BoundMethod { name: method.name.clone(), impls, inout, params })))
    })?;
    let space: &'static CodeSpace = Box::leak(Box::new(CodeSpace {
        types,
        counts,
        funcs,
        natives,
        methods,
        scalars: module.scalars.clone().into(),
        strings,
        blobs,
        globals: module.globals.iter().map(|g| (g.name.clone(), types.get(g.ty))).collect(),
        faults: FaultTypes::new(fault_types.into_iter().map(|id| types.get(id)).collect()),
        error_message: module.error_message,
        dyn_error: types.get(dyn_error),
        entry: module.entry,
    }));
    for func in &space.funcs[before.map_or(0, |b| b.funcs.len())..] {
        let code = decode::decode(func, space, module)?;
        if code.words.len() > i32::MAX as usize {
            return Err(LoadError::FunctionTooLarge { name: func.def.name.clone(), n_words: code.words.len() });
        }
        func.entry.store(code.words.as_ptr().cast_mut().cast(), Relaxed);
        // A fresh function: nobody has set it.
        let _ = func.code.set(code);
        jit::loaded(func);
    }
    Ok(space)
}

/// The error struct of every fault kind and the `dyn Error` type. What the module does not name (it cannot be caught by
/// name then) is added to its types.
fn complete_faults(module: &Module, descs: &mut Vec<TypeDesc>) -> (Vec<TypeId>, TypeId) {
    let mut find_or_add = |find: &dyn Fn(&TypeDesc) -> bool, desc: &dyn Fn() -> TypeDesc| {
        let id = descs.iter().position(find).unwrap_or_else(|| {
            descs.push(desc());
            descs.len() - 1
        });
        TypeId(id as u32)
    };
    let text = find_or_add(&|desc| *desc == TypeDesc::Str, &|| TypeDesc::Str);
    let is_error = |desc: &TypeDesc| matches!(desc, TypeDesc::Dyn { trait_name } if trait_name == "Error");
    let dyn_error = find_or_add(&is_error, &|| TypeDesc::Dyn { trait_name: "Error".into() });
    let mut types = Vec::new();
    for kind in FaultKind::ALL {
        let named = module.faults.iter().find(|(name, _)| name == kind.name()).map(|(_, ty)| *ty);
        types.push(named.unwrap_or_else(|| {
            let fields = vec![FieldDesc { name: "message".into(), ty: text }];
            find_or_add(&|_| false, &|| TypeDesc::Struct { name: kind.name().into(), fields: fields.clone() })
        }));
    }
    (types, dyn_error)
}

fn bind_native(
    import: &stark_bytecode::NativeImport,
    types: &'static Types,
) -> Result<&'static BoundNative, LoadError> {
    let row = natives::find(&import.name).ok_or_else(|| LoadError::UnknownNative { name: import.name.clone() })?;
    let mismatch = |reason| LoadError::NativeMismatch { name: import.name.clone(), scheme: row.scheme, reason };
    Scheme::parse(row.scheme).and_then(|scheme| scheme.check(import, types)).map_err(mismatch)?;
    let ret = types.get(import.ret);
    let sig = NativeSig {
        some: ret.variant_named("Some"),
        none: ret.variant_named("None"),
        type_args: import.type_args.iter().map(|&t| types.get(t)).collect(),
        params: import.params.iter().map(|p| types.get(p.ty)).collect(),
        inout: import.params.iter().map(|p| p.inout).collect(),
        ret,
    };
    Ok(BoundNative::new(row, sig))
}

fn prepare(id: FuncId, def: &Function, types: &'static Types, files: &Arc<[Arc<str>]>) -> Func {
    let registers: Box<[&'static TypeInfo]> = def.registers.iter().map(|&t| types.get(t)).collect();
    let n_params = usize::from(def.n_params);
    // Cheap to say for every function that takes back from a dynamic call; a slot is all it costs.
    let hidden = def.code.iter().any(|i| matches!(i, stark_bytecode::Instr::CallDyn { .. })).then_some(registers.len());
    let n_regs = registers.len() + usize::from(hidden.is_some());
    let is_lent = |i: usize| def.is_lent(Reg(i as u16));
    let is_zeroed = |i: usize| hidden == Some(i) || registers.get(i).is_some_and(|info| info.is_ref && !is_lent(i));
    let first = (n_params..n_regs).find(|&i| is_zeroed(i)).unwrap_or(n_regs);
    let last = (first..n_regs).rev().find(|&i| is_zeroed(i)).map_or(first, |i| i + 1);
    let refs = registers
        .iter()
        .enumerate()
        .filter(|(i, info)| info.is_ref && !def.inout.contains(&(*i as u16)) && !is_lent(*i))
        .map(|(i, _)| i as u16)
        .collect();
    let captures: Vec<_> = registers[n_params - usize::from(def.n_captures)..n_params].to_vec();
    Func {
        code: OnceLock::new(),
        entry: AtomicPtr::default(),
        def: def.clone(),
        id,
        n_regs,
        frame_size: n_regs + LINK + usize::from(def.n_out),
        first_stack: AtomicUsize::new(0),
        zero: first..last,
        refs,
        registers,
        captures: captures.leak(),
        ret: types.get(def.ret),
        hidden,
        files: files.clone(),
        mapped: OnceLock::new(),
        native: jit::Native::default(),
    }
}
