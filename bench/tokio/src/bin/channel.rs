use std::time::Instant;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() {
    tokio::spawn(receiver(2_000_000)).await.unwrap();
}

async fn receiver(n_messages: u64) {
    let start = Instant::now();
    let (sender, mut inbox) = mpsc::channel(128);
    tokio::spawn(async move {
        for i in 0..n_messages {
            sender.send(i).await.unwrap();
        }
    });
    let mut total = 0;
    while let Some(n) = inbox.recv().await {
        total += n;
    }
    println!("{total}");
    println!("ms {}", start.elapsed().as_secs_f64() * 1e3);
}
