//! `file:` addresses and paths.

use lsp_types::Uri;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The path of a `file:` address. `None` for others (a text that was never saved, a file in an archive).
pub fn to_path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let path = match rest.find('/') {
        Some(0) => rest,
        // A host: only this machine's files can be read.
        Some(slash) if &rest[..slash] == "localhost" => &rest[slash..],
        _ => return None,
    };
    let text = decode(path)?;
    // `/c:/x` on Windows.
    let bytes = text.as_bytes();
    let has_drive = cfg!(windows) && bytes.len() > 2 && bytes[2] == b':';
    Some(PathBuf::from(if has_drive { &text[1..] } else { &text }))
}

/// One spelling for each file, whatever an editor escapes.
pub fn normal(uri: &Uri) -> Uri {
    to_path(uri).and_then(|p| of_path(&p)).unwrap_or_else(|| uri.clone())
}

/// The address of an absolute path; `None` for a path that no address can say.
pub fn of_path(path: &Path) -> Option<Uri> {
    let text = path.to_str()?;
    let mut out = String::from("file://");
    if !text.starts_with('/') {
        out.push('/');
    }
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b'\\' if cfg!(windows) => out.push('/'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    Uri::from_str(&out).ok()
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_way_through_an_address() {
        for path in ["/a/b.stark", "/with space/ä#?%.stark"] {
            let uri = of_path(Path::new(path)).expect("an address");
            assert_eq!(to_path(&uri), Some(PathBuf::from(path)));
        }
        for other in ["untitled:Untitled-1", "file://server/x", "file:///%zz"] {
            assert_eq!(Uri::from_str(other).ok().as_ref().and_then(to_path), None, "{other}");
        }
    }
}
