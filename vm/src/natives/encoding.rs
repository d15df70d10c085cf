//! Bytes as text: Base64, Base32 and hexadecimal, and UTF-8 with gaps.

use super::support::{Outcome, answers};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::value::Value;
use data_encoding::{BASE32, BASE64, BASE64URL, BASE64URL_NOPAD, DecodeKind, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE};

pub(super) const TABLE: &[NativeRow] = answers! {
    encoding_encode "(String, Bytes) -> String";
    encoding_decode "(String, String) -> Bytes";
    bytes_decode_lossy "(Bytes) -> String";
};

fn encoding(name: &str) -> Result<Encoding, Fault> {
    Ok(match name {
        "base64" => BASE64,
        "base64url" => BASE64URL,
        "base64url without padding" => BASE64URL_NOPAD,
        "base32" => BASE32,
        "hex" => HEXLOWER,
        "hex of any case" => HEXLOWER_PERMISSIVE,
        _ => return Err(Fault::value(format!("there is no encoding {name:?}"))),
    })
}

fn encoding_encode(cx: &NativeCx<'_>) -> Outcome {
    let (encoding, bytes) = (encoding(cx.str(0))?, cx.bytes(1));
    cx.reserve(bytes.len().saturating_mul(2))?;
    Ok(Value::str(encoding.encode(bytes)))
}

fn encoding_decode(cx: &NativeCx<'_>) -> Outcome {
    let (name, text) = (cx.str(0), cx.str(1));
    cx.reserve(text.len())?;
    let bytes = encoding(name)?.decode(text.as_bytes()).map_err(|e| {
        // Characters, as the program counts them; a position inside one belongs to it.
        let at = text.char_indices().take_while(|(i, _)| *i <= e.position).count().saturating_sub(1);
        let what = match e.kind {
            DecodeKind::Length => "the text ends too early".to_string(),
            DecodeKind::Symbol => {
                format!("{:?} does not belong there", text.chars().nth(at).unwrap_or_default())
            }
            DecodeKind::Trailing => "bits are left over".to_string(),
            DecodeKind::Padding => "the padding is wrong".to_string(),
        };
        let name = name.split(' ').next().unwrap_or(name);
        Fault::value(format!("not {name}: {what} at character {at}"))
    })?;
    Ok(Value::bytes(bytes))
}

fn bytes_decode_lossy(cx: &NativeCx<'_>) -> Outcome {
    // A byte that is none becomes a character of three.
    cx.reserve(cx.bytes(0).len().saturating_mul(3))?;
    Ok(Value::str(String::from_utf8_lossy(cx.bytes(0))))
}
