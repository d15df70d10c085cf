//! Circles in a small graph: zones that wait for zones, actors that wait for actors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A shortest circle through each node that is in one and in no circle found before: its nodes in order, the first again at
/// the end. A node that leads to itself alone is none.
pub fn circles<N: Ord + Copy>(edges: impl Iterator<Item = (N, N)>) -> Vec<Vec<N>> {
    let mut next: BTreeMap<N, BTreeSet<N>> = BTreeMap::new();
    for (from, to) in edges.filter(|(from, to)| from != to) {
        next.entry(from).or_default().insert(to);
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for start in next.keys() {
        if !seen.contains(start)
            && let Some(circle) = circle_at(*start, &next)
        {
            seen.extend(circle.iter().copied());
            found.push(circle);
        }
    }
    found
}

fn circle_at<N: Ord + Copy>(start: N, next: &BTreeMap<N, BTreeSet<N>>) -> Option<Vec<N>> {
    let mut before: BTreeMap<N, N> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for to in next.get(&node).into_iter().flatten() {
            if *to == start {
                let mut circle = vec![node];
                let mut at = node;
                while at != start {
                    at = before[&at];
                    circle.push(at);
                }
                circle.reverse();
                circle.push(start);
                return Some(circle);
            }
            if !before.contains_key(to) {
                before.insert(*to, node);
                queue.push_back(*to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn the_shortest_circle_is_found_once() {
        assert_eq!(circles([(1, 2), (2, 1)].into_iter()), [[1, 2, 1]]);
        assert_eq!(circles([(1, 2), (2, 3), (3, 1)].into_iter()), [[1, 2, 3, 1]]);
        assert_eq!(circles([(1, 2), (2, 3), (1, 1)].into_iter()), Vec::<Vec<i32>>::new());
        assert_eq!(circles([(1, 2), (2, 1), (2, 3), (3, 2)].into_iter()), vec![vec![1, 2, 1], vec![3, 2, 3]]);
    }
}
