//! The library's `http` over TLS: a server with a certificate of its own, trusted or not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Arc;

/// A server on loopback that answers each connection with `hello`, and its certificate as PEM.
fn serve() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).expect("a certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocols")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("a usable certificate");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://localhost:{}/", listener.local_addr().expect("an address").port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut tls = rustls::ServerConnection::new(config.clone()).expect("a connection");
            let mut stream = rustls::Stream::new(&mut tls, &mut stream);
            let mut asked = [0; 1024];
            // A client that does not trust the certificate leaves here.
            if stream.read(&mut asked).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
                let _ = stream.flush();
            }
        }
    });
    (url, made.cert.pem())
}

fn get(url: &str, certificates: Option<&std::path::Path>) -> Output {
    let scratch = tempfile::tempdir().expect("a folder");
    let program = scratch.path().join("get.stark");
    std::fs::write(&program, format!("print(http.get(\"{url}\").text())\n")).expect("a writable folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
    command.arg("run").arg(&program).env_remove("SSL_CERT_FILE");
    if let Some(path) = certificates {
        command.env("SSL_CERT_FILE", path);
    }
    command.output().expect("stark runs")
}

#[test]
fn a_certificate_is_trusted_when_its_root_is() {
    let (url, pem) = serve();
    let scratch = tempfile::tempdir().expect("a folder");
    let root = scratch.path().join("root.pem");
    std::fs::write(&root, pem).expect("a writable folder");
    let trusted = get(&url, Some(&root));
    assert_eq!(String::from_utf8_lossy(&trusted.stdout), "hello\n", "{}", String::from_utf8_lossy(&trusted.stderr));

    let unknown = get(&url, None);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(unknown.stdout.is_empty() && said.contains("IoError") && said.contains("certificate"), "{said}");

    std::fs::write(&root, "no certificate").expect("a writable folder");
    let empty = get(&url, Some(&root));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("it holds no certificate"));
}
