//! Trees, forests and boosting of `ai.onnx.ml`.
//!
//! What the attributes say is made one forest when an operator runs first, and kept.

use std::collections::HashMap;

use stark_kernels::{DType, Tensor};

use super::ml::{best, floats, ints, labels, list, logistic, rows, transform};
use crate::ops::tensor::{ok, pair_of, say};
use crate::ops::vision::numbers;
use crate::ops::{Args, OpResult};
use crate::value::Value;

#[derive(Clone)]
struct Node {
    feature: usize,
    value: f64,
    mode: Mode,
    /// Where a missing number goes.
    missing_is_true: bool,
    /// Places of nodes; of a leaf a range of [`Forest::weights`].
    yes: usize,
    no: usize,
}

#[derive(Clone)]
enum Mode {
    Leaf,
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    NotEqual,
    /// In a range of [`Forest::members`].
    Member(usize, usize),
}

#[derive(Clone)]
pub struct Forest {
    nodes: Vec<Node>,
    roots: Vec<usize>,
    weights: Vec<(usize, f64)>,
    members: Vec<f64>,
    width: usize,
}

impl Forest {
    /// The leaf of each tree that a row comes to. A node has one parent, so no way from a root comes round again.
    fn leaves<'f>(&'f self, row: &'f [f64]) -> impl Iterator<Item = &'f [(usize, f64)]> + 'f {
        self.roots.iter().map(move |&root| {
            let mut at = root;
            loop {
                let node = &self.nodes[at];
                let (x, value) = (row.get(node.feature).copied().unwrap_or(f64::NAN), node.value);
                let holds = match node.mode {
                    Mode::Leaf => return &self.weights[node.yes..node.no],
                    Mode::AtMost => x <= value,
                    Mode::Below => x < value,
                    Mode::AtLeast => x >= value,
                    Mode::Above => x > value,
                    Mode::Equal => x == value,
                    Mode::NotEqual => x != value,
                    Mode::Member(from, to) => self.members[from..to].contains(&x),
                };
                at = if holds || node.missing_is_true && x.is_nan() { node.yes } else { node.no };
            }
        })
    }
}

fn texts(a: &Args<'_>, at: usize) -> Result<Vec<String>, String> {
    match a.get(at) {
        Value::List(list) => list
            .items()
            .iter()
            .map(
                |item| if let Value::Str(text) = item { Ok(text.to_string()) } else { Err("a mode is no text".into()) },
            )
            .collect(),
        _ => Err("the modes of nodes are missing".into()),
    }
}

/// A list of numbers, or a tensor of them at the argument after.
fn list_or_tensor(a: &Args<'_>, at: usize, tensor: usize) -> Result<Vec<f64>, String> {
    match a.get(tensor) {
        Value::Tensor(t) => numbers(t),
        _ => list(a, at),
    }
}

