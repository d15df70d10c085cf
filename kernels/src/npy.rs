//! NumPy's `.npy` files: one tensor, behind a header that is a Python dict.
//!
//! ```text
//! "\x93NUMPY" major minor  length of the header (2 bytes; 4 from version 2 on)
//! {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   blanks, line feed    the elements
//! ```
//!
//! Nothing in the header is evaluated: it is the three keys in any order, or it is refused. Arrays of objects, which hold a pickle, are too.

use crate::error::{Result, TensorError};
use crate::tensor::{Tensor, check_rank};
use stark_shapes::{DType, rules};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Data begins at a multiple of it, as NumPy writes.
const ALIGNMENT: usize = 64;

/// NumPy's letters for each element type it has; it has no bfloat16.
const DTYPES: [(&str, DType); 9] = [
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
    ("i1", DType::I8),
    ("u1", DType::U8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("b1", DType::Bool),
];

/// Of whole numbers without a sign, which are held in the next wider type, as `load_tensors` does.
const UNSIGNED: [(&str, usize, DType); 3] = [("u2", 2, DType::I32), ("u4", 4, DType::I64), ("u8", 8, DType::I64)];

/// Little-endian whole numbers of `size` bytes without a sign: the tensor of the next wider type with their values.
pub fn from_unsigned(data: &[u8], size: usize, shape: &[usize]) -> Result<Tensor> {
    match size {
        2 => Tensor::from_vec(data.as_chunks().0.iter().map(|b| i32::from(u16::from_le_bytes(*b))).collect(), shape),
        4 => Tensor::from_vec(data.as_chunks().0.iter().map(|b| i64::from(u32::from_le_bytes(*b))).collect(), shape),
        _ => {
            let number = |b: &[u8; 8]| {
                let x = u64::from_le_bytes(*b);
                i64::try_from(x)
                    .map_err(|_| TensorError::Format(format!("the unsigned number {x} does not fit in an Int64")))
            };
            Tensor::from_vec(data.as_chunks().0.iter().map(number).collect::<Result<Vec<i64>>>()?, shape)
        }
    }
}

fn bad<T>(why: impl Into<String>) -> Result<T> {
    Err(TensorError::Format(format!("npy: {}", why.into())))
}

/// The tensor in the bytes of a file.
pub fn parse(bytes: &[u8]) -> Result<Tensor> {
    let Some(&[major, minor]) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()) else {
        return bad("the file does not begin with \\x93NUMPY and a version");
    };
    let width = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return bad(format!("version {major}.{minor} is not known; 1.0, 2.0 and 3.0 are")),
    };
    let begin = MAGIC.len() + 2 + width;
    let Some(length) = bytes.get(begin - width..begin) else {
        return bad(format!("the file ends after {} bytes, within its header", bytes.len()));
    };
    let length = length.iter().rev().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
    let Some(header) = begin.checked_add(length).and_then(|end| bytes.get(begin..end)) else {
        return bad(format!(
            "the header states {length} bytes, the file has {} behind byte {begin}",
            bytes.len() - begin
        ));
    };
    let Ok(header) = std::str::from_utf8(header) else { return bad("the header is not UTF-8") };
    let header = Reader { text: header, at: 0, base: begin }.header()?;

    let data = &bytes[begin + length..];
    let mut shape = header.shape;
    check_rank(&shape)?;
    let n = rules::numel(&shape)?;
    let size = header.unsigned.unwrap_or(header.dtype.size());
    if n.checked_mul(size) != Some(data.len()) {
        let shape = stark_shapes::show(&shape);
        return bad(format!("{} bytes of data are not shape {shape} of {}", data.len(), header.dtype));
    }
    // In Fortran's order the first axis lies closest: the transposed tensor in ours.
    if header.is_fortran {
        shape.reverse();
    }
    let swapped: Vec<u8>;
    let data = if header.is_big_endian && size > 1 {
        swapped = data.chunks_exact(size).flat_map(|word| word.iter().rev().copied()).collect();
        &swapped
    } else {
        data
    };
    let t = match header.unsigned {
        Some(size) => from_unsigned(data, size, &shape)?,
        None => Tensor::from_bytes(data, header.dtype, &shape)?,
    };
    if !header.is_fortran {
        return Ok(t);
    }
    let order: Vec<i64> = (0..shape.len() as i64).rev().collect();
    t.permute(&order)
}

