//! The safetensors format: a JSON header of names, dtypes, shapes and byte ranges, then the bytes.
//!
//! A file is checked whole before any tensor is made: no hole, no overlap, no duplicate name, every range as long
//! as its shape says. A dtype without a counterpart here is refused by name when that tensor is asked for.

use std::collections::HashMap;
use std::ops::Range;

use stark_shapes::{DType, Shape, rules};

use crate::error::{Result, TensorError};
use crate::tensor::{Tensor, check_rank};

/// Longer headers are refused.
pub const MAX_HEADER_BYTES: usize = 100_000_000;

const METADATA: &str = "__metadata__";

/// A parsed file over borrowed bytes.
#[derive(Debug)]
pub struct SafeTensors<'a> {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    metadata: Vec<(String, String)>,
    data: &'a [u8],
}

/// One tensor of a file.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// As the file names it: `F32`, `BF16`, `C64` …
    pub dtype: String,
    pub shape: Shape,
    /// Bytes within the data part.
    pub range: Range<usize>,
}

fn dtype_of(name: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|&d| name_of(d) == name)
}

/// How the format writes a dtype.
pub fn name_of(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::I8 => "I8",
        DType::U8 => "U8",
        DType::I16 => "I16",
        DType::I32 => "I32",
        DType::I64 => "I64",
        DType::Bool => "BOOL",
    }
}

/// Bytes per element, also of dtypes that the format has and we have not.
fn size_of_name(name: &str) -> Option<usize> {
    dtype_of(name).map(DType::size).or(match name {
        "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => Some(1),
        "U16" => Some(2),
        "U32" => Some(4),
        "U64" | "C64" => Some(8),
        _ => None,
    })
}

fn bad<T>(text: String) -> Result<T> {
    Err(TensorError::Format(text))
}

impl<'a> SafeTensors<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
        let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
            return bad(format!("safetensors: {} bytes are too few for a header length", bytes.len()));
        };
        let length = u64::from_le_bytes(*length);
        let Some(length) = usize::try_from(length).ok().filter(|&n| n <= MAX_HEADER_BYTES) else {
            return bad(format!("safetensors: a header of {length} bytes passes the limit of {MAX_HEADER_BYTES}"));
        };
        if length > rest.len() {
            return bad(format!("safetensors: the header should have {length} bytes, but {} are left", rest.len()));
        }
        let (header, data) = rest.split_at(length);
        let header = match std::str::from_utf8(header) {
            Ok(text) => text,
            Err(why) => return bad(format!("safetensors: the header is not text: {why}")),
        };
        let mut json = Json { text: header, at: 0 };
        let (mut entries, mut metadata, mut seen_metadata) = (Vec::new(), Vec::new(), false);
        let mut by_name = HashMap::new();
        json.object(|json, name| {
            if name == METADATA {
                if std::mem::replace(&mut seen_metadata, true) {
                    return json.fail("the metadata is there twice");
                }
                return json.object(|json, key| {
                    if metadata.iter().any(|(k, _)| *k == key) {
                        return json.fail(&format!("metadata `{key}` is there twice"));
                    }
                    let value = json.string()?;
                    metadata.push((key, value));
                    Ok(())
                });
            }
            let entry = json.entry(name)?;
            if by_name.insert(entry.name.clone(), entries.len()).is_some() {
                return json.fail(&format!("tensor `{}` is there twice", entry.name));
            }
            entries.push(entry);
            Ok(())
        })?;
        json.end()?;
        check_ranges(&entries, data.len())?;
        Ok(SafeTensors { entries, by_name, metadata, data })
    }

    /// In the order of the header.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the writer noted, in the order of the header.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    pub fn get(&self, name: &str) -> Result<Tensor> {
        match self.by_name.get(name) {
            Some(&i) => self.tensor(&self.entries[i]),
            None => bad(format!("safetensors: no tensor `{name}` in the file")),
        }
    }

    fn tensor(&self, entry: &Entry) -> Result<Tensor> {
        match dtype_of(&entry.dtype) {
            Some(dtype) => Tensor::from_bytes(&self.data[entry.range.clone()], dtype, &entry.shape),
            None => Err(TensorError::Unsupported(format!(
                "safetensors: tensor `{}` has elements {}, which STARK does not have",
                entry.name, entry.dtype
            ))),
        }
    }

    /// Every tensor, in the order of the header.
    pub fn load(&self) -> Result<Vec<(String, Tensor)>> {
        self.entries.iter().map(|e| Ok((e.name.clone(), self.tensor(e)?))).collect()
    }
}

