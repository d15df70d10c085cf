//! How callers pass values that a graph takes or gives one by one: tuples, lists and dicts of them.

use crate::value::Value;

/// Its depth is bounded by that of the file's JSON.
#[derive(Debug, Clone)]
pub(crate) enum Structure<L> {
    Leaf(L),
    Tuple(Vec<Structure<L>>),
    List(Vec<Structure<L>>),
    /// With the keys that the example had; in its order, which callers need not keep.
    Dict(Vec<(Value, Structure<L>)>),
}

/// What stands at a leaf of an argument.
#[derive(Debug, Clone)]
pub(crate) enum Leaf {
    /// The next input of the graph.
    Input,
    /// What the program was exported with, and holds for.
    Settled(Value),
}

/// What callers pass at one place or by one name.
#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub name: String,
    pub form: Structure<Leaf>,
}

impl Argument {
    /// One that is an input of the graph.
    pub fn input(name: String) -> Argument {
        Argument { name, form: Structure::Leaf(Leaf::Input) }
    }

    /// How many inputs of the graph it is.
    pub fn n_inputs(&self) -> usize {
        self.form.leaves().iter().filter(|leaf| matches!(leaf, Leaf::Input)).count()
    }
}

impl<L> Structure<L> {
    pub fn is_leaf(&self) -> bool {
        matches!(self, Structure::Leaf(_))
    }

    /// In order.
    pub fn leaves(&self) -> Vec<&L> {
        fn collect<'a, L>(structure: &'a Structure<L>, out: &mut Vec<&'a L>) {
            match structure {
                Structure::Leaf(leaf) => out.push(leaf),
                Structure::Tuple(items) | Structure::List(items) => items.iter().for_each(|item| collect(item, out)),
                Structure::Dict(items) => items.iter().for_each(|(_, item)| collect(item, out)),
            }
        }
        let mut out = Vec::new();
        collect(self, &mut out);
        out
    }

    /// With what `change` makes of each leaf and its name, in order: `pair.0`, `table.key`.
    pub fn try_map<M, E>(
        &self,
        name: &str,
        change: &mut dyn FnMut(&L, String) -> Result<M, E>,
    ) -> Result<Structure<M>, E> {
        let mut all = |items: &[Structure<L>]| {
            let items = items.iter().enumerate();
            items.map(|(i, item)| item.try_map(&format!("{name}.{i}"), change)).collect::<Result<Vec<_>, E>>()
        };
        Ok(match self {
            Structure::Tuple(items) => Structure::Tuple(all(items)?),
            Structure::List(items) => Structure::List(all(items)?),
            Structure::Dict(items) => {
                let item = |(key, item): &(Value, Structure<L>)| {
                    Ok((key.clone(), item.try_map(&format!("{name}.{key}"), change)?))
                };
                Structure::Dict(items.iter().map(item).collect::<Result<_, E>>()?)
            }
            Structure::Leaf(leaf) => Structure::Leaf(change(leaf, name.to_string())?),
        })
    }
}

impl Structure<Leaf> {
    /// Takes a caller's value apart into those of the graph's inputs, in order. A list will do for a tuple and the other way round, as
    /// both have a fixed number of items here: files of tensors know no tuples, and a `Vec` no items of several types.
    ///
    /// # Errors
    /// Where it differs and how, as in `[1] is a tensor, not a tuple of 2`.
    pub fn take_apart(&self, value: Value, out: &mut Vec<Option<Value>>) -> Result<(), String> {
        let inside =
            |at: String| move |why: String| format!("{at}{}{why}", if why.starts_with('[') { "" } else { " " });
        let differs = |value: &Value| Err(format!("is {}, not {}", value.kind(), self.kind()));
        match self {
            Structure::Leaf(Leaf::Input) => out.push(Some(value)),
            Structure::Leaf(Leaf::Settled(settled)) if is_same(settled, &value) => {}
            Structure::Leaf(Leaf::Settled(settled)) => {
                return Err(format!("must be {settled}, which the model was exported with"));
            }
            Structure::Tuple(forms) | Structure::List(forms) => {
                let items = match &value {
                    Value::Tuple(tuple) => tuple.items.clone(),
                    Value::List(list) => list.items().clone(),
                    other => return differs(other),
                };
                if items.len() != forms.len() {
                    return Err(format!("has {} items, not {}", items.len(), forms.len()));
                }
                for (i, (form, item)) in forms.iter().zip(items).enumerate() {
                    form.take_apart(item, out).map_err(inside(format!("[{i}]")))?;
                }
            }
            Structure::Dict(forms) => {
                let Value::Dict(dict) = &value else { return differs(&value) };
                for (key, form) in forms {
                    let Some(item) = dict.get(key) else { return Err(format!("has no item {}", shown(key))) };
                    form.take_apart(item, out).map_err(inside(format!("[{}]", shown(key))))?;
                }
                if dict.items().len() > forms.len() {
                    let is_odd = |(key, _): &&(Value, Value)| !forms.iter().any(|(known, _)| known.same_key(key));
                    let odd = dict.items().iter().find(is_odd).map(|(key, _)| shown(key)).unwrap_or_default();
                    let keys: Vec<String> = forms.iter().map(|(key, _)| shown(key)).collect();
                    return Err(format!("has an item {odd}, and the model takes {}", keys.join(", ")));
                }
            }
        }
        Ok(())
    }

