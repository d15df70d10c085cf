//! A small HTTP/1.1 client over plain TCP: one request a connection, bounded in time and size. Runs on a thread that may block.
//!
//! Encrypted addresses (`https`) are refused with an error that says so.

use super::support::{blocking, size};
use super::{NativeCx, NativeResult, NativeRow, natives};
use crate::fault::Fault;
use crate::task::WaitReason;
use crate::value::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

pub(super) const TABLE: &[NativeRow] = natives! {
    http_request "(String, String, Bytes, Map<String, String>, Duration, Int) -> (Int, Map<String, String>, Bytes)" [suspends, Network];
};

fn http_request(cx: &mut NativeCx<'_>) -> NativeResult {
    let begin = |cx: &NativeCx<'_>| {
        let request = Request {
            method: cx.str(0).to_string(),
            url: cx.str(1).to_string(),
            body: cx.bytes(2).to_vec(),
            headers: cx.map(3).iter().map(|(name, value)| (name.str().to_string(), value.str().to_string())).collect(),
            timeout: Duration::from_nanos(u64::try_from(cx.int(4)).unwrap_or(0)),
            max_body: size(cx.int(5), "the largest answer")? as u64,
        };
        Ok(move || send(&request).map_err(|why| format!("{} {}: {why}", request.method, request.url)))
    };
    blocking(cx, WaitReason::Network, begin, |cx, answer: Result<Answer, String>| {
        let answer = answer.map_err(Fault::io)?;
        cx.reserve(answer.body.len())?;
        let ret = cx.ret_type();
        let mut headers = Value::map(ret.field(0, 1));
        for (name, value) in answer.headers {
            headers.map_mut().insert(Value::str(name), Value::str(value));
        }
        Ok(Value::fields(ret, [Value::int(answer.status.into()), headers, Value::bytes(answer.body)]))
    })
}

/// The status line and headers together; servers refuse far less.
pub const MAX_HEAD_BYTES: u64 = 1 << 20;
/// Like browsers, though a little stricter.
pub const MAX_REDIRECTS: usize = 10;

#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub timeout: Duration,
    /// An answer with a longer body is refused.
    pub max_body: u64,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case; values of repeated ones joined by `, `.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// `http://host:port/path` taken apart.
#[derive(Debug, PartialEq)]
struct Address {
    host: String,
    port: u16,
    /// Path and query.
    target: String,
}

impl Address {
    fn parse(url: &str) -> Result<Address, String> {
        if url.starts_with("https://") {
            return Err("https is not built in; put a proxy that speaks http before it".into());
        }
        let rest = url.strip_prefix("http://").ok_or("the address does not begin with http://")?;
        if rest.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err("the address holds blanks or control characters".into());
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(at);
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}") };
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        // `[::1]:80`: the colons inside the brackets are part of the host.
        let after_bracket = authority.rfind(']').map_or(0, |i| i + 1);
        let (host, port) = match authority[after_bracket..].rfind(':') {
            Some(i) => {
                let (host, port) = authority.split_at(after_bracket + i);
                (host, port[1..].parse().map_err(|_| format!("{:?} is not a port", &port[1..]))?)
            }
            None => (authority, 80),
        };
        if host.is_empty() {
            return Err("the address names no host".into());
        }
        Ok(Address { host: host.into(), port, target })
    }
}

/// Sends the request and follows redirects. The error says what went wrong, without the address.
pub fn send(request: &Request) -> Result<Answer, String> {
    let deadline = Instant::now() + request.timeout.min(Duration::from_secs(24 * 3600));
    let mut address = Address::parse(&request.url)?;
    let (mut method, mut body) = (request.method.clone(), request.body.as_slice());
    for _ in 0..=MAX_REDIRECTS {
        let answer = exchange(&address, &method, body, request, deadline)?;
        let location = answer.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.clone());
        match (answer.status, location) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                if answer.status <= 303 && method != "GET" && method != "HEAD" {
                    (method, body) = ("GET".into(), &[]);
                }
                address = match location.strip_prefix('/') {
                    Some(_) if !location.starts_with("//") => Address { target: location, ..address },
                    _ => Address::parse(&location).map_err(|e| format!("redirected to {location:?}: {e}"))?,
                };
            }
            _ => return Ok(answer),
        }
    }
    Err(format!("more than {MAX_REDIRECTS} redirects"))
}

fn left(deadline: Instant) -> Result<Duration, String> {
    deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()).ok_or_else(|| "no answer in time".into())
}

fn words(e: std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "no answer in time".into(),
        std::io::ErrorKind::UnexpectedEof => "the connection closed before the answer's end".into(),
        _ => {
            let text = e.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}

/// Reads no longer than until the deadline, however slowly the bytes come.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = left(self.deadline).map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?;
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buf)
    }
}

