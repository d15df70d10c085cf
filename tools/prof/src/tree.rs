//! Samples as a tree of calls: what every view of them is drawn from.
//!
//! A node is a line of a function, or a function that awaits what lies below it. Times are in ticks of the sampling
//! clock, allocations in bytes.

use stark_profile::Profile;
use std::collections::HashMap;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub frame: u32,
    pub awaits: bool,
}

#[derive(Debug, Default)]
pub struct Node {
    /// `None` for the root.
    pub key: Option<Key>,
    /// Ticks, or bytes, of which it was innermost.
    pub own: u64,
    pub total: u64,
    /// Positions, the largest total first.
    pub children: Vec<usize>,
}

/// Node 0 is the root; children lie behind their parents.
#[derive(Debug)]
pub struct Tree {
    pub nodes: Vec<Node>,
}

impl Tree {
    /// Of the time.
    pub fn of(profile: &Profile) -> Tree {
        Tree::weighted(profile, &ticks(profile))
    }

    /// Of the bytes that were allocated.
    pub fn of_allocations(profile: &Profile) -> Tree {
        let mut weights = vec![0u64; profile.stacks.len()];
        for allocation in &profile.allocations {
            let weight = &mut weights[allocation.stack as usize];
            *weight = weight.saturating_add(allocation.bytes);
        }
        Tree::weighted(profile, &weights)
    }

    /// `weights` are by stack.
    fn weighted(profile: &Profile, weights: &[u64]) -> Tree {
        let places = places(profile);
        let mut nodes = vec![Node::default()];
        let mut index: HashMap<(usize, Key), usize> = HashMap::new();
        for (stack, weight) in profile.stacks.iter().zip(weights).filter(|(_, weight)| **weight > 0) {
            let mut at = 0;
            // A forged file may hold any figures.
            let add = |sum: &mut u64| *sum = sum.saturating_add(*weight);
            add(&mut nodes[0].total);
            for level in stack {
                let key = Key { frame: places[level.frame as usize], awaits: level.awaits };
                let next = *index.entry((at, key.clone())).or_insert_with(|| {
                    nodes.push(Node { key: Some(key), ..Node::default() });
                    let new = nodes.len() - 1;
                    nodes[at].children.push(new);
                    new
                });
                add(&mut nodes[next].total);
                at = next;
            }
            add(&mut nodes[at].own);
        }
        for i in 0..nodes.len() {
            let mut children = std::mem::take(&mut nodes[i].children);
            children.sort_by_key(|&child| std::cmp::Reverse(nodes[child].total));
            nodes[i].children = children;
        }
        Tree { nodes }
    }

    /// Weight by line: own, and total counting recursion once; the largest own first.
    pub fn lines(&self) -> Vec<(u32, u64, u64)> {
        let mut sums: HashMap<u32, (u64, u64)> = HashMap::new();
        let mut path: Vec<u32> = Vec::new();
        let mut work = vec![(0usize, 0usize)];
        // Depth first, with the frames above at hand.
        while let Some((at, depth)) = work.pop() {
            path.truncate(depth);
            let node = &self.nodes[at];
            let mut below = depth;
            if let Some(key) = &node.key {
                let sum = sums.entry(key.frame).or_default();
                sum.0 = sum.0.saturating_add(node.own);
                if !path.contains(&key.frame) {
                    sum.1 = sum.1.saturating_add(node.total);
                }
                path.push(key.frame);
                below += 1;
            }
            work.extend(node.children.iter().map(|&child| (child, below)));
        }
        let mut lines: Vec<(u32, u64, u64)> =
            sums.into_iter().map(|(frame, (own, total))| (frame, own, total)).collect();
        lines.sort_by(|a, b| (b.1, b.2).cmp(&(a.1, a.2)).then(a.0.cmp(&b.0)));
        lines
    }
}

/// A line that allocated, itself or by a native it calls.
#[derive(Debug, PartialEq)]
pub struct Site {
    pub label: String,
    pub objects: u64,
    pub bytes: u64,
}

