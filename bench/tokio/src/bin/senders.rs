use std::time::Instant;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() {
    tokio::spawn(receiver(100, 10_000)).await.unwrap();
}

async fn receiver(n_senders: u64, n_messages: u64) {
    let start = Instant::now();
    let (sender, mut inbox) = mpsc::channel(1024);
    for _ in 0..n_senders {
        let sender = sender.clone();
        tokio::spawn(async move {
            for i in 0..n_messages {
                sender.send(i).await.unwrap();
            }
        });
    }
    drop(sender);
    let mut total = 0;
    while let Some(n) = inbox.recv().await {
        total += n;
    }
    println!("{total}");
    println!("ms {}", start.elapsed().as_secs_f64() * 1e3);
}
