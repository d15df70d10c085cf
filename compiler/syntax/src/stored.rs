//! Syntax trees as bytes: how the library's trees, made when STARK is built, travel in its binary.
//!
//! Each different name is written once, in front, and is an index in the tree; a place is a start and a length, because which
//! source the tree is of is only known when it is read back. The bytes are for the binary that holds them: they have no version.

use crate::ast::Module;
use crate::parser::Parse;
use crate::source::{SourceId, Span};
use hashbrown::HashMap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::rc::Rc;

/// A tree that was read back.
#[derive(Debug)]
pub struct Stored {
    pub module: Module,
    /// As in [`Parse`].
    pub module_names: Vec<Rc<str>>,
}

/// What is written: the names' bytes stand in one text, cut by their lengths.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    names: &'a str,
    lengths: Vec<u32>,
    module_names: Vec<u32>,
}

/// What the nodes share while a tree is written or read. Serde's derives have no place for it, so it stands beside them.
#[derive(Default)]
struct Shared {
    source: SourceId,
    names: Vec<Rc<str>>,
    known: HashMap<Rc<str>, u32>,
}

impl Shared {
    fn index(&mut self, name: &Rc<str>) -> u32 {
        if let Some(index) = self.known.get(name) {
            return *index;
        }
        let index = self.names.len() as u32;
        self.names.push(name.clone());
        self.known.insert(name.clone(), index);
        index
    }
}

thread_local! {
    static SHARED: RefCell<Shared> = RefCell::default();
}

/// The bytes of a parsed source; what was diagnosed and the comments are not kept.
pub fn write(parse: &Parse) -> Result<Vec<u8>, postcard::Error> {
    SHARED.take();
    let tree = postcard::to_stdvec(&parse.module);
    let mut shared = SHARED.take();
    let tree = tree?;
    let mut module_names: Vec<u32> = parse.module_names.iter().map(|name| shared.index(name)).collect();
    // The parser gives them in no order; equal sources have equal bytes.
    module_names.sort_unstable_by(|a, b| shared.names[*a as usize].cmp(&shared.names[*b as usize]));
    let lengths = shared.names.iter().map(|name| name.len() as u32).collect();
    let header = Header { names: &shared.names.concat(), lengths, module_names };
    let mut bytes = postcard::to_stdvec(&header)?;
    bytes.extend(tree);
    Ok(bytes)
}

/// Reads back what [`write`] gave, as the tree of `source`.
pub fn read(bytes: &[u8], source: SourceId) -> Result<Stored, postcard::Error> {
    let (header, tree) = postcard::take_from_bytes::<Header>(bytes)?;
    let mut rest = header.names;
    let mut names: Vec<Rc<str>> = Vec::with_capacity(header.lengths.len());
    for length in &header.lengths {
        let (name, after) = rest.split_at_checked(*length as usize).ok_or(postcard::Error::DeserializeBadEncoding)?;
        names.push(name.into());
        rest = after;
    }
    let name_at = |index: &u32| names.get(*index as usize).cloned().ok_or(postcard::Error::DeserializeBadEncoding);
    let module_names = header.module_names.iter().map(name_at).collect::<Result<_, _>>()?;
    SHARED.set(Shared { source, names, known: HashMap::new() });
    let module = postcard::from_bytes(tree);
    SHARED.take();
    Ok(Stored { module: module?, module_names })
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.start, self.end.wrapping_sub(self.start)).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let (start, length) = <(u32, u32)>::deserialize(from)?;
        let source = SHARED.with_borrow(|shared| shared.source);
        Ok(Span { source, start, end: start.wrapping_add(length) })
    }
}

fn stored_name<E: serde::de::Error>(index: u32) -> Result<Rc<str>, E> {
    let name = SHARED.with_borrow(|shared| shared.names.get(index as usize).cloned());
    name.ok_or_else(|| E::custom("a name that is not in the list"))
}

/// A name, by its index.
pub(crate) mod name {
    use super::*;

    pub fn serialize<S: Serializer>(name: &Rc<str>, to: S) -> Result<S::Ok, S::Error> {
        SHARED.with_borrow_mut(|shared| shared.index(name)).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Rc<str>, D::Error> {
        stored_name(u32::deserialize(from)?)
    }
}

/// A name that may be missing.
pub(crate) mod maybe_name {
    use super::*;

    pub fn serialize<S: Serializer>(name: &Option<Rc<str>>, to: S) -> Result<S::Ok, S::Error> {
        name.as_ref().map(|name| SHARED.with_borrow_mut(|shared| shared.index(name))).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Rc<str>>, D::Error> {
        Option::<u32>::deserialize(from)?.map(stored_name).transpose()
    }
}

/// The bytes of a literal.
pub(crate) mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &Rc<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Rc<[u8]>, D::Error> {
        <&[u8]>::deserialize(from).map(Rc::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "import a.b as c\n\n/// Doc.\nfn f<T: Show>(x: T, n: Int = 0x10u8) -> Vec<T>:\n    let s = f\"{x:>{n}} é\"\n    \
                        return [b\"\\xff\", 1.5f32, 2s, ..rest]\n";

    #[test]
    fn a_tree_is_read_back_as_it_was_for_another_source() {
        let bytes = write(&crate::parse(TEXT, SourceId(0))).unwrap();
        let read = read(&bytes, SourceId(7)).unwrap();
        let fresh = crate::parse(TEXT, SourceId(7));
        assert_eq!(format!("{:?}", read.module), format!("{:?}", fresh.module));
        let mut names = fresh.module_names;
        names.sort();
        assert_eq!(read.module_names, names);
    }

    #[test]
    fn cut_bytes_are_an_error() {
        let bytes = write(&crate::parse(TEXT, SourceId(0))).unwrap();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end], SourceId(0)).is_err(), "{end} of {}", bytes.len());
        }
    }
}