/// What each line allocated, the most bytes first.
pub fn sites(profile: &Profile) -> Vec<Site> {
    let places = places(profile);
    let mut sums: HashMap<(u32, Option<u32>), (u64, u64)> = HashMap::new();
    for allocation in &profile.allocations {
        let stack = &profile.stacks[allocation.stack as usize];
        let mut inwards = stack.iter().rev().map(|level| places[level.frame as usize]);
        let Some(innermost) = inwards.next() else { continue };
        // A native has no line: what it allocates is found under the line that called it.
        let is_native = profile.frames[innermost as usize].file.is_empty();
        let key = match inwards.next() {
            Some(caller) if is_native => (caller, Some(innermost)),
            _ => (innermost, None),
        };
        let (objects, bytes) = sums.entry(key).or_default();
        *objects = objects.saturating_add(allocation.objects);
        *bytes = bytes.saturating_add(allocation.bytes);
    }
    let site = |((frame, native), (objects, bytes)): ((u32, Option<u32>), (u64, u64))| {
        let native = native.map(|native| format!(" ({})", label(profile, native))).unwrap_or_default();
        Site { label: format!("{}{native}", label(profile, frame)), objects, bytes }
    };
    let mut sites: Vec<Site> = sums.into_iter().map(site).collect();
    sites.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.label.cmp(&b.label)));
    sites
}

/// For each frame the first one of the same line: columns of one line are one place.
fn places(profile: &Profile) -> Vec<u32> {
    let mut same: HashMap<(&str, &str, u32), u32> = HashMap::new();
    (0..)
        .zip(&profile.frames)
        .map(|(i, f)| *same.entry((f.function.as_str(), f.file.as_str(), f.line)).or_insert(i))
        .collect()
}

/// Ticks by stack.
pub fn ticks(profile: &Profile) -> Vec<u64> {
    let mut ticks = vec![0u64; profile.stacks.len()];
    for sample in &profile.samples {
        ticks[sample.stack as usize] += u64::from(sample.weight);
    }
    ticks
}

/// What a view calls a place: `pick main.stark:12`.
pub fn label(profile: &Profile, frame: u32) -> String {
    let frame = &profile.frames[frame as usize];
    if frame.file.is_empty() {
        return frame.function.clone();
    }
    let file = frame.file.rsplit('/').next().unwrap_or_default();
    format!("{} {file}:{}", frame.function, frame.line)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use stark_profile::model::{Allocation, Frame, Sample, StackFrame};

    /// `main` awaits `work`, which calls itself.
    pub fn example() -> Profile {
        let frame = |function: &str, line| Frame { function: function.into(), file: "a.stark".into(), line, column: 1 };
        let level = |frame, awaits| StackFrame { frame, awaits };
        let sample = |at, stack, weight| Sample { at, stack, task: 1, worker: 0, weight };
        let mut profile = Profile::default();
        profile.info.program = "a.stark".into();
        profile.info.rate_hz = 100;
        profile.info.duration_ns = 1_000_000_000;
        profile.frames = vec![frame("main", 9), frame("work", 2), frame("work", 3)];
        profile.stacks = vec![
            vec![level(0, true), level(1, false), level(2, false)],
            vec![level(0, true), level(1, false), level(1, false)],
        ];
        profile.samples = vec![sample(1_000, 0, 3), sample(2_000, 1, 1), sample(3_000, 0, 2)];
        let allocation = |stack, objects, bytes| Allocation { stack, objects, bytes };
        profile.allocations = vec![allocation(0, 2, 600), allocation(1, 10, 100)];
        profile
    }

    #[test]
    fn recursion_counts_once_in_totals() {
        let tree = Tree::of(&example());
        assert_eq!(tree.nodes[0].total, 6);
        assert_eq!(tree.lines(), [(2, 5, 5), (1, 1, 6), (0, 0, 6)]);
        assert_eq!(Tree::of_allocations(&example()).lines(), [(2, 600, 600), (1, 100, 700), (0, 0, 700)]);
    }

    #[test]
    fn what_a_native_allocates_is_found_under_its_line() {
        let mut profile = example();
        let site = |label: &str, objects, bytes| Site { label: label.to_string(), objects, bytes };
        assert_eq!(sites(&profile), [site("work a.stark:3", 2, 600), site("work a.stark:2", 10, 100)]);
        let native = Frame { function: "zeros".into(), file: String::new(), line: 0, column: 0 };
        profile.frames.push(native);
        profile.stacks[1].push(StackFrame { frame: 3, awaits: false });
        assert_eq!(sites(&profile)[1], site("work a.stark:2 (zeros)", 10, 100));
    }
}
