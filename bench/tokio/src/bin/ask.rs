use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

struct Ask {
    n: u64,
    reply: oneshot::Sender<u64>,
}

#[tokio::main]
async fn main() {
    tokio::spawn(asker(500_000)).await.unwrap();
}

async fn asker(n_asks: u64) {
    let start = Instant::now();
    let (adder, mut inbox) = mpsc::channel::<Ask>(64);
    tokio::spawn(async move {
        let mut total = 0;
        while let Some(ask) = inbox.recv().await {
            total += ask.n;
            ask.reply.send(total).unwrap();
        }
    });
    let mut last = 0;
    for n in 0..n_asks {
        let (reply, answer) = oneshot::channel();
        adder.send(Ask { n, reply }).await.unwrap();
        last = answer.await.unwrap();
    }
    println!("{last}");
    println!("ms {}", start.elapsed().as_secs_f64() * 1e3);
}
