//! Schemes: the type of a native as its row writes it, and the check that an import fits.
//!
//! ```text
//! scheme := ['<' name [':' bound ('+' bound)*] {',' …} '>'] '(' [param {',' param}] ')' '->' type
//! param  := ['&' ['mut']] type
//! type   := '()' | '_' | name ['<' type {',' type} '>'] | '(' type {',' type} ')' | 'fn' '(' types ')' '->' type
//! ```
//!
//! A name is a type parameter, a built-in type, a trait (a dynamic value) or a declared type. `_` fits anything.
//! Bounds that say something about the machine are checked (`Integer`, `Floating`, `Number`, `Scalar`); others are the compiler's.

use crate::types::{TypeInfo, Types};
use stark_bytecode::{NativeImport, TypeDesc, TypeId};

#[derive(Debug)]
pub struct Scheme {
    pub params: Vec<(Type, bool)>,
    pub ret: Type,
    /// Names and bounds.
    pub generics: Vec<(String, Vec<String>)>,
}

#[derive(Debug, PartialEq)]
pub enum Type {
    Any,
    /// A type parameter, by position.
    Param(usize),
    Unit,
    Named(String, Vec<Type>),
    Tuple(Vec<Type>),
    Fn(Vec<Type>, Box<Type>),
}

impl Scheme {
    pub fn parse(text: &str) -> Result<Scheme, String> {
        let mut reader = Reader { rest: text, generics: Vec::new() };
        let scheme = reader.scheme()?;
        reader.skip();
        if reader.rest.is_empty() { Ok(scheme) } else { Err(format!("`{}` is left over in `{text}`", reader.rest)) }
    }

    /// Whether `import` is this native at concrete types; says what is wrong when not.
    pub fn check(&self, import: &NativeImport, types: &'static Types) -> Result<(), String> {
        if import.type_args.len() != self.generics.len() {
            return Err(format!("{} type arguments, found {}", self.generics.len(), import.type_args.len()));
        }
        for ((name, bounds), &arg) in self.generics.iter().zip(&import.type_args) {
            let info = types.get(arg);
            if let Some(bound) = bounds.iter().find(|bound| !fits_bound(bound, info)) {
                return Err(format!("{name} = {info:?} is not {bound}"));
            }
        }
        if import.params.len() != self.params.len() {
            return Err(format!("{} parameters, found {}", self.params.len(), import.params.len()));
        }
        for (i, ((ty, inout), param)) in self.params.iter().zip(&import.params).enumerate() {
            if param.inout != *inout {
                return Err(format!("parameter {i} is {}", if *inout { "`&mut`" } else { "not `&mut`" }));
            }
            if !self.fits(ty, param.ty, import, types) {
                return Err(format!("parameter {i} is {ty:?}, found {:?}", types.get(param.ty)));
            }
        }
        if !self.fits(&self.ret, import.ret, import, types) {
            return Err(format!("the result is {:?}, found {:?}", self.ret, types.get(import.ret)));
        }
        Ok(())
    }

