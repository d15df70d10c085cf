//! Calls: of functions and methods of the archive, which are inlined, and of operators, which are looked up, checked and, where
//! all is known, run.

use super::*;

impl Compiler<'_> {
    pub(super) fn call(&mut self, callee: &Expr, args: &[Expr], kwargs: &[(String, Expr)], env: &Env) -> Done<Cv> {
        let method: Option<(Cv, &String)> = match callee {
            Expr::Name(name) if !env.contains_key(name) => match name.as_str() {
                "getattr" => return self.getattr(args, env),
                "isinstance" => return self.is_instance(args, env),
                "fork" => return self.fork(args, env),
                // What a model prints is about its code, as its warnings are.
                "print" => {
                    self.arguments(args, kwargs, env)?;
                    return Ok(Cv::Plain(Value::None));
                }
                // Functions of Python that the table has.
                name if ops::find(name).is_some() => {
                    let args = args.iter().map(|arg| self.expr(arg, env)).collect::<Done<Vec<_>>>()?;
                    return self.operator(name, args, Vec::new());
                }
                _ => return self.refuse(format!("call of unknown function `{name}`")),
            },
            Expr::Attr(base, method) => {
                let base = self.expr(base, env)?;
                match base {
                    object @ (Cv::Object(_) | Cv::Made(_)) => Some((object, method)),
                    Cv::Path(_) => None,
                    value if method == "tolist" && args.is_empty() => {
                        return self.operator("tolist", vec![value], Vec::new());
                    }
                    other => return self.refuse(format!("method `{method}` of {}", describe(&other))),
                }
            }
            _ => None,
        };
        if let Some((object, name)) = method {
            let (class, file) = match &object {
                Cv::Object(id) => self.class_of(*id)?,
                Cv::Made(made) => (self.made[*made].class.clone(), self.made[*made].file),
                _ => return self.refuse("a method of something that is no object"),
            };
            let Some(function) = class.methods.iter().find(|m| m.name == *name) else {
                return self.refuse(format!("class {} has no method `{name}`", class.name));
            };
            let (args, kwargs) = self.arguments(args, kwargs, env)?;
            let all = std::iter::once(object).chain(args).collect();
            return self.inline(function, file, all, kwargs);
        }
        let Cv::Path(path) = self.expr(callee, env)? else {
            return self.refuse("call of something that is no function");
        };
        if !path.starts_with("__torch__.") {
            return self.operator_call(&path, args, kwargs, env);
        }
        if path.starts_with(GRAD_MODES) {
            // Gradients are never recorded here, so making such a mode and entering it does nothing.
            let class = path.strip_suffix(".__new__").unwrap_or(&path);
            return Ok(Cv::Path(class.into()));
        }
        if let Some(class) = path.strip_suffix(".__new__") {
            return self.new_object(class);
        }
        match self.library.find(&path)? {
            Some((Definition::Function(function), file)) => {
                let (args, kwargs) = self.arguments(args, kwargs, env)?;
                self.inline(&function, file, args, kwargs)
            }
            Some((Definition::Class(class), _)) if class.kind == ClassKind::NamedTuple => {
                let (args, kwargs) = self.arguments(args, kwargs, env)?;
                if args.len() != class.attributes.len() || !kwargs.is_empty() {
                    return self.refuse(format!("{path} takes {} fields", class.attributes.len()));
                }
                let names = class.attributes.iter().map(|a| a.name.clone()).collect();
                self.tuple(args, Some(names))
            }
            Some((Definition::Class(_), _)) => {
                self.refuse(format!("objects of class {path} made while the model runs are not supported"))
            }
            None => self.refuse(format!("`{path}` is not in the archive's code")),
        }
    }

    /// `fork(function)` runs it at once, so that waiting for it gives what it gave.
    fn fork(&mut self, args: &[Expr], env: &Env) -> Done<Cv> {
        let function = match args {
            [Expr::Name(name)] => self.locals.get(name).cloned(),
            _ => None,
        };
        let Some(function) = function else { return self.refuse("fork of something that is no function of its place") };
        let line = self.at.line;
        let result = self.nested(|this| this.stmts(&function.body, &mut env.clone()))?;
        self.at.line = line;
        Ok(result.unwrap_or(Cv::Plain(Value::None)))
    }

    /// `isinstance(value, T)` and `isinstance(value, (T, U))`. What is known while compiling is decided then.
    fn is_instance(&mut self, args: &[Expr], env: &Env) -> Done<Cv> {
        let [value, types] = args else { return self.refuse("isinstance takes a value and a type") };
        let mut names = Vec::new();
        match types {
            Expr::Tuple(types) | Expr::List(types) => {
                for ty in types {
                    names.push(type_name(ty));
                }
            }
            one => names.push(type_name(one)),
        }
        let Some(names) = names.into_iter().collect::<Option<Vec<String>>>() else {
            return self.refuse("isinstance with something that is no type");
        };
        match self.expr(value, env)? {
            Cv::Tuple(tuple) => {
                let is_it = names.iter().any(|name| match &tuple.names {
                    Some(_) => name.starts_with("__torch__."),
                    None => name == "Tuple" || name == "tuple",
                });
                Ok(Cv::Plain(Value::Bool(is_it)))
            }
            Cv::Made(made) => Ok(Cv::Plain(Value::Bool(names.contains(&self.made[made].path)))),
            Cv::Object(_) => Ok(Cv::Plain(Value::Bool(names.iter().any(|name| name.starts_with("__torch__."))))),
            value => {
                let types = Cv::Plain(Value::str(names.join("|")));
                self.operator("isinstance", vec![value, types], Vec::new())
            }
        }
    }

    fn getattr(&mut self, args: &[Expr], env: &Env) -> Done<Cv> {
        let [base, Expr::Str(name)] = args else { return self.refuse("getattr takes an object and a text") };
        let base = self.expr(base, env)?;
        self.attribute(&base, name)
    }

    fn arguments(&mut self, args: &[Expr], kwargs: &[(String, Expr)], env: &Env) -> Done<(Vec<Cv>, Vec<(String, Cv)>)> {
        let args = args.iter().map(|arg| self.expr(arg, env)).collect::<Done<_>>()?;
        let kwargs = kwargs.iter().map(|(name, arg)| Ok((name.clone(), self.expr(arg, env)?))).collect::<Done<_>>()?;
        Ok((args, kwargs))
    }

    fn inline(&mut self, function: &Function, file: u32, args: Vec<Cv>, kwargs: Vec<(String, Cv)>) -> Done<Cv> {
        self.n_calls += 1;
        if self.n_calls > MAX_CALLS {
            return self.refuse(format!("more than {MAX_CALLS} calls"));
        }
        if args.len() > function.params.len() {
            return self.refuse(format!(
                "`{}` takes {} arguments, {} are given",
                function.name,
                function.params.len(),
                args.len()
            ));
        }
        let mut env = Env::new();
        let n_args = args.len();
        for (param, arg) in function.params.iter().zip(args) {
            let arg = match (arg, &param.ty) {
                (Cv::Slot { slot, never_none }, Some(ty)) => {
                    Cv::Slot { slot, never_none: never_none || ty.is_never_none() }
                }
                (arg, _) => arg,
            };
            env.insert(param.name.clone(), arg);
        }
        for (name, arg) in kwargs {
            if !function.params.iter().skip(n_args).any(|p| p.name == name) {
                return self.refuse(format!("`{}` takes no argument `{name}`", function.name));
            }
            env.insert(name, arg);
        }
        for param in &function.params {
            if !env.contains_key(&param.name) {
                let Some(default) = &param.default else {
                    return self.refuse(format!("`{}` lacks its argument `{}`", function.name, param.name));
                };
                let value = self.expr(default, &Env::new())?;
                env.insert(param.name.clone(), value);
            }
        }
        self.nested(|this| this.body(function, file, &mut env))
    }

    /// `torch.…` and `ops.…`: a form that the compiler knows, or a row of the table.
    fn operator_call(&mut self, path: &str, args: &[Expr], kwargs: &[(String, Expr)], env: &Env) -> Done<Cv> {
        let (args, kwargs) = self.arguments(args, kwargs, env)?;
        match (path, &*args) {
            ("ops.prim.RaiseException", [message, rest @ ..]) => {
                let class: Arc<str> = match rest.first() {
                    Some(Cv::Plain(Value::Str(class))) => class.strip_prefix("builtins.").unwrap_or(class).into(),
                    _ => "Exception".into(),
                };
                let message = self.operand(message)?;
                self.emit(Kind::Raise(class), vec![message], Vec::new())?;
                self.reach = self.reach.max(Reach::Raise);
                Ok(Cv::Uninitialized)
            }
            // Warnings are about the code, not about the result.
            ("torch.warn", _) => Ok(Cv::Plain(Value::None)),
            ("torch.__is__" | "torch.__isnot__", [value, Cv::Plain(Value::None)])
            | ("torch.__is__" | "torch.__isnot__", [Cv::Plain(Value::None), value])
                if known_none(value).is_some() =>
            {
                let is_none = known_none(value) == Some(true);
                Ok(Cv::Plain(Value::Bool(is_none == (path == "torch.__is__"))))
            }
            ("ops.prim.unchecked_unwrap_optional" | "ops.prim.data", [value]) => Ok(value.clone()),
            ("torch.device", [Cv::Plain(device), ..]) => Ok(Cv::Plain(device.clone())),
            ("torch.len", [Cv::Tuple(tuple)]) => Ok(Cv::Plain(Value::Int(tuple.items.len() as i64))),
            ("torch.dict", []) => self.emit_value(Kind::Dict, Vec::new(), true),
            ("torch.wait", [value]) => Ok(value.clone()),
            ("torch.annotate" | "torch.jit.annotate", [_, value]) => Ok(value.clone()),
            _ => self.operator(path, args, kwargs),
        }
    }

    pub(super) fn operator(&mut self, path: &str, args: Vec<Cv>, kwargs: Vec<(String, Cv)>) -> Done<Cv> {
        let Some((row, in_place)) = ops::find(path) else { return self.note_unknown(path.to_string()) };
        let bound = match bind(row, args, kwargs) {
            Ok(bound) => bound,
            Err(what) => return self.note_unknown(format!("{path}{what}")),
        };
        if !matches!(row.traits, Traits::Effect | Traits::Draws)
            && !in_place
            && let Some(result) = fold(row, &bound)
        {
            return Ok(Cv::Plain(result));
        }
        let args = bound.iter().map(|arg| self.operand(arg)).collect::<Done<Vec<_>>>()?;
        if in_place && ops::is_reshaping(row) {
            let target = args.first().and_then(|arg| arg.slot());
            if target.is_some_and(|slot| self.moved.contains(&slot)) {
                return self.refuse(format!("{path}_ of a tensor that more than one name may stand for"));
            }
            self.emit_value(Kind::InPlace(row), args, true)?;
            // It is the tensor itself, not another name for it.
            return Ok(bound[0].clone());
        }
        let kind = if in_place { Kind::InPlace(row) } else { Kind::Op(row) };
        self.emit_value(kind, args, matches!(row.traits, Traits::Pure | Traits::Draws))
    }

    fn note_unknown(&mut self, name: String) -> Done<Cv> {
        self.emit(Kind::Unknown, Vec::new(), Vec::new())?;
        self.reach = Reach::Unknown;
        if self.unknown.len() < MAX_UNKNOWN {
            let place = self.place();
            self.unknown.push(UnknownOperator { name, place });
        }
        // Whatever it would give: no run comes further.
        let slot = self.new_slot();
        Ok(Cv::Slot { slot, never_none: false })
    }
}

