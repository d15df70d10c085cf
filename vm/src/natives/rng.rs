//! Random numbers: SplitMix64 for seeding and permutations, xoshiro256++ for streams. Equal seeds give equal numbers on every machine.

/// A stream of random numbers (Blackman and Vigna's xoshiro256++).
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    pub fn new(seed: u64) -> Rng {
        let mut at = seed;
        Rng { state: std::array::from_fn(|_| split_mix(&mut at)) }
    }

    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in `0.0..1.0`.
    pub fn float(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`, without bias; 0 for `n = 0`.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // Lemire's multiplication; the few values that would bias it are drawn again.
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Uniform in `low..=high`, which must be in order.
    pub fn int(&mut self, low: i64, high: i64) -> i64 {
        match (high as u64).wrapping_sub(low as u64).checked_add(1) {
            Some(n) => low.wrapping_add(self.below(n) as i64),
            None => self.next_u64() as i64,
        }
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.float()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.float()).cos()
    }

    /// `0..n` with each run of `run` positions shuffled in itself (0: all together).
    pub fn permutation(&mut self, n: usize, run: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        let run = if run == 0 { n.max(1) } else { run };
        for part in order.chunks_mut(run) {
            for i in (1..part.len()).rev() {
                part.swap(i, self.below(i as u64 + 1) as usize);
            }
        }
        order
    }
}

fn split_mix(at: &mut u64) -> u64 {
    *at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*at ^ (*at >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_range_and_repeat_with_the_seed() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        for _ in 0..1000 {
            let x = a.int(-3, 3);
            assert!((-3..=3).contains(&x));
            assert_eq!(x, b.int(-3, 3));
            let y = a.float();
            assert!((0.0..1.0).contains(&y));
            assert_eq!(y, b.float());
        }
        assert_eq!(a.int(i64::MIN, i64::MAX), b.int(i64::MIN, i64::MAX));
    }

    #[test]
    fn a_permutation_holds_every_position_once() {
        let mut order = Rng::new(1).permutation(100, 10);
        assert!(order.chunks(10).enumerate().all(|(i, run)| run.iter().all(|&x| x / 10 == i as i64)));
        order.sort();
        assert_eq!(order, (0..100).collect::<Vec<i64>>());
        assert!(Rng::new(1).permutation(0, 0).is_empty());
    }
}
