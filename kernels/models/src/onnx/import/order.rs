//! The order in which the nodes of a graph are imported.
//!
//! The standard wants each node after those whose outputs it reads; files of some converters have them in another order,
//! and other runtimes sort them. What is in order already stays as it is: a node is moved only to before the first
//! that needs it.

use super::*;

/// How far the sorting of a node has come.
#[derive(Clone, Copy, PartialEq)]
enum Sorted {
    No,
    /// What it needs is being sorted.
    Begun,
    Yes,
}

/// The node that gives each name, by its number.
type Givers<'a> = HashMap<&'a str, usize>;

impl<'a> Importer<'a> {
    /// The numbers of the nodes, each after those that give what it needs; in the order of the file when that is right,
    /// or when none is since nodes need each other.
    pub(super) fn order(&mut self, nodes: &'a [NodeProto]) -> Done<Vec<usize>> {
        let mut givers = Givers::new();
        for (i, node) in nodes.iter().enumerate() {
            node.output.iter().for_each(|name| _ = givers.entry(name).or_insert(i));
        }
        let mut is_right = true;
        for (i, node) in nodes.iter().enumerate() {
            is_right &= self.givers_of(node, &givers)?.iter().all(|&giver| giver < i);
        }
        let sorted = if is_right { None } else { self.sorted(nodes, &givers)? };
        Ok(sorted.unwrap_or_else(|| (0..nodes.len()).collect()))
    }

    /// The nodes that give what this one reads by itself or in its graphs; what the graphs around give already counts
    /// as given.
    fn givers_of(&mut self, node: &'a NodeProto, givers: &Givers<'a>) -> Done<Vec<usize>> {
        let names = self.names_read(node)?;
        let scopes = &self.scopes[self.first_scope..];
        let is_given = |name: &str| scopes.iter().any(|scope| scope.contains_key(name));
        let giver = |name: &str| givers.get(name).copied().filter(|_| !is_given(name));
        Ok(names.into_iter().filter_map(giver).collect())
    }

    /// The names of a node's inputs, and those that its graphs read of the graph around them.
    fn names_read(&mut self, node: &'a NodeProto) -> Done<Vec<&'a str>> {
        let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
        let mut open: Vec<&'a GraphProto> = self.graphs_of(node);
        if !open.is_empty() {
            let (mut read, mut own) = (Vec::new(), HashSet::new());
            // Inside a function a graph may be an attribute of the call, and so come twice.
            let mut seen: HashSet<*const GraphProto> = HashSet::new();
            while let Some(graph) = open.pop() {
                if !seen.insert(graph) {
                    continue;
                }
                self.spend(1 + graph.node.len() + graph.initializer.len() + graph.input.len() + graph.output.len())?;
                own.extend(graph.input.iter().map(|value| value.name.as_str()));
                own.extend(graph.initializer.iter().map(|proto| proto.name.as_str()));
                read.extend(graph.output.iter().map(|value| value.name.as_str()));
                for inner in &graph.node {
                    self.spend(inner.input.len() + inner.output.len() + inner.attribute.len())?;
                    own.extend(inner.output.iter().map(String::as_str));
                    read.extend(inner.input.iter().map(String::as_str));
                    open.extend(self.graphs_of(inner));
                }
            }
            names.extend(read.into_iter().filter(|name| !own.contains(name)));
        }
        names.retain(|name| !name.is_empty());
        Ok(names)
    }

    fn graphs_of(&self, node: &'a NodeProto) -> Vec<&'a GraphProto> {
        node.attribute.iter().filter_map(|a| self.attribute(a)?.g.as_deref()).collect()
    }

    /// Goes down from each node to what it needs, without recursion; nothing when nodes need each other.
    fn sorted(&mut self, nodes: &'a [NodeProto], givers: &Givers<'a>) -> Done<Option<Vec<usize>>> {
        let mut state = vec![Sorted::No; nodes.len()];
        let mut order = Vec::with_capacity(nodes.len());
        // Nodes with what they need and was not looked at yet, the first last.
        let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
        for first in 0..nodes.len() {
            let mut next = Some(first).filter(|_| state[first] == Sorted::No);
            loop {
                if let Some(at) = next.take() {
                    state[at] = Sorted::Begun;
                    let mut needs = self.givers_of(&nodes[at], givers)?;
                    needs.sort_unstable_by(|a, b| b.cmp(a));
                    open.push((at, needs));
                }
                let Some((at, needs)) = open.last_mut() else { break };
                match needs.pop() {
                    Some(need) => match state[need] {
                        Sorted::No => next = Some(need),
                        Sorted::Begun => return Ok(None),
                        Sorted::Yes => {}
                    },
                    None => {
                        state[*at] = Sorted::Yes;
                        order.push(*at);
                        open.pop();
                    }
                }
            }
        }
        Ok(Some(order))
    }
}
