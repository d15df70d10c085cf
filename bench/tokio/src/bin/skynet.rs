use std::pin::Pin;
use std::time::Instant;

#[tokio::main]
async fn main() {
    tokio::spawn(async {
        let start = Instant::now();
        println!("{}", skynet(0, 1_000_000).await);
        println!("ms {}", start.elapsed().as_secs_f64() * 1e3);
    })
    .await
    .unwrap();
}

fn skynet(number: u64, size: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        let part = size / 10;
        // A leaf is a task too, without a box around its future.
        if part == 1 {
            let leaves: [_; 10] = std::array::from_fn(|i| tokio::spawn(async move { number + i as u64 }));
            return sum(leaves).await;
        }
        sum(std::array::from_fn(|i| tokio::spawn(skynet(number + i as u64 * part, part)))).await
    })
}

async fn sum(children: [tokio::task::JoinHandle<u64>; 10]) -> u64 {
    let mut sum = 0;
    for child in children {
        sum += child.await.unwrap();
    }
    sum
}