fn exchange(
    address: &Address,
    method: &str,
    body: &[u8],
    request: &Request,
    deadline: Instant,
) -> Result<Answer, String> {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    if !is_token(method) {
        return Err(format!("{method:?} is not a method"));
    }
    let mut head = format!("{method} {} HTTP/1.1\r\n", address.target);
    let headers = &request.headers;
    let given = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !given("host") {
        let port = if address.port == 80 { String::new() } else { format!(":{}", address.port) };
        head += &format!("host: {}{port}\r\n", address.host);
    }
    if !given("user-agent") {
        head += "user-agent: stark\r\n";
    }
    for (name, value) in headers {
        if !is_token(name) || value.bytes().any(|b| b < b' ' && b != b'\t') {
            return Err(format!("the header {name:?} holds characters that a header cannot"));
        }
        if !["content-length", "connection", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            head += &format!("{name}: {value}\r\n");
        }
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    head += "connection: close\r\n\r\n";

    let host = address.host.trim_start_matches('[').trim_end_matches(']');
    let found = (host, address.port).to_socket_addrs().map_err(|e| format!("host {host}: {}", words(e)))?;
    let mut stream = Err(format!("host {host} has no address"));
    for socket in found {
        stream = TcpStream::connect_timeout(&socket, left(deadline)?).map_err(|e| format!("{socket}: {}", words(e)));
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream?;
    stream.set_write_timeout(Some(left(deadline)?)).map_err(words)?;
    let _ = stream.set_nodelay(true);
    stream.write_all(head.as_bytes()).map_err(words)?;
    stream.write_all(body).map_err(words)?;
    read_answer(BufReader::new(Timed { stream, deadline }), method == "HEAD", request.max_body)
}

fn line(from: &mut impl BufRead) -> Result<String, String> {
    let mut line = Vec::new();
    from.take(MAX_HEAD_BYTES).read_until(b'\n', &mut line).map_err(words)?;
    if line.pop() != Some(b'\n') {
        return Err("the connection closed before the answer's end".into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    // Headers are Latin-1 on the wire where they are not UTF-8.
    Ok(String::from_utf8(line).unwrap_or_else(|e| e.into_bytes().iter().map(|&b| b as char).collect()))
}

fn read_answer(mut from: impl BufRead, no_body: bool, max_body: u64) -> Result<Answer, String> {
    let (status, headers) = loop {
        let (status, headers) = read_head(&mut from)?;
        // 1xx answers announce the one that counts.
        if status >= 200 {
            break (status, headers);
        }
    };
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let mut body = Vec::new();
    if no_body || status == 204 || status == 304 {
        return Ok(Answer { status, headers, body });
    }
    if header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked")) {
        loop {
            let size = line(&mut from)?;
            let digits = size.split(';').next().unwrap_or("").trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| format!("{digits:?} is not a chunk's size"))?;
            if size == 0 {
                break;
            }
            take(&mut from, size, &mut body, max_body)?;
            line(&mut from)?;
        }
    } else if let Some(length) = header("content-length") {
        let length = length.trim().parse().map_err(|_| format!("{length:?} is not a content length"))?;
        take(&mut from, length, &mut body, max_body)?;
    } else {
        let n = from.take(max_body.saturating_add(1)).read_to_end(&mut body).map_err(words)?;
        if n as u64 > max_body {
            return Err(format!("the answer is longer than {max_body} bytes"));
        }
    }
    Ok(Answer { status, headers, body })
}

fn read_head(from: &mut impl BufRead) -> Result<(u16, Vec<(String, String)>), String> {
    let first = line(from)?;
    let mut parts = first.splitn(3, ' ');
    let status = match (parts.next(), parts.next()) {
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => status.parse::<u16>().ok(),
        _ => None,
    };
    let status = status.filter(|s| (100..600).contains(s)).ok_or("the answer is not HTTP/1.x")?;
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut bytes = 0;
    loop {
        let text = line(from)?;
        if text.is_empty() {
            return Ok((status, headers));
        }
        bytes += text.len() as u64;
        if bytes > MAX_HEAD_BYTES {
            return Err(format!("the answer's headers are longer than {MAX_HEAD_BYTES} bytes"));
        }
        let Some((name, value)) = text.split_once(':') else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match headers.iter_mut().find(|(n, _)| *n == name) {
            Some((_, values)) => *values += &format!(", {value}"),
            None => headers.push((name, value.into())),
        }
    }
}

/// Appends exactly `n` bytes, which are asked for as they come, not up front.
fn take(from: &mut impl BufRead, n: u64, body: &mut Vec<u8>, max_body: u64) -> Result<(), String> {
    if (body.len() as u64).saturating_add(n) > max_body {
        return Err(format!("the answer is longer than {max_body} bytes"));
    }
    let got = from.take(n).read_to_end(body).map_err(words)?;
    if (got as u64) < n {
        return Err("the connection closed before the answer's end".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, host, port, target) in [
            ("http://a.b/c?d=e#f", "a.b", 80, "/c?d=e"),
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, "/"),
            ("http://[::1]:9?q", "[::1]", 9, "/?q"),
        ] {
            assert_eq!(Address::parse(url), Ok(Address { host: host.into(), port, target: target.into() }));
        }
        for url in ["https://a", "ftp://a", "http://", "http://a:99999/", "http://a/\r\nx: y"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    fn body(text: &str) -> Result<(u16, String), String> {
        let answer = read_answer(text.as_bytes(), false, 1000)?;
        Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
    }

    #[test]
    fn answers_come_by_length_in_chunks_or_until_the_end() {
        for (text, want) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", (200, "abc")),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", (200, "abc")),
            ("HTTP/1.0 404 Not Found\r\n\r\nall", (404, "all")),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", (204, "")),
        ] {
            assert_eq!(body(text), Ok((want.0, want.1.into())), "{text}");
        }
    }

    #[test]
    fn broken_answers_are_errors() {
        for text in [
            "",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 999 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(body(text).is_err(), "{text}");
        }
    }
}