fn check_ranges(entries: &[Entry], data: usize) -> Result<()> {
    for e in entries {
        let Range { start, end } = e.range;
        if start > end || end > data {
            return bad(format!("safetensors: tensor `{}` has bytes {start}..{end} of {data}", e.name));
        }
        let Some(size) = size_of_name(&e.dtype) else {
            return bad(format!("safetensors: tensor `{}` has the unknown dtype {}", e.name, e.dtype));
        };
        let want = rules::numel(&e.shape).ok().and_then(|n| n.checked_mul(size));
        if want != Some(end - start) {
            return bad(format!(
                "safetensors: tensor `{}` of shape {} and dtype {} does not fill {} bytes",
                e.name,
                stark_shapes::show(&e.shape),
                e.dtype,
                end - start
            ));
        }
    }
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|e| (e.range.start, e.range.end));
    let mut at = 0;
    for e in order {
        if e.range.start != at {
            let what = if e.range.start > at { "a hole before" } else { "an overlap with" };
            return bad(format!(
                "safetensors: {what} tensor `{}`: bytes {}..{} after {at}",
                e.name, e.range.start, e.range.end
            ));
        }
        at = e.range.end;
    }
    if at != data {
        return bad(format!("safetensors: {} bytes after the last tensor", data - at));
    }
    Ok(())
}

