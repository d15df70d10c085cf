//! Code generation: from the typed tree to a bytecode module.
//!
//! Starting at the entry, every function is generated once for each list of type arguments it is used with (`Instance`). A worklist holds what
//! was asked for and not generated yet; methods called on dynamic values add an instance for every type that was made dynamic, so
//! the list runs until nothing new appears. After checking no stage reports a user error but size limits: what cannot be encoded ends here as a diagnostic.
//!
//! Read next: `builder` (registers, labels, handlers of one function), `expr`, `place`, `call`, `control`, `pattern`, `derive`, `task`, `types`, `tidy`, `lend`.

mod builder;
mod call;
mod check;
mod control;
mod derive;
mod expr;
mod lend;
mod pattern;
mod place;
mod task;
mod tidy;
mod types;

pub use place::children;
pub use types::elem;

use crate::hir::{self, FnId, Program, TraitId, Ty};
use builder::FnBuilder;
use stark_bytecode as bc;
use stark_bytecode::{FuncId, GlobalId, MethodId, NativeId, TypeId};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceMap, Span};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Makes the module of a checked program, and says where its tests begin.
pub fn generate(
    program: &Program,
    sources: &SourceMap,
) -> Result<(bc::Module, Vec<crate::TestEntry>), Vec<Diagnostic>> {
    let mut generator = Generator::new(program, sources);
    let tests = generator.run();
    lend::lend(&mut generator.module);
    if generator.diagnostics.is_empty() { Ok((generator.module, tests)) } else { Err(generator.diagnostics) }
}

/// The module of a session's entry, and its types that `newest` declares.
pub fn generate_entry(
    program: &Program,
    sources: &SourceMap,
    newest: stark_syntax::source::SourceId,
) -> Result<(bc::Module, Vec<TypeId>), Vec<Diagnostic>> {
    let mut generator = Generator::new(program, sources);
    generator.run();
    if !generator.diagnostics.is_empty() {
        return Err(generator.diagnostics);
    }
    lend::lend(&mut generator.module);
    let is_new = |ty: &Ty| matches!(ty, Ty::Adt(id, _) if program.adt(*id).span.source == newest);
    let mut fresh = generator.types.those(is_new);
    fresh.sort();
    Ok((generator.module, fresh))
}

/// A function at concrete types.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Instance {
    Fn(FnId, Vec<Ty>),
    /// A plain function around a native or a task function, so that it can be a value, a task or a dynamic method.
    Wrapper(FnId, Vec<Ty>),
    /// `show`, `eq`, `cmp` or `hash` of a type that contains one with its own.
    Derived(derive::Derived, Ty),
    /// A trait's method for a dynamic type that stands behind another one.
    Forward(Ty, TraitId, u32),
    /// Runs a function value in a task: `fn(closure, args…)`.
    CallValue(Ty),
}

struct Generator<'p> {
    program: &'p Program,
    sources: &'p SourceMap,
    module: bc::Module,
    diagnostics: Vec<Diagnostic>,
    instances: HashMap<Instance, FuncId>,
    pending: Vec<(Instance, FuncId)>,
    types: types::TypeTable,
    strings: HashMap<Rc<str>, bc::StrId>,
    scalars: HashMap<u64, bc::ScalarId>,
    natives: HashMap<bc::NativeImport, NativeId>,
    /// The function that std declares for a native.
    native_decls: HashMap<Rc<str>, FnId>,
    /// A method of a dynamic type's own trait or of one that it stands on.
    methods: HashMap<(Ty, TraitId, u32), MethodId>,
    /// Types that were made dynamic values, by dynamic type.
    dynamic: HashMap<Ty, Vec<Ty>>,
    dynamic_seen: HashSet<(Ty, Ty)>,
    /// Which (method, type) pairs have their implementation.
    implemented: HashSet<(MethodId, Ty)>,
    files: HashMap<stark_syntax::source::SourceId, u32>,
    own_impl: HashMap<(TraitId, Ty), bool>,
    unique: crate::flow::Unique,
    /// Generic functions already reported as endless.
    endless: HashSet<FnId>,
}

