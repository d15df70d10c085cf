//! A reader for the pickles of PyTorch files, which treats a pickle as data.
//!
//! The opcodes that PyTorch's writers emit build plain values; a GLOBAL is a name from an allow-list and is
//! never resolved to code. Any other opcode or name is an error, with its byte offset.
//!
//! Values live in one arena and refer to each other by [`Id`]: fifty thousand nested tuples cost neither
//! native stack while they are read nor while they are dropped, and what the memo shares stays shared.
//! A hostile pickle can make cycles (a list that holds itself), so readers of the arena bound their depth.

use std::collections::HashMap;
use std::sync::Arc;

/// How many values one pickle may hold.
pub const MAX_OBJECTS: usize = 2_000_000;
/// How many dimensions a tensor may have.
pub const MAX_DIMS: usize = 64;
/// How many sizes and strides the tensors of one pickle may have together.
pub const MAX_EXTENTS: usize = 4_000_000;
/// The largest size, stride or offset, in elements.
pub const MAX_EXTENT: i64 = 1 << 48;

/// A value of the arena.
pub type Id = u32;

/// What a pickle holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Tuple(Box<[Id]>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(TensorRef),
    /// An instance of a class of the archive; `state` is a dict of attributes, or a tuple for packed weights.
    Object {
        class: Arc<str>,
        state: Option<Id>,
    },
}

/// A name from the allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Global {
    /// `__torch__.…`: a class of the archive.
    Class(Arc<str>),
    StorageType(StorageType),
    RebuildTensor,
    RebuildQTensor,
    RebuildParameter,
    OrderedDict,
    RestoreTypeTag,
    /// `build_intlist` and its relatives: the list itself.
    BuildList,
    /// `torch.per_tensor_affine`.
    PerTensorAffine,
    /// `torch.per_channel_affine`, and the form whose zero points are floats.
    PerChannelAffine,
    GetLayout,
    Size,
    Device,
}

/// What a storage's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
    /// Complex numbers of two F32.
    C64,
    /// Quantised bytes, signed and unsigned.
    QI8,
    QU8,
}

impl StorageType {
    /// Bytes of one element.
    pub fn size(self) -> u64 {
        match self {
            StorageType::F64 | StorageType::I64 | StorageType::C64 => 8,
            StorageType::F32 | StorageType::I32 => 4,
            StorageType::F16 | StorageType::BF16 | StorageType::I16 => 2,
            StorageType::I8 | StorageType::U8 | StorageType::Bool | StorageType::QI8 | StorageType::QU8 => 1,
        }
    }
}

/// Announced bytes: the entry `key` beside the pickle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub kind: StorageType,
    pub key: Arc<str>,
    /// Elements of the whole storage.
    pub numel: u64,
}

/// A view of a storage; sizes, strides and offset are in elements and were checked against `numel`.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorRef {
    pub storage: Storage,
    pub offset: usize,
    pub sizes: Box<[usize]>,
    pub strides: Box<[usize]>,
    pub quantised: Option<Quantisation>,
}

/// How the whole numbers of a quantised tensor stand for others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantisation {
    /// One scale and one zero point.
    PerTensor { scale: f64, zero: i64 },
    /// A scale and a zero point for each place along an axis: tensors, which are not quantised themselves.
    PerChannel { scales: Id, zeros: Id, axis: i64 },
}

/// A pickle that was read whole.
#[derive(Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

/// Why a pickle was refused, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickleError {
    pub offset: usize,
    pub reason: String,
    /// The name that the allow-list lacks, when that is the reason.
    pub unknown_global: Option<String>,
}

impl Pickle {
    pub fn parse(bytes: &[u8]) -> Result<Pickle, PickleError> {
        let mut machine = Machine {
            bytes,
            at: 0,
            nodes: vec![Node::None, Node::Bool(false), Node::Bool(true), Node::Tuple(Box::new([]))],
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            n_extents: 0,
            unknown_global: None,
        };
        loop {
            let offset = machine.at;
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok(Pickle { nodes: machine.nodes, root }),
                Err(reason) => {
                    return Err(PickleError { offset, reason, unknown_global: machine.unknown_global });
                }
            }
        }
    }

    pub fn root(&self) -> Id {
        self.root
    }

    pub fn node(&self, id: Id) -> &Node {
        // Ids come from this arena only.
        &self.nodes[id as usize]
    }

    /// The attribute of an object, or the item of a dict with text keys.
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        let items = match self.node(id) {
            Node::Dict(items) => items,
            Node::Object { state: Some(state), .. } => match self.node(*state) {
                Node::Dict(items) => items,
                _ => return None,
            },
            _ => return None,
        };
        items.iter().rev().find(|(k, _)| matches!(self.node(*k), Node::Str(text) if &**text == key)).map(|(_, v)| *v)
    }
}

