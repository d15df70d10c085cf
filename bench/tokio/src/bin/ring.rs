use std::time::Instant;
use tokio::sync::mpsc::{self, Receiver, Sender};

const SIZE: usize = 1_000;

#[tokio::main]
async fn main() {
    // In a task: what `main` awaits itself runs on a thread outside the workers.
    tokio::spawn(ring(1_000_000)).await.unwrap();
}

async fn ring(n_hops: u64) {
    let start = Instant::now();
    let (done, mut is_done) = mpsc::channel(1);
    let (rights, mut lefts): (Vec<_>, Vec<_>) = (0..SIZE).map(|_| mpsc::channel(1)).unzip();
    let first = rights[0].clone();
    // Node i receives from link i and sends to link i + 1.
    for i in (0..SIZE).rev() {
        tokio::spawn(node(lefts.pop().unwrap(), rights[(i + 1) % SIZE].clone(), done.clone()));
    }
    drop(rights);
    first.send(n_hops).await.unwrap();
    is_done.recv().await.unwrap();
    println!("ms {}", start.elapsed().as_secs_f64() * 1e3);
}

async fn node(mut left: Receiver<u64>, right: Sender<u64>, done: Sender<()>) {
    while let Some(n) = left.recv().await {
        if n == 0 {
            done.send(()).await.unwrap();
        } else {
            right.send(n - 1).await.unwrap();
        }
    }
}
