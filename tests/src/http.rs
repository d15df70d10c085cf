//! The loopback server that cases talk to: `GET /hello /json /item/N /status/N /slow?ms=N /header`, `POST /echo /upper`, 404 elsewhere.

use std::sync::Arc;
use std::time::Duration;
use tiny_http::{Header, Request, Response, Server};

/// Serves until the process ends; gives the address.
pub fn serve() -> String {
    let server = Arc::new(Server::http("127.0.0.1:0").expect("a loopback port"));
    let address = server.server_addr().to_ip().expect("an IP address");
    for _ in 0..8 {
        let server = server.clone();
        std::thread::spawn(move || {
            while let Ok(request) = server.recv() {
                // A client that went away is its own business.
                let _ = answer(request);
            }
        });
    }
    format!("http://{address}")
}

fn answer(mut request: Request) -> std::io::Result<()> {
    let url = request.url().to_string();
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let text = |status: u16, body: String| Response::from_string(body).with_status_code(status);
    let header = |name: &str, value: &str| Header::from_bytes(name, value).expect("a header of plain text");
    let is_post = *request.method() == tiny_http::Method::Post;
    let response = match path {
        "/echo" | "/upper" if is_post => {
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body)?;
            if path == "/upper" {
                body.make_ascii_uppercase();
            }
            return request.respond(Response::from_data(body));
        }
        _ if is_post => text(404, "no such page".into()),
        "/hello" => text(200, "hello from the test server".into()),
        "/json" => text(200, r#"{"name": "stark", "sizes": [1, 2, 3]}"#.into())
            .with_header(header("Content-Type", "application/json")),
        "/header" => text(200, "see the headers".into()).with_header(header("X-Test", "forty-two")),
        "/slow" => {
            let ms = query.strip_prefix("ms=").and_then(|n| n.parse().ok()).unwrap_or(200u64).min(10_000);
            std::thread::sleep(Duration::from_millis(ms));
            text(200, "slow answer".into())
        }
        _ => match path.strip_prefix("/item/").map(|n| (200, format!("item {n}"))).or_else(|| {
            let status: u16 = path.strip_prefix("/status/")?.parse().ok()?;
            Some((status, format!("status {status}")))
        }) {
            Some((status, body)) => text(status, body),
            None => text(404, "no such page".into()),
        },
    };
    request.respond(response)
}