/// Nodes by tree and number from arguments 1 on: `falsenodeids, featureids, hitrates, hitrates_as_tensor,
/// missing_value_tracks_true, modes, nodeids, treeids, truenodeids, values, values_as_tensor`; then what weights say of
/// leaves: ids, node ids, tree ids, weights and these as a tensor.
fn forest(a: &Args<'_>, weights_at: usize) -> Result<Forest, String> {
    let (no, features, missing) = (ints(a, 1)?, ints(a, 2)?, ints(a, 5)?);
    let (modes, ids, trees, yes) = (texts(a, 6)?, ints(a, 7)?, ints(a, 8)?, ints(a, 9)?);
    let values = list_or_tensor(a, 10, 11)?;
    let n = ids.len();
    if [no.len(), features.len(), modes.len(), trees.len(), yes.len(), values.len()].iter().any(|&m| m != n) {
        return Err(format!("{n} nodes whose lists are not as long"));
    }
    let places: HashMap<(i64, i64), usize> =
        trees.iter().copied().zip(ids.iter().copied()).enumerate().map(|(i, key)| (key, i)).collect();
    let place = |tree: i64, id: i64| match places.get(&(tree, id)) {
        Some(&at) => Ok(at),
        None => Err(format!("tree {tree} has no node {id}")),
    };
    let (leaf_ids, leaf_nodes, leaf_trees) = (ints(a, weights_at)?, ints(a, weights_at + 1)?, ints(a, weights_at + 2)?);
    let leaf_weights = list_or_tensor(a, weights_at + 3, weights_at + 4)?;
    let m = leaf_ids.len();
    if [leaf_nodes.len(), leaf_trees.len(), leaf_weights.len()].iter().any(|&l| l != m) {
        return Err(format!("{m} weights whose lists are not as long"));
    }
    let mut of_leaf: Vec<(usize, usize)> = Vec::with_capacity(m);
    for i in 0..m {
        of_leaf.push((place(leaf_trees[i], leaf_nodes[i])?, i));
    }
    of_leaf.sort_unstable();
    let weights = of_leaf.iter().map(|&(_, i)| (leaf_ids[i].max(0) as usize, leaf_weights[i])).collect();
    let mut nodes = Vec::with_capacity(n);
    let mut is_child = vec![false; n];
    for i in 0..n {
        let mode = match &*modes[i] {
            "LEAF" => Mode::Leaf,
            "BRANCH_LEQ" => Mode::AtMost,
            "BRANCH_LT" => Mode::Below,
            "BRANCH_GTE" => Mode::AtLeast,
            "BRANCH_GT" => Mode::Above,
            "BRANCH_EQ" => Mode::Equal,
            "BRANCH_NEQ" => Mode::NotEqual,
            other => return Err(format!("mode `{other}` of a node is not known")),
        };
        let (yes, no) = match mode {
            Mode::Leaf => {
                let from = of_leaf.partition_point(|&(at, _)| at < i);
                (from, of_leaf.partition_point(|&(at, _)| at <= i))
            }
            _ => {
                let both = [place(trees[i], yes[i])?, place(trees[i], no[i])?];
                for child in both {
                    if std::mem::replace(&mut is_child[child], true) {
                        return Err(format!("node {} of tree {} has two parents", ids[child], trees[child]));
                    }
                }
                (both[0], both[1])
            }
        };
        nodes.push(Node {
            feature: features[i].max(0) as usize,
            value: values[i],
            mode,
            missing_is_true: missing.get(i).is_some_and(|&flag| flag != 0),
            yes,
            no,
        });
    }
    let roots = (0..n).filter(|&i| !is_child[i]).collect();
    Ok(Forest { width: width_of(&nodes), nodes, roots, weights, members: Vec::new() })
}

/// How many columns a row must have.
fn width_of(nodes: &[Node]) -> usize {
    nodes.iter().filter(|node| !matches!(node.mode, Mode::Leaf)).map(|node| node.feature + 1).max().unwrap_or(0)
}

/// How results of trees become one.
#[derive(Clone, Copy, PartialEq)]
enum Joined {
    Sum,
    Average,
    Min,
    Max,
}

impl Joined {
    fn read(how: &str) -> Result<Joined, String> {
        Ok(match how {
            "SUM" => Joined::Sum,
            "AVERAGE" => Joined::Average,
            "MIN" => Joined::Min,
            "MAX" => Joined::Max,
            other => return Err(format!("aggregate_function `{other}` is not known")),
        })
    }
}

/// The results of all trees for each row, `n_targets` numbers a row.
fn grown(forest: &Forest, x: &Tensor, n_targets: usize, base: &[f64], how: Joined, post: &str) -> OpResult {
    let (all, n, width) = rows(x)?;
    if width < forest.width {
        return Err(format!("rows have {width} columns, the trees ask for {}", forest.width));
    }
    Tensor::zeros(&[n, n_targets], DType::F32).map_err(say)?;
    let mut out = Vec::with_capacity(n * n_targets);
    for row in all.chunks(width.max(1)) {
        let mut scores: Vec<Option<f64>> = vec![None; n_targets];
        for leaf in forest.leaves(row) {
            for &(target, weight) in leaf {
                let Some(score) = scores.get_mut(target) else { return Err(format!("there is no result {target}")) };
                *score = Some(match (*score, how) {
                    (None, _) => weight,
                    (Some(score), Joined::Min) => score.min(weight),
                    (Some(score), Joined::Max) => score.max(weight),
                    (Some(score), _) => score + weight,
                });
            }
        }
        let by = if how == Joined::Average { forest.roots.len().max(1) as f64 } else { 1.0 };
        let base = |i: usize| base.get(i).copied().unwrap_or(0.0);
        let mut scores: Vec<f64> =
            scores.into_iter().enumerate().map(|(i, score)| score.unwrap_or(0.0) / by + base(i)).collect();
        transform(&mut scores, post)?;
        out.extend(scores);
    }
    // Whatever the rows are, `TreeEnsemble` alone gives its type.
    ok(Tensor::from_vec(out, &[n, n_targets]))
}