/// How deeply type arguments may nest.
const MAX_TYPE_DEPTH: usize = 48;

fn type_depth(ty: &Ty) -> usize {
    let deepest = |ts: &[Ty]| ts.iter().map(type_depth).max().unwrap_or(0);
    match ty {
        Ty::Tuple(ts) | Ty::Adt(_, ts) => 1 + deepest(ts),
        Ty::Fn(ps, r) => 1 + deepest(ps).max(type_depth(r)),
        _ => 1,
    }
}

impl<'p> Generator<'p> {
    fn new(program: &'p Program, sources: &'p SourceMap) -> Generator<'p> {
        let mut native_decls = HashMap::new();
        for (id, decl) in program.fns.iter().enumerate() {
            if let Some(native) = &decl.native {
                native_decls.entry(native.clone()).or_insert(FnId(id as u32));
            }
        }
        Generator {
            program,
            sources,
            module: bc::Module::default(),
            diagnostics: Vec::new(),
            instances: HashMap::new(),
            pending: Vec::new(),
            types: types::TypeTable::default(),
            strings: HashMap::new(),
            scalars: HashMap::new(),
            natives: HashMap::new(),
            native_decls,
            methods: HashMap::new(),
            dynamic: HashMap::new(),
            dynamic_seen: HashSet::new(),
            implemented: HashSet::new(),
            files: HashMap::new(),
            own_impl: HashMap::new(),
            unique: crate::flow::Unique::of(program),
            endless: HashSet::new(),
        }
    }

    fn run(&mut self) -> Vec<crate::TestEntry> {
        for global in &self.program.globals {
            let ty = self.type_id(&global.ty);
            self.module.globals.push(bc::Global {
                name: global.name.to_string(),
                ty,
                zone: global.zone_init.is_some(),
            });
        }
        let error = self.program.lang.error;
        let error_ty = Ty::Dyn(error, Rc::from([]));
        for (name, adt) in &self.program.lang.faults {
            let ty = Ty::Adt(*adt, Rc::from([]));
            let id = self.type_id(&ty);
            self.module.faults.push((name.to_string(), id));
            self.make_dynamic(&error_ty, ty);
        }
        if let Some(message) = self.trait_method(error, "message") {
            self.module.error_message = Some(self.dyn_method(&error_ty, error, message));
        }
        self.module.entry = self.entry_function(self.program.entry);
        let program = self.program;
        let test = |test: &hir::Test| crate::TestEntry {
            name: test.name.to_string(),
            entry: self.entry_function(test.entry),
            span: test.span,
        };
        let tests = program.tests.iter().map(test).collect();
        loop {
            while let Some((instance, id)) = self.pending.pop() {
                let function = self.generate_instance(&instance);
                self.module.functions[id.index()] = function;
            }
            if !self.implement_dynamic() {
                break;
            }
        }
        for method in &mut self.module.methods {
            method.impls.sort();
        }
        tests
    }

    /// Zones get their first values, then `entry` runs.
    fn entry_function(&mut self, entry: FnId) -> FuncId {
        let main = self.instance(Instance::Fn(entry, Vec::new()));
        let zones: Vec<(u32, FnId)> =
            (0u32..).zip(&self.program.globals).filter_map(|(i, g)| g.zone_init.map(|init| (i, init))).collect();
        if zones.is_empty() {
            return main;
        }
        let id = self.reserve();
        let mut f = FnBuilder::new(self, "start", Ty::Unit, Vec::new(), Span::default());
        for (index, init) in zones {
            let ty = f.g.program.globals[index as usize].ty.clone();
            let func = f.g.instance(Instance::Fn(init, Vec::new()));
            let value = f.temp(&ty);
            f.emit(bc::Instr::Call { dst: value, func });
            let zone = f.int_temp(i64::from(index));
            f.native_values("zone_init", &[ty.clone()], &[(zone, Ty::INT), (value, ty)], &Ty::Unit);
            f.recycle(zone);
        }
        let done = f.temp(&Ty::Unit);
        f.emit(bc::Instr::Call { dst: done, func: main });
        f.emit(bc::Instr::ReturnScalar { src: done });
        let function = f.finish();
        self.module.functions[id.index()] = function;
        id
    }

    // --- tables ------------------------------------------------------------------------------------------------------

    fn reserve(&mut self) -> FuncId {
        self.module.functions.push(bc::Function::default());
        FuncId(self.module.functions.len() as u32 - 1)
    }

    fn instance(&mut self, instance: Instance) -> FuncId {
        if let Some(id) = self.instances.get(&instance) {
            return *id;
        }
        if let Instance::Fn(func, args) | Instance::Wrapper(func, args) = &instance
            && args.iter().any(|t| type_depth(t) > MAX_TYPE_DEPTH)
        {
            let decl = self.program.func(*func);
            if self.endless.insert(*func) {
                let what =
                    format!("`{}` is needed for ever larger types (nested more than {MAX_TYPE_DEPTH} deep)", decl.name);
                let found = Diagnostic::error(
                    codes::TOO_MANY_INSTANCES,
                    what,
                    decl.span,
                    "this calls itself with a larger type",
                );
                self.diagnostics.push(found.help("call it with the same type, or with a type that shrinks"));
            }
            return FuncId(0);
        }
        let id = self.reserve();
        self.instances.insert(instance.clone(), id);
        self.pending.push((instance, id));
        id
    }

    fn string(&mut self, text: &str) -> bc::StrId {
        if let Some(id) = self.strings.get(text) {
            return *id;
        }
        let id = bc::StrId(self.module.strings.len() as u32);
        self.module.strings.push(text.to_string());
        self.strings.insert(text.into(), id);
        id
    }

    fn scalar(&mut self, bits: u64) -> bc::ScalarId {
        let module = &mut self.module;
        *self.scalars.entry(bits).or_insert_with(|| {
            module.scalars.push(bits);
            bc::ScalarId(module.scalars.len() as u32 - 1)
        })
    }

    fn import(&mut self, import: bc::NativeImport) -> NativeId {
        if let Some(id) = self.natives.get(&import) {
            return *id;
        }
        let id = NativeId(self.module.natives.len() as u32);
        self.module.natives.push(import.clone());
        self.natives.insert(import, id);
        id
    }

    fn file(&mut self, source: stark_syntax::source::SourceId) -> u32 {
        if let Some(id) = self.files.get(&source) {
            return *id;
        }
        let id = self.module.files.len() as u32;
        self.module.files.push(self.sources.path(source).to_string());
        self.files.insert(source, id);
        id
    }

    // --- traits ------------------------------------------------------------------------------------------------------

    fn trait_method(&self, trait_: TraitId, name: &str) -> Option<u32> {
        let methods = &self.program.traits[trait_.index()].methods;
        methods
            .iter()
            .position(|m| {
                let full = &self.program.func(*m).name;
                full.rsplit('.').next() == Some(name)
            })
            .map(|i| i as u32)
    }

    /// From now on a value of `ty` may stand behind the dynamic type `dynamic`.
    fn make_dynamic(&mut self, dynamic: &Ty, ty: Ty) {
        if self.dynamic_seen.insert((dynamic.clone(), ty.clone())) {
            self.dynamic.entry(dynamic.clone()).or_default().push(ty);
        }
    }

    fn dyn_method(&mut self, dynamic: &Ty, trait_: TraitId, method: u32) -> MethodId {
        let key = (dynamic.clone(), trait_, method);
        if let Some(id) = self.methods.get(&key) {
            return *id;
        }
        let decl = self.program.func(self.program.traits[trait_.index()].methods[method as usize]);
        let mut self_ty = vec![dynamic.clone()];
        self_ty.extend(self.program.trait_args(trait_, dynamic));
        let params: Vec<TypeId> = decl.params.iter().map(|p| self.type_id(&p.ty.subst(&self_ty))).collect();
        let inout = inout_positions(&decl.params);
        let ret = self.type_id(&decl.ret.subst(&self_ty));
        let id = MethodId(self.module.methods.len() as u32);
        self.module.methods.push(bc::Method { name: decl.name.to_string(), params, inout, ret, impls: Vec::new() });
        self.methods.insert(key, id);
        id
    }

    /// Gives every dynamic type an implementation of every method called on its trait. True when something was added.
    fn implement_dynamic(&mut self) -> bool {
        let mut wanted = Vec::new();
        for ((dynamic, trait_, method), &id) in &self.methods {
            for ty in self.dynamic.get(dynamic).into_iter().flatten() {
                if !self.implemented.contains(&(id, ty.clone())) {
                    wanted.push((*trait_, *method, id, ty.clone()));
                }
            }
        }
        // The tables are hashed: the order of functions must not depend on it.
        wanted.sort_by_key(|(_, _, id, ty)| (*id, format!("{ty:?}")));
        let any = !wanted.is_empty();
        for (trait_, method, id, ty) in wanted {
            self.implemented.insert((id, ty.clone()));
            let func = match self.resolve_trait(trait_, method, &ty, &[]) {
                Resolved::Fn(func, args) => {
                    let decl = self.program.func(func);
                    let plain = decl.native.is_none() && decl.kind == hir::FnKind::Plain;
                    self.instance(if plain { Instance::Fn(func, args) } else { Instance::Wrapper(func, args) })
                }
                Resolved::Derived(derived) => self.instance(Instance::Derived(derived, ty.clone())),
                Resolved::Dyn(_) => self.instance(Instance::Forward(ty.clone(), trait_, method)),
            };
            let ty = self.type_id(&ty);
            self.module.methods[id.index()].impls.push((ty, func));
        }
        any
    }

    /// Which function a trait's method is for a concrete type.
    fn resolve_trait(&mut self, trait_: TraitId, method: u32, self_ty: &Ty, own_args: &[Ty]) -> Resolved {
        let decl = self.program.traits[trait_.index()].methods[method as usize];
        if let Ty::Dyn(t, args) = self_ty
            // A method with type parameters has no single implementation to choose: its default runs on the dynamic value.
            && own_args.is_empty()
            && self.program.args_of_super(*t, args, self_ty, trait_).is_some()
        {
            return Resolved::Dyn(self.dyn_method(self_ty, trait_, method));
        }
        if let Some((impl_, mut args)) = self.program.find_impl(trait_, self_ty) {
            if let Some(func) = self.program.impls[impl_.index()].methods.get(method as usize).copied().flatten() {
                args.extend_from_slice(own_args);
                return Resolved::Fn(func, args);
            }
        } else if let Some(derived) = derive::Derived::of(self.program, trait_) {
            return Resolved::Derived(derived);
        }
        let mut args = vec![self_ty.clone()];
        args.extend(self.program.trait_args(trait_, self_ty));
        args.extend_from_slice(own_args);
        Resolved::Fn(decl, args)
    }

    // --- functions ---------------------------------------------------------------------------------------------------

    fn generate_instance(&mut self, instance: &Instance) -> bc::Function {
        match instance {
            Instance::Fn(func, args) => self.generate_fn(*func, args),
            Instance::Wrapper(func, args) => self.generate_wrapper(*func, args),
            Instance::Derived(derived, ty) => derive::generate(self, *derived, ty),
            Instance::Forward(ty, trait_, method) => self.generate_forward(ty, *trait_, *method),
            Instance::CallValue(ty) => self.generate_call_value(ty),
        }
    }

    fn generate_fn(&mut self, id: FnId, args: &[Ty]) -> bc::Function {
        let program = self.program;
        let decl = program.func(id);
        let ret = decl.ret.subst(args);
        let Some(body) = &decl.body else {
            self.unsupported(decl.span, format!("`{}` has no body to generate", decl.name));
            return bc::Function::default();
        };
        let mut f = FnBuilder::new(self, &decl.name, ret, args.to_vec(), decl.span);
        for (param, local) in decl.params.iter().zip(&body.params) {
            f.parameter(body, *local, param.mode);
        }
        f.body(body);
        f.finish()
    }

    /// `fn(params…) = func(params…)`.
    fn generate_wrapper(&mut self, id: FnId, args: &[Ty]) -> bc::Function {
        let program = self.program;
        let decl = program.func(id);
        let ret = match decl.kind {
            hir::FnKind::Plain => decl.ret.subst(args),
            hir::FnKind::Async => Ty::Adt(program.lang.future, Rc::from([decl.ret.subst(args)])),
            hir::FnKind::Spawn => Ty::Adt(program.lang.join_handle, Rc::from([decl.ret.subst(args)])),
        };
        self.generate_around(decl, args, &ret, |f, dst| f.emit_call(id, args, dst))
    }

    /// A function with the parameters of `decl` that hands them all on to one call.
    fn generate_around(
        &mut self,
        decl: &hir::FnDef,
        args: &[Ty],
        ret: &Ty,
        call: impl FnOnce(&mut FnBuilder<'_, 'p>, bc::Reg),
    ) -> bc::Function {
        let mut f = FnBuilder::new(self, &decl.name, ret.clone(), Vec::new(), decl.span);
        let params: Vec<Ty> = decl.params.iter().map(|p| p.ty.subst(args)).collect();
        let registers: Vec<_> = decl
            .params
            .iter()
            .zip(&params)
            .map(|(p, ty)| f.plain_parameter(ty, p.mode == hir::ParamMode::RefMut))
            .collect();
        let dst = f.temp(ret);
        for (i, (register, ty)) in registers.iter().zip(&params).enumerate() {
            f.push_arg(i, *register, ty, true);
        }
        call(&mut f, dst);
        for (i, register) in registers.iter().enumerate() {
            if decl.params[i].mode == hir::ParamMode::RefMut {
                f.emit(bc::Instr::TakeBack { dst: *register, out: bc::Out(i as u16) });
            }
        }
        f.return_register(dst, ret);
        f.finish()
    }

    /// A dynamic value behind another dynamic type: its own type's method calls the one of what is behind it.
    fn generate_forward(&mut self, ty: &Ty, trait_: TraitId, method: u32) -> bc::Function {
        let program = self.program;
        let decl = program.func(program.traits[trait_.index()].methods[method as usize]);
        let mut self_ty = vec![ty.clone()];
        self_ty.extend(program.trait_args(trait_, ty));
        let inner = self.dyn_method(ty, trait_, method);
        let ret = decl.ret.subst(&self_ty);
        self.generate_around(decl, &self_ty, &ret, |f, dst| f.emit(bc::Instr::CallDyn { dst, method: inner }))
    }

    fn generate_call_value(&mut self, ty: &Ty) -> bc::Function {
        let Ty::Fn(params, ret) = ty else { return bc::Function::default() };
        let mut f = FnBuilder::new(self, "task", (**ret).clone(), Vec::new(), Span::default());
        let closure = f.plain_parameter(ty, false);
        let registers: Vec<_> = params.iter().map(|p| f.plain_parameter(p, false)).collect();
        let dst = f.temp(ret);
        for (i, (register, ty)) in registers.iter().zip(params.iter()).enumerate() {
            f.push_arg(i, *register, ty, true);
        }
        f.emit(bc::Instr::CallClosure { dst, closure });
        f.return_register(dst, ret);
        f.finish()
    }

    /// A construct that no instruction expresses: said as a diagnostic, never skipped.
    fn unsupported(&mut self, span: Span, what: String) {
        self.diagnostics.push(Diagnostic::error(codes::TOO_LARGE, what, span, "this cannot be compiled"));
    }

    fn global_id(&self, id: hir::GlobalId) -> GlobalId {
        GlobalId(id.0)
    }
}

enum Resolved {
    Fn(FnId, Vec<Ty>),
    Derived(derive::Derived),
    Dyn(MethodId),
}

fn inout_positions(params: &[hir::Param]) -> Vec<u16> {
    (0u16..).zip(params).filter(|(_, p)| p.mode == hir::ParamMode::RefMut).map(|(i, _)| i).collect()
}