/// The file of a tensor, version 1.0 in row-major order.
pub fn write(t: &Tensor) -> Result<Vec<u8>> {
    let Some((letters, dtype)) = DTYPES.iter().find(|(_, dtype)| *dtype == t.dtype()) else {
        return bad(format!("NumPy has no {}: convert with to(Float32)", t.dtype()));
    };
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let sizes: String = t.shape().iter().map(|size| format!("{size}, ")).collect();
    let sizes = if t.rank() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut header = format!("{{'descr': '{order}{letters}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // A tensor has at most `MAX_RANK` axes, so 2 bytes hold the length.
    let begin = MAGIC.len() + 4;
    let blanks = (begin + header.len() + 1).next_multiple_of(ALIGNMENT) - begin - header.len() - 1;
    header.push_str(&" ".repeat(blanks));
    header.push('\n');
    let mut out = Vec::with_capacity(begin + header.len() + t.n_bytes());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&(header.len() as u16).to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&t.to_bytes()?);
    Ok(out)
}

struct Header {
    dtype: DType,
    /// The size of a number in the file, where that has no sign and `dtype` is a wider one.
    unsigned: Option<usize>,
    is_big_endian: bool,
    is_fortran: bool,
    shape: Vec<usize>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where the header begins in the file.
    base: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, expected: &str) -> Result<T> {
        bad(format!("expected {expected} at byte {}", self.base + self.at))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Whether `token` comes next, behind blanks; takes it.
    fn takes(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.takes(token) { Ok(()) } else { self.fail(&format!("`{token}`")) }
    }

    fn string(&mut self) -> Result<&'a str> {
        let quote = if self.takes("'") {
            '\''
        } else if self.takes("\"") {
            '"'
        } else {
            return self.fail("a text in quotes");
        };
        let rest = self.rest();
        match rest.find(quote) {
            Some(end) => {
                self.at += end + 1;
                Ok(&rest[..end])
            }
            None => self.fail("the end of a text"),
        }
    }

    fn header(mut self) -> Result<Header> {
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        self.expect("{")?;
        while !self.takes("}") {
            let key = self.string()?;
            self.expect(":")?;
            let is_new = match key {
                "descr" => descr.replace(self.descr()?).is_none(),
                "fortran_order" => is_fortran.replace(self.bool()?).is_none(),
                "shape" => shape.replace(self.shape()?).is_none(),
                _ => return self.fail("the keys descr, fortran_order and shape before"),
            };
            if !is_new {
                return self.fail(&format!("`{key}` only once before"));
            }
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        self.blanks();
        if !self.rest().is_empty() {
            return self.fail("nothing behind the header");
        }
        match (descr, is_fortran, shape) {
            (Some((dtype, unsigned, is_big_endian)), Some(is_fortran), Some(shape)) => {
                Ok(Header { dtype, unsigned, is_big_endian, is_fortran, shape })
            }
            _ => self.fail("the keys descr, fortran_order and shape before"),
        }
    }

    /// The element type, the size in the file when that is another, and whether bytes lie the other way round.
    fn descr(&mut self) -> Result<(DType, Option<usize>, bool)> {
        if self.takes("[") {
            return bad("an array of records has no one element type");
        }
        let text = self.string()?;
        let (order, letters) = text.split_at_checked(1).unwrap_or_default();
        let plain = DTYPES.iter().find(|(known, _)| *known == letters).map(|(_, dtype)| (*dtype, None));
        let unsigned = UNSIGNED.iter().find(|(known, ..)| *known == letters);
        match plain.or(unsigned.map(|(_, size, dtype)| (*dtype, Some(*size)))) {
            Some((dtype, size)) if ["<", ">", "|", "="].contains(&order) => Ok((dtype, size, order == ">")),
            _ if letters == "O" => bad("an array of objects holds a pickle, which is not run"),
            _ => bad(format!("no tensor has elements of NumPy's type {text:?}: convert with astype")),
        }
    }

    fn bool(&mut self) -> Result<bool> {
        if self.takes("True") {
            return Ok(true);
        }
        if self.takes("False") { Ok(false) } else { self.fail("True or False") }
    }

    fn shape(&mut self) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        self.expect("(")?;
        while !self.takes(")") {
            let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
            let Ok(size) = self.rest()[..digits].parse() else { return self.fail("a size") };
            self.at += digits;
            sizes.push(size);
            if !self.takes(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn refusal(bytes: &[u8]) -> String {
        parse(bytes).expect_err("refused").to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let numbers = Tensor::from_vec((0..24).collect::<Vec<i64>>(), &[2, 3, 4]).unwrap();
        for (_, dtype) in DTYPES {
            for t in [&numbers, &numbers.permute(&[2, 0, 1]).unwrap(), &numbers.reshape(&[24]).unwrap()] {
                let t = t.to(dtype).unwrap();
                let bytes = write(&t).unwrap();
                let back = parse(&bytes).unwrap();
                assert_eq!((back.dtype(), back.shape()), (dtype, t.shape()));
                assert_eq!(back.to_scalars(), t.to_scalars());
                assert_eq!((bytes.len() - t.n_bytes()) % ALIGNMENT, 0);
            }
        }
        let scalar = parse(&write(&Tensor::scalar(1.5f32)).unwrap()).unwrap();
        assert_eq!((scalar.rank(), scalar.item().unwrap().to_f64()), (0, 1.5));
        let none = parse(&write(&Tensor::zeros(&[0, 3], DType::F32).unwrap()).unwrap()).unwrap();
        assert_eq!(none.shape(), [0, 3]);
    }

    #[test]
    fn the_header_is_numpys() {
        // numpy.save of numpy.array([[1, 2]], dtype=numpy.int16).
        let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (1, 2), }";
        let mut want = file(&format!("{header:<117}\n"), &[1, 0, 2, 0]);
        assert_eq!(write(&Tensor::from_vec(vec![1i16, 2], &[1, 2]).unwrap()).unwrap(), want);
        // Big-endian, and in Fortran's order.
        want = file("{'shape': (2, 2), 'fortran_order': True, 'descr': '>i2'}\n", &[0, 1, 0, 2, 0, 3, 0, 4]);
        let t = parse(&want).unwrap();
        assert_eq!(t.to_vec::<i16>().unwrap(), [1, 3, 2, 4]);
    }

    #[test]
    fn numbers_without_a_sign_come_in_the_next_wider_type() {
        let of = |descr: &str, n: usize, data: &[u8]| {
            parse(&file(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({n},)}}"), data))
        };
        let numbers = |t: Tensor| t.to_scalars().iter().map(|x| x.to_f64()).collect::<Vec<_>>();
        let t = of("<u2", 2, &[0xff, 0xff, 1, 0]).unwrap();
        assert_eq!((t.dtype(), numbers(t)), (DType::I32, vec![65535.0, 1.0]));
        let t = of(">u4", 1, &[0x80, 0, 0, 1]).unwrap();
        assert_eq!((t.dtype(), numbers(t)), (DType::I64, vec![2147483649.0]));
        let t = of("<u8", 1, &[1, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!((t.dtype(), numbers(t)), (DType::I64, vec![1.0]));
        assert!(of("<u8", 1, &[0xff; 8]).unwrap_err().to_string().contains("does not fit in an Int64"));
    }

    #[test]
    fn a_cut_or_forged_file_is_refused_with_its_place() {
        let bytes = write(&Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]).unwrap()).unwrap();
        for n in 0..bytes.len() {
            assert!(parse(&bytes[..n]).is_err(), "{n} bytes");
        }
        for i in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[i] ^= 1 << bit;
                // What is still a file is one of as many bytes.
                if let Ok(t) = parse(&flipped) {
                    assert!(t.n_bytes() <= 12);
                }
            }
        }
        let of = |header: &str| refusal(&file(header, &[]));
        assert_eq!(of("{'descr': '|O', "), "npy: an array of objects holds a pickle, which is not run");
        assert_eq!(of("{'descr': '<c8', "), "npy: no tensor has elements of NumPy's type \"<c8\": convert with astype");
        assert_eq!(of("{'descr': [('x', '<f4')]}"), "npy: an array of records has no one element type");
        assert_eq!(of("{'shape': (1, x)}"), "npy: expected a size at byte 24");
        let overflow = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}";
        assert!(parse(&file(overflow, &[])).is_err());
        assert_eq!(
            refusal(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", &[0; 8])),
            "npy: 8 bytes of data are not shape [3] of Float32"
        );
    }
}