    fn fits(&self, ty: &Type, found: TypeId, import: &NativeImport, types: &'static Types) -> bool {
        let info = types.get(found);
        let all = |wanted: &[Type], found: &[TypeId]| {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, &f)| self.fits(w, f, import, types))
        };
        match (ty, &info.desc) {
            (Type::Any, _) => true,
            // Two rows of a module may describe the same type.
            (Type::Param(i), _) => types.get(import.type_args[*i]).same_as(info),
            (Type::Unit, desc) => *desc == TypeDesc::Unit,
            (Type::Tuple(wanted), TypeDesc::Tuple(found)) => all(wanted, found),
            (Type::Fn(wanted, wanted_ret), TypeDesc::Fn { params, ret }) => {
                all(wanted, params) && self.fits(wanted_ret, *ret, import, types)
            }
            (Type::Named(name, args), desc) => match desc {
                TypeDesc::Vec(t) => name == "Vec" && all(args, &[*t]),
                TypeDesc::Set(t) => name == "Set" && all(args, &[*t]),
                TypeDesc::Map(k, v) => name == "Map" && all(args, &[*k, *v]),
                TypeDesc::Enum { name: found, variants } if plain(found) == name => match name.as_str() {
                    // The two enums natives take apart and build: their payloads are checked too.
                    "Option" | "Result" if !args.is_empty() => {
                        let payload = |variant: &str| {
                            variants.iter().find(|v| v.name == variant).and_then(|v| v.fields.first()).map(|f| f.ty)
                        };
                        let wanted: &[&str] = if name == "Option" { &["Some"] } else { &["Ok", "Err"] };
                        wanted.len() == args.len()
                            && wanted.iter().zip(args).all(|(variant, arg)| {
                                payload(variant).is_some_and(|ty| self.fits(arg, ty, import, types))
                            })
                    }
                    _ => true,
                },
                TypeDesc::Struct { name: found, .. } => plain(found) == name,
                TypeDesc::Actor(actor) => plain(&actor.name) == name,
                TypeDesc::Dyn { trait_name } => plain(trait_name) == name,
                TypeDesc::Opaque { name: found, args: given } => found == name && (args.is_empty() || all(args, given)),
                TypeDesc::Tensor { elem } => {
                    name == "Tensor"
                        && match args.as_slice() {
                            [] | [Type::Any] => true,
                            [Type::Named(arg, _)] => elem.is_some_and(|e| format!("{e:?}") == *arg),
                            // A type parameter that stands for the element type.
                            [Type::Param(_)] => true,
                            _ => false,
                        }
                }
                TypeDesc::Number(kind) => match name.as_str() {
                    "Int64" => kind.name() == "Int",
                    "Float64" => kind.name() == "Float",
                    name => kind.name() == name,
                },
                TypeDesc::Bool | TypeDesc::Duration | TypeDesc::Instant | TypeDesc::Str | TypeDesc::Bytes => {
                    info.name() == *name
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// `Option` of `Option<Int>`.
fn plain(name: &str) -> &str {
    name.split('<').next().unwrap_or(name)
}

fn fits_bound(bound: &str, info: &TypeInfo) -> bool {
    match bound {
        "Integer" => info.number().is_some_and(|k| !k.is_float()),
        "Floating" => info.number().is_some_and(|k| k.is_float()),
        "Number" => info.number().is_some(),
        "Scalar" => !info.is_ref,
        _ => true,
    }
}

struct Reader<'a> {
    rest: &'a str,
    generics: Vec<(String, Vec<String>)>,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn want(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("`{token}` expected before `{}`", self.rest)) }
    }

    fn name(&mut self) -> Result<String, String> {
        self.skip();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        if end == 0 {
            return Err(format!("a name expected before `{}`", self.rest));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name.to_string())
    }

    fn scheme(&mut self) -> Result<Scheme, String> {
        if self.eat("<") {
            loop {
                let name = self.name()?;
                let mut bounds = Vec::new();
                if self.eat(":") {
                    bounds.push(self.name()?);
                    while self.eat("+") {
                        bounds.push(self.name()?);
                    }
                }
                self.generics.push((name, bounds));
                if !self.eat(",") {
                    break;
                }
            }
            self.want(">")?;
        }
        self.want("(")?;
        let mut params = Vec::new();
        while !self.eat(")") {
            let mut inout = false;
            if self.eat("&") {
                inout = self.eat("mut ");
            }
            params.push((self.ty()?, inout));
            if !self.eat(",") {
                self.want(")")?;
                break;
            }
        }
        self.want("->")?;
        let ret = self.ty()?;
        Ok(Scheme { params, ret, generics: std::mem::take(&mut self.generics) })
    }

    fn types(&mut self, end: &str) -> Result<Vec<Type>, String> {
        let mut types = Vec::new();
        while !self.eat(end) {
            types.push(self.ty()?);
            if !self.eat(",") {
                self.want(end)?;
                break;
            }
        }
        Ok(types)
    }

    fn ty(&mut self) -> Result<Type, String> {
        if self.eat("(") {
            let types = self.types(")")?;
            return Ok(if types.is_empty() { Type::Unit } else { Type::Tuple(types) });
        }
        let name = self.name()?;
        if name == "_" {
            return Ok(Type::Any);
        }
        if name == "fn" {
            self.want("(")?;
            let params = self.types(")")?;
            self.want("->")?;
            return Ok(Type::Fn(params, Box::new(self.ty()?)));
        }
        if let Some(i) = self.generics.iter().position(|(generic, _)| *generic == name) {
            return Ok(Type::Param(i));
        }
        let args = if self.eat("<") { self.types(">")? } else { Vec::new() };
        Ok(Type::Named(name, args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stark_bytecode::{FieldDesc, Kind, NativeParam, VariantDesc};

    fn option_of(ty: TypeId) -> TypeDesc {
        let some = VariantDesc { name: "Some".into(), fields: vec![FieldDesc { name: String::new(), ty }] };
        TypeDesc::Enum {
            name: "Option<Int>".into(),
            variants: vec![VariantDesc { name: "None".into(), fields: vec![] }, some],
        }
    }

    #[test]
    fn imports_are_checked_against_schemes() {
        let int = TypeDesc::Number(Kind::Int64);
        let point = |ty: u32| TypeDesc::Struct {
            name: "Point".into(),
            fields: vec![FieldDesc { name: "x".into(), ty: TypeId(ty) }],
        };
        let types = Types::leak(&[
            TypeDesc::Unit,
            int,
            TypeDesc::Str,
            TypeDesc::Vec(TypeId(1)),
            option_of(TypeId(1)),
            point(1),
            point(2),
            point(1),
            TypeDesc::Vec(TypeId(5)),
        ]);
        let import = |type_args: &[u32], params: &[(u32, bool)], ret: u32| NativeImport {
            name: "f".into(),
            type_args: type_args.iter().map(|&t| TypeId(t)).collect(),
            params: params.iter().map(|&(ty, inout)| NativeParam { ty: TypeId(ty), inout }).collect(),
            ret: TypeId(ret),
        };
        for (scheme, import, fits) in [
            ("<T>(&mut Vec<T>, Int, T) -> ()", import(&[1], &[(3, true), (1, false), (1, false)], 0), true),
            ("<T>(&mut Vec<T>, Int, T) -> ()", import(&[2], &[(3, true), (1, false), (2, false)], 0), false),
            ("<T>(Vec<T>) -> Option<T>", import(&[1], &[(3, false)], 4), true),
            ("<T>(Vec<T>) -> Option<T>", import(&[1], &[(3, true)], 4), false),
            ("<T: Integer + Ord>(T) -> T", import(&[1], &[(1, false)], 1), true),
            ("<T: Floating>(T) -> T", import(&[1], &[(1, false)], 1), false),
            // Rows of one name are one type when all their parts are.
            ("<T>(Vec<T>) -> T", import(&[5], &[(8, false)], 7), true),
            ("<T>(Vec<T>) -> T", import(&[5], &[(8, false)], 6), false),
            ("<T>(Vec<T>) -> T", import(&[6], &[(8, false)], 6), false),
            ("(&String, _) -> Int64", import(&[], &[(2, false), (3, false)], 1), true),
            ("(String) -> Float", import(&[], &[(2, false)], 1), false),
        ] {
            let result = Scheme::parse(scheme).expect(scheme).check(&import, types);
            assert_eq!(result.is_ok(), fits, "{scheme}: {result:?}");
        }
    }
}
