//! Every target over its corpus, and over mutations of it: the small, repeatable part of what `libfuzzer/` does at length.

use std::path::{Path, PathBuf};

/// Mutations of each input; `STARK_FUZZ` gives another number for a longer run.
const MUTATIONS: usize = 20;

fn inputs(corpus: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(corpus);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    files.sort();
    files
}

/// xorshift64*: the same mutations on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(5) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 => data.insert(at, random.below(256) as u8),
            2 => drop(data.drain(at..(at + random.below(16)).min(data.len()))),
            3 => data.truncate(at),
            _ => {
                let piece: Vec<u8> = data[at..(at + random.below(64)).min(data.len())].to_vec();
                let to = random.below(data.len() + 1);
                data.splice(to..to, piece);
            }
        }
    }
}

#[test]
fn every_target_survives_its_corpus_and_mutations_of_it() {
    let n_mutations = match std::env::var("STARK_FUZZ") {
        Ok(n) => n.parse().expect("STARK_FUZZ is a number"),
        Err(_) => MUTATIONS,
    };
    let only = std::env::var("STARK_FUZZ_TARGET").ok();
    let wanted = |target: &&stark_fuzz::Target| only.as_deref().is_none_or(|only| only == target.name);
    for stark_fuzz::Target { name, corpus, run: target } in stark_fuzz::TARGETS.iter().filter(wanted) {
        let files = inputs(corpus);
        assert!(!files.is_empty(), "tests/fuzz/corpus/{corpus} is empty");
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for file in files {
            let data = std::fs::read(&file).expect("the corpus can be read");
            let run = |data: &[u8], what: &str| {
                let done = std::panic::catch_unwind(|| target(data));
                if done.is_err() {
                    let kept = std::env::temp_dir().join(format!("stark-fuzz-{name}"));
                    let _ = std::fs::write(&kept, data);
                    panic!("{name} panicked on {what} of {}; the input is in {}", file.display(), kept.display());
                }
            };
            run(&data, "the whole");
            for i in 0..n_mutations {
                let mut mutant = data.clone();
                mutate(&mut mutant, &mut random);
                run(&mutant, &format!("mutation {i}"));
            }
        }
    }
}