const NONE: Id = 0;
const FALSE: Id = 1;
const TRUE: Id = 2;
const EMPTY_TUPLE: Id = 3;

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    n_extents: usize,
    unknown_global: Option<String>,
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    /// One opcode; gives the root when it was STOP.
    fn step(&mut self) -> Step<Option<Id>> {
        let opcode = self.take(1).map_err(|_| "the pickle ends without STOP".to_string())?[0];
        match opcode {
            0x80 => {
                let version = self.take(1)?[0];
                if version != 2 {
                    return Err(format!("pickle protocol {version}, only 2 is written by PyTorch"));
                }
            }
            b'.' => {
                let root = self.pop()?;
                if self.at != self.bytes.len() {
                    return Err(format!("{} bytes follow STOP", self.bytes.len() - self.at));
                }
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    return Err(format!("{} values are left on the stack at STOP", self.stack.len()));
                }
                return Ok(Some(root));
            }
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                let global = self.global(module, name)?;
                self.push(Node::Global(global))?;
            }
            b'R' => {
                let args = self.pop()?;
                let function = self.pop()?;
                let result = self.reduce(function, args)?;
                self.stack.push(result);
            }
            0x81 => {
                let args = self.pop()?;
                let class = self.pop()?;
                match (&self.nodes[class as usize], &self.nodes[args as usize]) {
                    (Node::Global(Global::Class(class)), Node::Tuple(args)) if args.is_empty() => {
                        let object = Node::Object { class: class.clone(), state: None };
                        self.push(object)?;
                    }
                    _ => return Err("NEWOBJ of something that is no class of the archive".into()),
                }
            }
            b'b' => {
                let new_state = self.pop()?;
                let target = *self.stack.last().ok_or("BUILD on an empty stack")?;
                let fits = matches!(self.nodes[new_state as usize], Node::Dict(_) | Node::Tuple(_));
                match &mut self.nodes[target as usize] {
                    Node::Object { state, .. } if state.is_none() && fits => *state = Some(new_state),
                    // A state dict has attributes, which say versions of modules.
                    Node::Dict(_) if fits => {}
                    _ => return Err("BUILD of something that is no fresh object".into()),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Node::Storage(storage))?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items.into()))?;
            }
            b')' => self.stack.push(EMPTY_TUPLE),
            0x85..=0x87 => {
                let n = usize::from(opcode - 0x84);
                let start = self.stack.len().checked_sub(n).filter(|&s| s >= self.floor());
                let start = start.ok_or("stack underflow")?;
                let items: Vec<Id> = self.stack.drain(start..).collect();
                self.push(Node::Tuple(items.into()))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'e' => {
                let items = self.pop_to_mark()?;
                self.list()?.extend(items);
            }
            b'a' => {
                let item = self.pop()?;
                self.list()?.push(item);
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'u' => {
                let items = self.pop_to_mark()?;
                if items.len() % 2 != 0 {
                    return Err("SETITEMS with a key that has no value".into());
                }
                self.dict()?.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.dict()?.push((key, value));
            }
            b'X' => {
                let len = u32::from_le_bytes(self.array()?) as usize;
                let text = std::str::from_utf8(self.take(len)?).map_err(|_| "a string is not UTF-8".to_string())?;
                self.push(Node::Str(text.into()))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'K' => {
                let value = self.take(1)?[0];
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            0x8a => {
                let len = usize::from(self.take(1)?[0]);
                let digits = self.take(len)?;
                if len > 8 {
                    return Err(format!("an integer of {len} bytes, the limit is 8"));
                }
                let fill = if digits.last().is_some_and(|&d| d >= 0x80) { 0xff } else { 0 };
                let mut wide = [fill; 8];
                wide[..len].copy_from_slice(digits);
                self.push(Node::Int(i64::from_le_bytes(wide)))?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))?;
            }
            b'N' => self.stack.push(NONE),
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            b'q' => {
                let slot = self.take(1)?[0].into();
                self.remember(slot)?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.remember(slot)?;
            }
            b'h' => {
                let slot = self.take(1)?[0].into();
                self.recall(slot)?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot)?;
            }
            opcode => return Err(format!("opcode {opcode:#04x} is not among those PyTorch writes")),
        }
        Ok(None)
    }

    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let bytes: &'a [u8] = self.bytes;
        let left = bytes.len() - self.at;
        if n > left {
            return Err(format!("{n} bytes are announced, {left} are left"));
        }
        let taken = &bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn line(&mut self) -> Step<&'a str> {
        let bytes: &'a [u8] = self.bytes;
        let rest = &bytes[self.at..];
        let len = rest.iter().position(|&b| b == b'\n').ok_or("a name has no end")?;
        self.at += len + 1;
        std::str::from_utf8(&rest[..len]).map_err(|_| "a name is not UTF-8".to_string())
    }

    fn push(&mut self, node: Node) -> Step<()> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn add(&mut self, node: Node) -> Step<Id> {
        if self.nodes.len() >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} values"));
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id)
    }

    /// Values below the innermost mark belong to somebody else.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Step<Id> {
        if self.stack.len() <= self.floor() {
            return Err("stack underflow".into());
        }
        self.stack.pop().ok_or_else(|| "stack underflow".into())
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("no mark on the stack")?;
        Ok(self.stack.split_off(mark))
    }

    fn list(&mut self) -> Step<&mut Vec<Id>> {
        let target = *self.stack.last().ok_or("stack underflow")?;
        match &mut self.nodes[target as usize] {
            Node::List(items) => Ok(items),
            _ => Err("appends to something that is no list".into()),
        }
    }

    fn dict(&mut self) -> Step<&mut Vec<(Id, Id)>> {
        let target = *self.stack.last().ok_or("stack underflow")?;
        match &mut self.nodes[target as usize] {
            Node::Dict(items) => Ok(items),
            _ => Err("sets items of something that is no dict".into()),
        }
    }

    fn remember(&mut self, slot: u32) -> Step<()> {
        let top = *self.stack.last().ok_or("BINPUT on an empty stack")?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Step<()> {
        let id = *self.memo.get(&slot).ok_or_else(|| format!("memo slot {slot} was never set"))?;
        self.stack.push(id);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Step<Global> {
        use StorageType::*;
        if module == "__torch__" || module.starts_with("__torch__.") {
            return Ok(Global::Class(format!("{module}.{name}").into()));
        }
        let storage = |kind| Ok(Global::StorageType(kind));
        match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
            ("torch._utils", "_rebuild_qtensor") => Ok(Global::RebuildQTensor),
            ("torch._utils", "_rebuild_parameter") => Ok(Global::RebuildParameter),
            ("collections", "OrderedDict") => Ok(Global::OrderedDict),
            ("torch.jit._pickle", "restore_type_tag") => Ok(Global::RestoreTypeTag),
            ("torch.jit._pickle", "build_intlist" | "build_tensorlist" | "build_doublelist" | "build_boollist") => {
                Ok(Global::BuildList)
            }
            ("torch", "per_tensor_affine") => Ok(Global::PerTensorAffine),
            ("torch", "per_channel_affine" | "per_channel_affine_float_qparams") => Ok(Global::PerChannelAffine),
            ("torch", "Size") => Ok(Global::Size),
            ("torch", "device") => Ok(Global::Device),
            ("torch.serialization", "_get_layout") => Ok(Global::GetLayout),
            ("torch", "DoubleStorage") => storage(F64),
            ("torch", "FloatStorage") => storage(F32),
            ("torch", "HalfStorage") => storage(F16),
            ("torch", "BFloat16Storage") => storage(BF16),
            ("torch", "LongStorage") => storage(I64),
            ("torch", "IntStorage") => storage(I32),
            ("torch", "ShortStorage") => storage(I16),
            ("torch", "CharStorage") => storage(I8),
            ("torch", "ByteStorage") => storage(U8),
            ("torch", "BoolStorage") => storage(Bool),
            ("torch", "ComplexFloatStorage") => storage(C64),
            ("torch", "QInt8Storage") => storage(QI8),
            ("torch", "QUInt8Storage") => storage(QU8),
            _ => {
                let name = format!("{module}.{name}");
                let reason = format!("`{name}` is not on the list of names a model may use; nothing was run");
                self.unknown_global = Some(name);
                Err(reason)
            }
        }
    }

    fn reduce(&mut self, function: Id, args: Id) -> Step<Id> {
        let Node::Global(function) = self.nodes[function as usize].clone() else {
            return Err("REDUCE of something that is no function".into());
        };
        let Node::Tuple(args) = self.nodes[args as usize].clone() else {
            return match function {
                // A member of an enum, by its value.
                Global::Class(_) => Ok(args),
                _ => Err("REDUCE with arguments that are no tuple".into()),
            };
        };
        match (function, &*args) {
            (Global::RebuildTensor, [storage, offset, sizes, strides, rest @ ..]) if rest.len() <= 3 => {
                let tensor = self.tensor(*storage, *offset, *sizes, *strides, None)?;
                self.add(Node::Tensor(tensor))
            }
            (Global::RebuildQTensor, [storage, offset, sizes, strides, params, _grad, _hooks]) => {
                let quantised = self.quantisation(*params)?;
                let tensor = self.tensor(*storage, *offset, *sizes, *strides, Some(quantised))?;
                self.add(Node::Tensor(tensor))
            }
            (Global::RebuildParameter, [data, _grad, _hooks]) => Ok(*data),
            (Global::OrderedDict, []) => self.add(Node::Dict(Vec::new())),
            (Global::RestoreTypeTag, [value, _tag]) => Ok(*value),
            (Global::BuildList, [list]) | (Global::Size, [list]) => Ok(*list),
            (Global::GetLayout | Global::Device, [name, ..]) => Ok(*name),
            (function, args) => Err(format!("REDUCE of {function:?} with {} arguments", args.len())),
        }
    }

    fn storage(&self, id: Id) -> Step<Storage> {
        let wrong = || "a persistent id that is no storage".to_string();
        let Node::Tuple(items) = &self.nodes[id as usize] else { return Err(wrong()) };
        let [tag, kind, key, device, numel] = &**items else { return Err(wrong()) };
        let node = |id: &Id| &self.nodes[*id as usize];
        match (node(tag), node(kind), node(key), node(device), node(numel)) {
            (
                Node::Str(tag),
                Node::Global(Global::StorageType(kind)),
                Node::Str(key),
                Node::Str(_device),
                Node::Int(numel @ 0..=MAX_EXTENT),
            ) if &**tag == "storage" => Ok(Storage { kind: *kind, key: key.clone(), numel: *numel as u64 }),
            _ => Err(wrong()),
        }
    }

    fn extent(&self, id: Id, what: &str) -> Step<usize> {
        match self.nodes[id as usize] {
            Node::Int(n @ 0..=MAX_EXTENT) => Ok(n as usize),
            Node::Int(n) => Err(format!("a tensor's {what} is {n}")),
            _ => Err(format!("a tensor's {what} is no integer")),
        }
    }

    fn extents(&self, id: Id, what: &str) -> Step<Box<[usize]>> {
        let Node::Tuple(items) = &self.nodes[id as usize] else {
            return Err(format!("a tensor's {what}s are no tuple"));
        };
        if items.len() > MAX_DIMS {
            return Err(format!("a tensor of {} dimensions, the limit is {MAX_DIMS}", items.len()));
        }
        items.iter().map(|&item| self.extent(item, what)).collect()
    }

    fn tensor(
        &mut self,
        storage: Id,
        offset: Id,
        sizes: Id,
        strides: Id,
        quantised: Option<Quantisation>,
    ) -> Step<TensorRef> {
        let Node::Storage(storage) = self.nodes[storage as usize].clone() else {
            return Err("a tensor whose storage is none".into());
        };
        let offset = self.extent(offset, "offset")?;
        let (sizes, strides) = (self.extents(sizes, "size")?, self.extents(strides, "stride")?);
        if sizes.len() != strides.len() {
            return Err(format!("a tensor with {} sizes and {} strides", sizes.len(), strides.len()));
        }
        self.n_extents += sizes.len() + strides.len();
        if self.n_extents > MAX_EXTENTS {
            return Err(format!("more than {MAX_EXTENTS} tensor sizes and strides"));
        }
        let mut numel = 1usize;
        for &size in &sizes {
            numel = numel.checked_mul(size).ok_or("a tensor's element count overflows")?;
        }
        if numel > 0 {
            let mut last = offset as u64;
            for (&size, &stride) in sizes.iter().zip(&strides) {
                let reach = (size as u64 - 1).checked_mul(stride as u64);
                last = reach.and_then(|r| last.checked_add(r)).ok_or("a tensor's reach overflows")?;
            }
            if last >= storage.numel {
                let key = &storage.key;
                let n = storage.numel;
                return Err(format!("a tensor reaches element {last} of storage `{key}`, which has {n}"));
            }
        }
        Ok(TensorRef { storage, offset, sizes, strides, quantised })
    }

    fn quantisation(&self, id: Id) -> Step<Quantisation> {
        let node = |id: &Id| &self.nodes[*id as usize];
        let Node::Tuple(items) = node(&id) else { return Err("a quantised tensor without its scale".into()) };
        // Plain tensors only: a scale that is quantised itself could nest as deep as a file is long.
        let is_plain = |id: &Id| matches!(node(id), Node::Tensor(tensor) if tensor.quantised.is_none());
        match &**items {
            [scheme, scale, zero] if *node(scheme) == Node::Global(Global::PerTensorAffine) => {
                if let (Node::Float(scale), Node::Int(zero)) = (node(scale), node(zero)) {
                    return Ok(Quantisation::PerTensor { scale: *scale, zero: *zero });
                }
            }
            [scheme, scales, zeros, axis] if *node(scheme) == Node::Global(Global::PerChannelAffine) => {
                if let (true, true, Node::Int(axis)) = (is_plain(scales), is_plain(zeros), node(axis)) {
                    return Ok(Quantisation::PerChannel { scales: *scales, zeros: *zeros, axis: *axis });
                }
            }
            _ => {}
        }
        Err("a quantised tensor that is affine neither per tensor nor per channel".into())
    }
}