/// Arguments in the order of the row, with its defaults; or what does not fit.
fn bind(row: &'static OpRow, args: Vec<Cv>, kwargs: Vec<(String, Cv)>) -> Result<Vec<Cv>, String> {
    if args.len() > row.args.len() {
        return Err(format!(" with {} arguments (it takes {})", args.len(), row.args.len()));
    }
    let mut bound: Vec<Option<Cv>> = args.into_iter().map(Some).collect();
    bound.resize(row.args.len(), None);
    for (name, arg) in kwargs {
        match row.args.iter().position(|a| a.name == name) {
            Some(at) if bound[at].is_none() => bound[at] = Some(arg),
            Some(_) => return Err(format!(" with argument `{name}` given twice")),
            None => match arg {
                // What is left out and what is None say the same, so an argument we lack does not matter then.
                Cv::Plain(Value::None) => {}
                _ => return Err(format!(" with argument `{name}`")),
            },
        }
    }
    let mut out = Vec::with_capacity(bound.len());
    for (arg, spec) in bound.into_iter().zip(row.args) {
        match arg.or_else(|| spec.default.value().map(Cv::Plain)) {
            Some(arg) => out.push(arg),
            None => return Err(format!(" without its argument `{}`", spec.name)),
        }
    }
    Ok(out)
}

/// The result, when all arguments are plain constants and so is the result.
fn fold(row: &'static OpRow, bound: &[Cv]) -> Option<Value> {
    let mut values = Vec::with_capacity(bound.len());
    for arg in bound {
        match arg {
            Cv::Plain(value) => values.push(value),
            _ => return None,
        }
    }
    match (row.run)(&Args::new(row, &values)) {
        Ok(value @ (Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_))) => Some(value),
        // An error is the running model's: the code may never come here.
        _ => None,
    }
}

/// `List[int]` as `List:int`, `int` and `__torch__.a.B` as they are.
fn type_name(ty: &Expr) -> Option<String> {
    Some(match ty {
        Expr::Name(name) => name.clone(),
        Expr::Attr(base, name) => format!("{}.{name}", type_name(base)?),
        Expr::Index(base, item) => match &**item {
            Expr::Name(item) => format!("{}:{item}", type_name(base)?),
            _ => type_name(base)?,
        },
        _ => return None,
    })
}
