use std::time::Instant;

#[tokio::main]
async fn main() {
    tokio::spawn(spawner(1_000_000)).await.unwrap();
}

async fn spawner(n_tasks: u64) {
    let start = Instant::now();
    let handles: Vec<_> = (0..n_tasks).map(|i| tokio::spawn(async move { i + 1 })).collect();
    let mut total = 0;
    for handle in handles {
        total += handle.await.unwrap();
    }
    println!("{total}");
    println!("ms {}", start.elapsed().as_secs_f64() * 1e3);
}