/// `(X, 11 of nodes, 5 of targets, n_targets, aggregate_function, base_values, base_values_as_tensor, post_transform)`.
pub fn tree_regressor(a: &Args<'_>) -> OpResult {
    let forest = a.once(1..17, &[], || forest(a, 12))?;
    let n_targets = a.count(17)?.max(1);
    let (how, base) = (Joined::read(a.str(18)?)?, list_or_tensor(a, 19, 20)?);
    match grown(&forest, &*a.tensor(0)?, n_targets, &base, how, a.str(21)?)? {
        Value::Tensor(out) => ok(out.to(DType::F32)),
        other => Ok(other),
    }
}

/// `(X, 11 of nodes, 5 of classes, classlabels_int64s, classlabels_strings, base_values, base_values_as_tensor,
/// post_transform)`.
pub fn tree_classifier(a: &Args<'_>) -> OpResult {
    let forest = a.once(1..17, &[], || forest(a, 12))?;
    let (x, labels, base, how) = (a.tensor(0)?, labels(a, 17)?, list_or_tensor(a, 19, 20)?, a.str(21)?);
    let (all, n, width) = rows(&x)?;
    if width < forest.width {
        return Err(format!("rows have {width} columns, the trees ask for {}", forest.width));
    }
    let n_classes = labels.len().max(1);
    let one_class = forest.weights.windows(2).all(|pair| pair[0].0 == pair[1].0) && n_classes == 2;
    let all_positive = forest.weights.iter().all(|&(_, weight)| weight >= 0.0);
    let (mut chosen, mut out, mut columns) = (Vec::with_capacity(n), Vec::new(), n_classes);
    for row in all.chunks(width.max(1)) {
        let mut found: Vec<Option<f64>> = vec![None; n_classes];
        for &(class, weight) in forest.leaves(row).flatten() {
            let Some(score) = found.get_mut(class) else { return Err(format!("there is no class {class}")) };
            *score = Some(score.unwrap_or(0.0) + weight);
        }
        let label = |i: usize| labels.get(i).copied().unwrap_or(i as i64);
        let nth = |i: usize| base.get(i).copied().unwrap_or(0.0);
        let mut scores: Vec<f64> = found.iter().enumerate().map(|(i, score)| score.unwrap_or(0.0) + nth(i)).collect();
        if one_class {
            // All weights are of one class: its score says both.
            let score = match (found[1], &base[..]) {
                (Some(score), [_, base]) => score + base,
                (Some(score), [base]) => score + base,
                (Some(score), _) => score,
                (None, _) => scores[0],
            };
            chosen.push(label(usize::from(score > if all_positive { 0.5 } else { 0.0 })));
            scores = match (all_positive, how) {
                (_, "PROBIT") => {
                    let mut one = [score];
                    transform(&mut one, how)?;
                    one.to_vec()
                }
                (true, _) => vec![1.0 - score, score],
                (false, "LOGISTIC") => vec![logistic(-score), logistic(score)],
                (false, _) => vec![-score, score],
            };
        } else {
            chosen.push(label(best(&scores)));
            transform(&mut scores, how)?;
        }
        columns = scores.len();
        out.extend(scores);
    }
    pair_of(Tensor::from_vec(chosen, &[n]).map_err(say)?, floats(out, &[n, columns])?)
}

