//! The HTTP client behind the library's `http`: one request, bounded in time and size, on a thread that may block.
//!
//! Certificates of `https` addresses are held against the roots of Mozilla's program, which are built in, or against those of the
//! PEM file that `SSL_CERT_FILE` names. Connections are kept for the next request to the same host.

use super::support::{blocking, size};
use super::{NativeCx, NativeResult, NativeRow, natives};
use crate::fault::Fault;
use crate::task::WaitReason;
use crate::value::Value;
use std::sync::OnceLock;
use std::time::Duration;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

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
pub const MAX_HEAD_BYTES: usize = 1 << 20;
/// Like browsers, though a little stricter.
pub const MAX_REDIRECTS: u32 = 10;
/// A request that would wait longer waits this long.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

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

/// Sends the request and follows redirects. The error says what went wrong, without the address.
pub fn send(request: &Request) -> Result<Answer, String> {
    let timeout = request.timeout.min(MAX_TIMEOUT);
    if timeout.is_zero() {
        return Err("no answer in time".into());
    }
    let agent = agent()?;
    let message = agent.configure_request(message(request)?).timeout_global(Some(timeout)).build();
    let mut answer = agent.run(message).map_err(|e| words(e, request.max_body))?;
    let body = answer.body_mut().with_config().limit(request.max_body).read_to_vec();
    let body = body.map_err(|e| words(e, request.max_body))?;
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in answer.headers() {
        // Headers are Latin-1 on the wire where they are not UTF-8.
        let text = std::str::from_utf8(value.as_bytes())
            .map_or_else(|_| value.as_bytes().iter().map(|&b| b as char).collect(), String::from);
        match headers.iter_mut().find(|(n, _)| n == name.as_str()) {
            Some((_, values)) => *values += &format!(", {text}"),
            None => headers.push((name.as_str().into(), text)),
        }
    }
    Ok(Answer { status: answer.status().as_u16(), headers, body })
}

fn message(request: &Request) -> Result<ureq::http::Request<&[u8]>, String> {
    if !["http://", "https://"].iter().any(|scheme| request.url.starts_with(scheme)) {
        return Err("the address does not begin with http:// or https://".into());
    }
    let url: ureq::http::Uri = request.url.parse().map_err(|e| format!("not an address: {e}"))?;
    let method = ureq::http::Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("{:?} is not a method", request.method))?;
    let mut message = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in &request.headers {
        // How long the body is, the client says itself.
        if ["content-length", "connection", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            continue;
        }
        let wrong = || format!("the header {name:?} holds characters that a header cannot");
        let name = ureq::http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = ureq::http::HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?;
        message = message.header(name, value);
    }
    message.body(request.body.as_slice()).map_err(|e| e.to_string())
}

/// One for the process, so that connections are used again.
fn agent() -> Result<&'static ureq::Agent, String> {
    static AGENT: OnceLock<Result<ureq::Agent, String>> = OnceLock::new();
    let agent = AGENT.get_or_init(|| {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            .max_response_header_size(MAX_HEAD_BYTES)
            .allow_non_standard_methods(true)
            .user_agent("stark")
            .tls_config(TlsConfig::builder().root_certs(roots()?).build())
            .build();
        Ok(config.into())
    });
    agent.as_ref().map_err(Clone::clone)
}

fn roots() -> Result<RootCerts, String> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE") else { return Ok(RootCerts::WebPki) };
    let wrong = |why: String| format!("SSL_CERT_FILE {}: {why}", path.to_string_lossy());
    let pem = std::fs::read(&path).map_err(|e| wrong(e.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| wrong(e.to_string()))? {
            certificates.push(certificate);
        }
    }
    match certificates.is_empty() {
        true => Err(wrong("it holds no certificate".into())),
        false => Ok(RootCerts::from(certificates)),
    }
}

fn words(e: ureq::Error, max_body: u64) -> String {
    match e {
        ureq::Error::Timeout(_) => "no answer in time".into(),
        ureq::Error::BodyExceedsLimit(_) => format!("the answer is longer than {max_body} bytes"),
        ureq::Error::LargeResponseHeader(..) => format!("the answer's headers are longer than {MAX_HEAD_BYTES} bytes"),
        ureq::Error::TooManyRedirects => format!("more than {MAX_REDIRECTS} redirects"),
        ureq::Error::HostNotFound => "the host was not found".into(),
        ureq::Error::Io(e) => match e.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "no answer in time".into(),
            std::io::ErrorKind::UnexpectedEof => "the connection closed before the answer's end".into(),
            _ => {
                let text = e.to_string();
                text.split(" (os error").next().unwrap_or(&text).to_lowercase()
            }
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Answers one connection after the other with these bytes; gives the address and what was asked.
    fn serve(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let answer = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                let mut byte = [0];
                while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    asked.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(asked).unwrap()
            };
            answers.iter().map(answer).collect()
        });
        (url, served)
    }

    fn get(url: String) -> Request {
        let timeout = Duration::from_secs(5);
        Request { method: "GET".into(), url, headers: Vec::new(), body: Vec::new(), timeout, max_body: 100 }
    }

    #[test]
    fn answers_come_by_length_in_chunks_or_until_the_end() {
        let (url, served) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "HTTP/1.0 404 Not Found\r\nX: a\r\nX: b\r\n\r\nall",
        ]);
        for (status, body) in [(200, "abc"), (200, "abc"), (404, "all")] {
            let answer = send(&get(url.clone())).unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (status, body.as_bytes()));
            if status == 404 {
                assert_eq!(answer.headers, [("x".to_string(), "a, b".to_string())]);
            }
        }
        let asked = served.join().unwrap();
        assert!(asked[0].to_lowercase().contains("user-agent: stark\r\n"), "{}", asked[0]);
    }

    #[test]
    fn what_is_cut_too_long_or_no_answer_is_an_error() {
        let (url, _served) = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc",
            concat!(
                "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
                "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789!"
            ),
            "what?\r\n\r\n",
        ]);
        for why in ["closed", "longer than 100 bytes", ""] {
            let e = send(&get(url.clone())).unwrap_err();
            assert!(e.contains(why), "{e}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for url in ["ftp://a", "http://", "http://a:99999/", "http://a/\r\nx: y", "https://"] {
            assert!(send(&get(url.into())).is_err(), "{url}");
        }
        let mut request = get("http://127.0.0.1:1".into());
        request.headers = vec![("x".into(), "a\r\nb".into())];
        assert!(send(&request).unwrap_err().contains("header"));
        request.method = "GE T".into();
        assert!(send(&request).is_err());
    }
}