    fn kind(&self) -> String {
        match self {
            Structure::Leaf(_) => "one value".into(),
            Structure::Tuple(items) => format!("a tuple of {}", items.len()),
            Structure::List(items) => format!("a list of {}", items.len()),
            Structure::Dict(_) => "a dict".into(),
        }
    }

    /// As Python writes it, with what `inputs` gives for each input of the graph in turn.
    pub fn show(&self, inputs: &mut dyn Iterator<Item = String>) -> String {
        let mut all =
            |items: &[Structure<Leaf>]| -> Vec<String> { items.iter().map(|item| item.show(inputs)).collect() };
        match self {
            Structure::Leaf(Leaf::Input) => inputs.next().unwrap_or_default(),
            Structure::Leaf(Leaf::Settled(value)) => shown(value),
            Structure::Tuple(items) if items.len() == 1 => format!("({},)", all(items)[0]),
            Structure::Tuple(items) => format!("({})", all(items).join(", ")),
            Structure::List(items) => format!("[{}]", all(items).join(", ")),
            Structure::Dict(items) => {
                let items = items.iter().map(|(key, item)| format!("{}: {}", shown(key), item.show(inputs)));
                format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// Whether a caller's value is what was settled; a tensor of one element is its number.
fn is_same(settled: &Value, given: &Value) -> bool {
    match (settled, given) {
        (Value::None, Value::None) => true,
        (Value::Str(a), Value::Str(b)) => a == b,
        (settled, given) => match (settled.scalar(), given.scalar()) {
            (Some(a), Some(b)) => a.to_f64() == b.to_f64() && a.to_i64() == b.to_i64(),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Structure<Leaf> {
        Structure::Leaf(Leaf::Input)
    }

    #[test]
    fn values_are_taken_apart_or_say_where_they_differ() {
        let pair = Structure::Tuple(vec![input(), Structure::Leaf(Leaf::Settled(Value::Int(3)))]);
        let form = Structure::Dict(vec![(Value::str("pair"), pair), (Value::str("x"), input())]);
        let mut names = ["int", "Tensor"].into_iter().map(String::from);
        assert_eq!(form.show(&mut names), r#"{"pair": (int, 3), "x": Tensor}"#);
        let tuple = |items: Vec<Value>| Value::tuple(items).unwrap();
        let dict =
            |pair: Value| Value::dict(vec![(Value::str("x"), Value::Int(2)), (Value::str("pair"), pair)]).unwrap();
        let pair = || tuple(vec![Value::Int(1), Value::Int(3)]);
        let apart = |value: Value| {
            let mut out = Vec::new();
            form.take_apart(value, &mut out).map(|()| out.into_iter().flatten().collect::<Vec<_>>())
        };
        let got = apart(dict(pair())).unwrap();
        assert!(matches!(got[..], [Value::Int(1), Value::Int(2)]), "{got:?}");
        assert!(apart(dict(Value::list(vec![Value::Int(1), Value::Int(3)]).unwrap())).is_ok());
        for (value, why) in [
            (Value::Int(1), "is an int, not a dict"),
            (dict(Value::Int(1)), "[\"pair\"] is an int, not a tuple of 2"),
            (dict(tuple(vec![Value::Int(1)])), "[\"pair\"] has 1 items, not 2"),
            (
                dict(tuple(vec![Value::Int(1), Value::Int(4)])),
                "[\"pair\"][1] must be 3, which the model was exported with",
            ),
            (Value::dict(vec![(Value::str("x"), Value::Int(2))]).unwrap(), "has no item \"pair\""),
            (
                Value::dict(["x", "pair", "y"].map(|key| (Value::str(key), pair())).to_vec()).unwrap(),
                "has an item \"y\", and the model takes \"pair\", \"x\"",
            ),
        ] {
            assert_eq!(apart(value).unwrap_err(), why);
        }
    }
}