/// Just the JSON that a header may hold: objects, strings, lists of whole numbers. No recursion to run away with.
struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl Json<'_> {
    fn fail<T>(&self, why: &str) -> Result<T> {
        bad(format!("safetensors: header byte {}: {why}", self.at))
    }

    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, want: u8) -> bool {
        let found = self.peek() == Some(want);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, want: u8) -> Result<()> {
        if self.eat(want) { Ok(()) } else { self.fail(&format!("expected `{}`", char::from(want))) }
    }

    fn end(&mut self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { self.fail("text after the header's object") }
    }

    /// Calls `member` after each `"key":`.
    fn object(&mut self, mut member: impl FnMut(&mut Self, String) -> Result<()>) -> Result<()> {
        self.expect(b'{')?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            member(self, key)?;
            if self.eat(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<String> {
        if self.peek() != Some(b'"') {
            return self.fail("expected a string");
        }
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while bytes.get(end).is_some_and(|&b| b != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        // Escapes and control characters are serde_json's business.
        match self.text.get(self.at..=end).map(serde_json::from_str::<String>) {
            Some(Ok(text)) => {
                self.at = end + 1;
                Ok(text)
            }
            Some(Err(why)) => self.fail(&format!("not a string: {why}")),
            None => self.fail("a string without end"),
        }
    }

    fn numbers(&mut self) -> Result<Vec<usize>> {
        self.expect(b'[')?;
        let mut out = Vec::new();
        if self.eat(b']') {
            return Ok(out);
        }
        loop {
            self.peek();
            let rest = &self.text[self.at..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            match rest[..digits].parse() {
                Ok(n) => out.push(n),
                Err(_) => return self.fail("expected a whole number"),
            }
            self.at += digits;
            if self.eat(b']') {
                return Ok(out);
            }
            self.expect(b',')?;
        }
    }

    fn entry(&mut self, name: String) -> Result<Entry> {
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        self.object(|json, key| {
            let fresh = match key.as_str() {
                "dtype" => dtype.replace(json.string()?).is_none(),
                "shape" => shape.replace(json.numbers()?).is_none(),
                "data_offsets" => offsets.replace(json.numbers()?).is_none(),
                _ => return json.fail(&format!("unknown field `{key}` of tensor `{name}`")),
            };
            if fresh { Ok(()) } else { json.fail(&format!("field `{key}` of tensor `{name}` is there twice")) }
        })?;
        match (dtype, shape, offsets.as_deref()) {
            (Some(dtype), Some(shape), Some(&[start, end])) => {
                check_rank(&shape)?;
                Ok(Entry { name, dtype, shape: shape.into(), range: start..end })
            }
            _ => self.fail(&format!("tensor `{name}` needs dtype, shape and two data_offsets")),
        }
    }
}

/// A file of these tensors, wide dtypes first (so that each is aligned), else in the order given.
pub fn write<'t>(
    tensors: impl IntoIterator<Item = (&'t str, &'t Tensor)>,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>> {
    let mut tensors: Vec<(&str, &Tensor)> = tensors.into_iter().collect();
    tensors.sort_by_key(|(_, t)| std::cmp::Reverse(t.dtype().size()));
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut members = Vec::new();
    let mut seen = std::collections::HashSet::new();
    if !metadata.is_empty() {
        let notes: Vec<String> = metadata.iter().map(|(k, v)| format!("{}:{}", quote(k), quote(v))).collect();
        members.push(format!("{}:{{{}}}", quote(METADATA), notes.join(",")));
    }
    let mut at = 0;
    for (name, t) in &tensors {
        if !seen.insert(*name) || *name == METADATA {
            return bad(format!("safetensors: the name `{name}` is not free"));
        }
        members.push(format!(
            "{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{at},{}]}}",
            quote(name),
            name_of(t.dtype()),
            stark_shapes::show(t.shape()),
            at + t.n_bytes()
        ));
        at += t.n_bytes();
    }
    let mut header = format!("{{{}}}", members.join(","));
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut out = Vec::with_capacity(8 + header.len() + at);
    out.extend_from_slice(&(header.len() as u64).to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    for (_, t) in tensors {
        out.extend_from_slice(&t.to_bytes()?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut out = (header.len() as u64).to_le_bytes().to_vec();
        out.extend_from_slice(header.as_bytes());
        out.resize(out.len() + data, 0);
        out
    }

    fn refusal(bytes: &[u8]) -> String {
        SafeTensors::parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let a = Tensor::from_vec(vec![1.5f32, -2.0, 3.0, 4.0], &[2, 2]).unwrap().t().unwrap();
        let b = Tensor::from_vec(vec![true, false, true], &[3]).unwrap();
        let c = Tensor::from_vec(vec![7i64], &[]).unwrap();
        let e = Tensor::zeros(&[0, 5], DType::F16).unwrap();
        let given = [("b \"\u{e9}\n", &b), ("a", &a), ("c", &c), ("e", &e)];
        let bytes = write(given, &[("by", "test")]).unwrap();
        assert_eq!(bytes.len() % 8, 3);
        let read = SafeTensors::parse(&bytes).unwrap();
        assert_eq!(read.metadata(), [("by".to_string(), "test".to_string())]);
        for (name, want) in given {
            assert_eq!(&read.get(name).unwrap(), want);
        }
        assert_eq!(read.load().unwrap().len(), 4);
        assert!(read.get("z").is_err() && write([("a", &a), ("a", &a)], &[]).is_err());
    }

    #[test]
    fn broken_files_are_refused_with_a_reason() {
        let one = |shape: &str, range: &str| {
            format!(r#"{{"a": {{"dtype": "F32", "shape": {shape}, "data_offsets": {range}}}}}"#)
        };
        let two = |first: &str, second: &str| {
            format!(
                r#"{{"a":{{"dtype":"U8","shape":[2],"data_offsets":{first}}},"b":{{"dtype":"U8","shape":[2],"data_offsets":{second}}}}}"#
            )
        };
        for (header, data, want) in [
            (one("[4]", "[0, 16]"), 8, "bytes 0..16 of 8"),
            (one("[3]", "[0, 8]"), 8, "does not fill 8 bytes"),
            (one("[1099511627776, 1099511627776]", "[0, 8]"), 8, "does not fill"),
            (one("[2]", "[8, 0]"), 8, "bytes 8..0"),
            (one("[2]", "[0, 8]"), 9, "1 bytes after the last tensor"),
            (one("[-2]", "[0, 8]"), 8, "expected a whole number"),
            (one("[2]", "[0]"), 8, "needs dtype, shape and two data_offsets"),
            (two("[0,2]", "[3,5]"), 5, "a hole before tensor `b`"),
            (two("[0,2]", "[1,3]"), 3, "an overlap with tensor `b`"),
            (two("[0,2]", "[2,4]").replace("\"b\"", "\"a\""), 4, "tensor `a` is there twice"),
            (one("[2]", "[0, 8]").replace("F32", "F99"), 8, "unknown dtype F99"),
            (r#"{"a": {"dtype": "F32", "#.into(), 0, "expected a string"),
            (r#"{"a": [[[["#.into(), 0, "expected `{`"),
            ("{} x".into(), 0, "text after"),
            (r#"{"a"#.into(), 0, "a string without end"),
        ] {
            let got = refusal(&file(&header, data));
            assert!(got.contains(want), "{header}: {got}");
        }
        assert!(refusal(&[1, 2]).contains("too few"));
        assert!(refusal(&(1u64 << 60).to_le_bytes()).contains("passes the limit"));
        assert!(refusal(&99u64.to_le_bytes()).contains("0 are left"));
        let bytes = file(&one("[1]", "[0, 8]").replace("F32", "C64"), 8);
        let complex = SafeTensors::parse(&bytes).unwrap();
        assert_eq!(
            complex.get("a").unwrap_err().to_string(),
            "safetensors: tensor `a` has elements C64, which STARK does not have"
        );
    }
}