/// Version 5's trees, whose leaves lie apart: `(X, aggregate_function, leaf_targetids, leaf_weights, membership_values,
/// n_targets, nodes_falseleafs, nodes_falsenodeids, nodes_featureids, nodes_hitrates, nodes_missing_value_tracks_true,
/// nodes_modes, nodes_splits, nodes_trueleafs, nodes_truenodeids, post_transform, tree_roots)`.
pub fn tree_ensemble(a: &Args<'_>) -> OpResult {
    let made = || -> Result<Forest, String> {
        let of_tensor = |at: usize| numbers(&*a.tensor(at)?);
        let (targets, weights) = (ints(a, 2)?, of_tensor(3)?);
        let (no_leaf, no, features, missing) = (ints(a, 6)?, ints(a, 7)?, ints(a, 8)?, ints(a, 10)?);
        let (modes, splits) = (of_tensor(11)?, of_tensor(12)?);
        let (yes_leaf, yes, roots) = (ints(a, 13)?, ints(a, 14)?, ints(a, 16)?);
        let n = features.len();
        if [no_leaf.len(), no.len(), modes.len(), splits.len(), yes_leaf.len(), yes.len()].iter().any(|&m| m != n)
            || targets.len() != weights.len()
        {
            return Err(format!("{n} nodes whose lists are not as long"));
        }
        let members = if a.is_none(4) { Vec::new() } else { of_tensor(4)? };
        let mut sets = members.split(|x| x.is_nan()).scan(0, |at, set| {
            let from = *at;
            *at += set.len() + 1;
            Some((from, from + set.len()))
        });
        let child = |is_leaf: i64, at: i64| {
            let limit = if is_leaf != 0 { targets.len() } else { n };
            match usize::try_from(at).ok().filter(|&at| at < limit) {
                // Leaves follow the nodes.
                Some(at) => Ok(if is_leaf != 0 { n + at } else { at }),
                None => Err(format!("there is no node {at}")),
            }
        };
        let mut is_child = vec![false; n];
        let mut nodes = Vec::with_capacity(n + targets.len());
        for i in 0..n {
            for (is_leaf, at) in [(yes_leaf[i], yes[i]), (no_leaf[i], no[i])] {
                let at = child(is_leaf, at)?;
                if at < n && std::mem::replace(&mut is_child[at], true) {
                    return Err(format!("node {at} has two parents"));
                }
            }
            let mode = match modes[i] as i64 {
                0 => Mode::AtMost,
                1 => Mode::Below,
                2 => Mode::AtLeast,
                3 => Mode::Above,
                4 => Mode::Equal,
                5 => Mode::NotEqual,
                6 => {
                    let (from, to) = sets.next().ok_or("there are fewer sets than nodes that ask for one")?;
                    Mode::Member(from, to)
                }
                other => return Err(format!("mode {other} of a node is not known")),
            };
            nodes.push(Node {
                feature: features[i].max(0) as usize,
                value: splits[i],
                mode,
                missing_is_true: missing.get(i).is_some_and(|&flag| flag != 0),
                yes: child(yes_leaf[i], yes[i])?,
                no: child(no_leaf[i], no[i])?,
            });
        }
        for i in 0..targets.len() {
            let leaf = Node { feature: 0, value: 0.0, mode: Mode::Leaf, missing_is_true: false, yes: i, no: i + 1 };
            nodes.push(leaf);
        }
        let weights = targets.iter().map(|&target| target.max(0) as usize).zip(weights).collect();
        let roots = roots.iter().map(|&root| child(0, root)).collect::<Result<Vec<_>, _>>()?;
        if let Some(root) = roots.iter().find(|&&root| is_child[root]) {
            return Err(format!("root {root} has a parent"));
        }
        Ok(Forest { width: width_of(&nodes), nodes, roots, weights, members })
    };
    let forest = a.once(1..17, &[], made)?;
    let how = ["AVERAGE", "SUM", "MIN", "MAX"].get(a.count(1)?).copied().unwrap_or("?");
    let post = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"].get(a.count(15)?).copied().unwrap_or("?");
    let x = a.tensor(0)?;
    let Value::Tensor(out) = grown(&forest, &x, a.count(5)?.max(1), &[], Joined::read(how)?, post)? else {
        return Err("trees gave no tensor".into());
    };
    ok(out.to(x.dtype()))
}
