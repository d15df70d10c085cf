//! Whether patterns take every value, and which one they miss.
//!
//! The usefulness algorithm of Maranget ("Warnings for pattern matching", JFP 2007): a row of patterns is useful behind others when it takes a value that they
//! do not. A missed case is a witness that a row of wildcards is useful. Integers are split into the intervals that the patterns name; lists into their
//! lengths, the longest standing for all longer ones.

use crate::hir::{AdtKind, Lit, NumKind, Pat, PatKind, Ty};
use crate::session::Checker;
use std::collections::HashSet;
use std::rc::Rc;

/// Patterns that may be looked at for one question, then a match counts as exhaustive and an arm as reached (a value that
/// nothing takes is an error when it comes): about a second. Only generated code comes near.
const MAX_STEPS: usize = 20_000_000;
/// And for all arms of a match together, which are asked about one by one.
const MAX_STEPS_OF_ARMS: usize = 2 * MAX_STEPS;

#[derive(Clone, Debug)]
enum Simple {
    Wild,
    Ctor(Ctor, Vec<Simple>),
    Or(Vec<Simple>),
    /// A list of at least so many items.
    Longer(Vec<Simple>, Vec<Simple>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Ctor {
    Single,
    Variant(u32),
    Bool(bool),
    /// Both ends included.
    Ints(i128, i128),
    Text(Rc<str>),
    Float(u64),
    Len(usize),
}

/// A value that no pattern takes, as it would be written.
pub fn missed(checker: &Checker<'_>, ty: &Ty, patterns: &[&Pat]) -> Option<String> {
    let rows = patterns.iter().map(|p| vec![simplify(p)]).collect::<Vec<_>>();
    let mut search = Search { checker, steps: 0 };
    search.useful(&rows, &[Simple::Wild], &[checker.infer.resolve(ty)]).and_then(|w| w.into_iter().next())
}

/// The patterns that take nothing that those before them leave, by position. `counts`: whether a pattern takes all that fits it.
pub fn useless(checker: &Checker<'_>, ty: &Ty, patterns: &[(&Pat, bool)]) -> Vec<usize> {
    let tys = [checker.infer.resolve(ty)];
    let mut found = Vec::new();
    let (mut rows, mut steps): (Vec<Row>, usize) = (Vec::new(), 0);
    for (i, &(pattern, counts)) in patterns.iter().enumerate() {
        let row = vec![simplify(pattern)];
        if i > 0 && steps < MAX_STEPS_OF_ARMS {
            let mut search = Search { checker, steps: 0 };
            if search.useful(&rows, &row, &tys).is_none() && search.steps < MAX_STEPS {
                found.push(i);
            }
            steps += search.steps;
        }
        if counts {
            rows.push(row);
        }
    }
    found
}

fn literal(lit: &Lit) -> Ctor {
    match lit {
        Lit::Bool(b) => Ctor::Bool(*b),
        Lit::Int(n) => Ctor::Ints(*n, *n),
        Lit::Duration(n) => Ctor::Ints(i128::from(*n), i128::from(*n)),
        Lit::Float(x) => Ctor::Float(x.to_bits()),
        Lit::Str(s) => Ctor::Text(s.clone()),
        Lit::Bytes(b) => Ctor::Text(format!("{b:?}").into()),
        Lit::Unit => Ctor::Single,
    }
}

fn int_range(ty: &Ty) -> (i128, i128) {
    let kind = if let Ty::Num(kind) = ty { *kind } else { NumKind::Int64 };
    crate::check::limits::int_range(kind)
}

fn simplify(pat: &Pat) -> Simple {
    match &pat.kind {
        PatKind::Wildcard => Simple::Wild,
        PatKind::Bind { sub, .. } => sub.as_ref().map_or(Simple::Wild, |p| simplify(p)),
        PatKind::Lit(lit) => Simple::Ctor(literal(lit), Vec::new()),
        PatKind::Range { start, end, inclusive } => {
            let end_of = |lit: &Option<Lit>| match lit {
                Some(Lit::Int(n)) => Some(*n),
                Some(Lit::Duration(n)) => Some(i128::from(*n)),
                _ => None,
            };
            if matches!(start, Some(Lit::Float(_) | Lit::Str(_))) || matches!(end, Some(Lit::Float(_) | Lit::Str(_))) {
                // Ranges of floats and texts never complete a match.
                return Simple::Ctor(Ctor::Text(format!("{start:?}..{end:?}").into()), Vec::new());
            }
            let (low, high) = int_range(&pat.ty);
            let low = end_of(start).unwrap_or(low);
            let high = end_of(end).map_or(high, |n| if *inclusive { n } else { n - 1 });
            if low > high { Simple::Or(Vec::new()) } else { Simple::Ctor(Ctor::Ints(low, high), Vec::new()) }
        }
        PatKind::Tuple(items) => Simple::Ctor(Ctor::Single, items.iter().map(simplify).collect()),
        PatKind::Struct { fields } => Simple::Ctor(Ctor::Single, positions(fields)),
        PatKind::Variant { variant, fields } => Simple::Ctor(Ctor::Variant(*variant), positions(fields)),
        PatKind::List { before, rest, after } => {
            let (before, after): (Vec<_>, Vec<_>) =
                (before.iter().map(simplify).collect(), after.iter().map(simplify).collect());
            match rest {
                Some(_) => Simple::Longer(before, after),
                None => {
                    let items: Vec<Simple> = before.into_iter().chain(after).collect();
                    Simple::Ctor(Ctor::Len(items.len()), items)
                }
            }
        }
        PatKind::Or(alternatives) => Simple::Or(alternatives.iter().map(simplify).collect()),
    }
}

/// Sub-patterns by position; what is not named is a wildcard (the row is filled up when it is specialised).
fn positions(fields: &[(u32, Pat)]) -> Vec<Simple> {
    let n = fields.iter().map(|(i, _)| *i as usize + 1).max().unwrap_or(0);
    let mut out = vec![Simple::Wild; n];
    for (i, pat) in fields {
        out[*i as usize] = simplify(pat);
    }
    out
}

struct Search<'c, 'a> {
    checker: &'c Checker<'a>,
    steps: usize,
}

type Row = Vec<Simple>;

impl Search<'_, '_> {
    /// A value that `row` takes and `rows` do not, one text for each column.
    fn useful(&mut self, rows: &[Row], row: &[Simple], tys: &[Ty]) -> Option<Vec<String>> {
        // Alternatives become rows of their own, so that each is looked at, and counted, once.
        let alternatives: Vec<Row>;
        let rows = if rows.iter().any(|row| matches!(row.first(), Some(Simple::Or(_)))) {
            alternatives = rows.iter().flat_map(|row| expand(row)).collect();
            &alternatives
        } else {
            rows
        };
        self.steps += 1 + rows.len();
        if self.steps > MAX_STEPS {
            return None;
        }
        let (Some(ty), Some(head)) = (tys.first(), row.first()) else {
            return rows.is_empty().then(Vec::new);
        };
        let ty = self.checker.infer.resolve(ty);
        if let Simple::Or(alternatives) = head {
            return alternatives.iter().find_map(|alternative| {
                let mut one = vec![alternative.clone()];
                one.extend_from_slice(&row[1..]);
                self.useful(rows, &one, tys)
            });
        }
        let mut used = Used::default();
        let mut longest = 0;
        for row in rows.iter().map(Vec::as_slice).chain([row]) {
            heads(&row[0], &mut used, &mut longest);
        }
        let used = used.list;
        let splits = self.splits(&ty, &used, longest, matches!(head, Simple::Wild));
        let (ctors, complete) = splits;
        for ctor in &ctors {
            // A pattern of one kind is asked about that kind alone.
            self.steps += 1;
            if let Simple::Ctor(own, _) = head
                && !covers(own, ctor)
            {
                continue;
            }
            self.steps += rows.len();
            if self.steps > MAX_STEPS {
                return None;
            }
            let subs = self.fields(&ty, ctor);
            let Some(special) = specialise(row, ctor, subs.len()).into_iter().next() else { continue };
            let inner: Vec<Row> = rows.iter().flat_map(|r| specialise(r, ctor, subs.len())).collect();
            let mut inner_tys = subs.clone();
            inner_tys.extend_from_slice(&tys[1..]);
            for special in std::iter::once(special).chain(specialise(row, ctor, subs.len()).into_iter().skip(1)) {
                if let Some(witness) = self.useful(&inner, &special, &inner_tys) {
                    let (parts, rest) = witness.split_at(subs.len());
                    let mut out = vec![self.show(&ty, ctor, parts)];
                    out.extend_from_slice(rest);
                    return Some(out);
                }
            }
        }
        if !complete && matches!(head, Simple::Wild) {
            let others: Vec<Row> = rows.iter().flat_map(|r| defaults(r)).collect();
            if let Some(rest) = self.useful(&others, &row[1..], &tys[1..]) {
                let mut out = vec!["_".to_string()];
                out.extend(rest);
                return Some(out);
            }
        }
        None
    }

    /// The kinds of value to look at one by one, and whether they are all there are.
    fn splits(&self, ty: &Ty, used: &[Ctor], longest: usize, wild: bool) -> (Vec<Ctor>, bool) {
        if used.is_empty() && wild && longest == 0 {
            return (Vec::new(), false);
        }
        match ty {
            Ty::Bool => (vec![Ctor::Bool(true), Ctor::Bool(false)], true),
            Ty::Tuple(_) | Ty::Unit => (vec![Ctor::Single], true),
            Ty::Adt(id, _) => match &self.checker.program.adt(*id).kind {
                AdtKind::Enum(variants) => ((0..variants.len() as u32).map(Ctor::Variant).collect(), true),
                AdtKind::Struct(_) | AdtKind::Actor(_) => (vec![Ctor::Single], true),
                AdtKind::Opaque => ((0..=longest + 1).map(Ctor::Len).collect(), true),
            },
            Ty::Num(kind) if !kind.is_float() => (intervals(int_range(ty), used), true),
            Ty::Duration => (intervals(int_range(ty), used), true),
            _ => (used.to_vec(), false),
        }
    }

    fn fields(&self, ty: &Ty, ctor: &Ctor) -> Vec<Ty> {
        match (ty, ctor) {
            (Ty::Tuple(ts), _) => ts.to_vec(),
            (Ty::Adt(id, args), ctor) => match (&self.checker.program.adt(*id).kind, ctor) {
                (AdtKind::Struct(fields), _) => fields.iter().map(|f| f.ty.subst(args)).collect(),
                (AdtKind::Actor(actor), _) => actor.fields.iter().map(|f| f.ty.subst(args)).collect(),
                (AdtKind::Enum(variants), Ctor::Variant(v)) => variants
                    .get(*v as usize)
                    .map_or(Vec::new(), |v| v.fields.iter().map(|f| f.ty.subst(args)).collect()),
                (AdtKind::Opaque, Ctor::Len(n)) => vec![args.first().cloned().unwrap_or(Ty::Error); *n],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn show(&self, ty: &Ty, ctor: &Ctor, parts: &[String]) -> String {
        let list = parts.join(", ");
        match ctor {
            Ctor::Bool(b) => b.to_string(),
            Ctor::Ints(low, high) => nearest_to_zero(*low, *high).to_string(),
            Ctor::Text(text) => format!("{text:?}"),
            Ctor::Float(bits) => f64::from_bits(*bits).to_string(),
            Ctor::Len(_) => format!("[{list}]"),
            Ctor::Single | Ctor::Variant(_) => match ty {
                Ty::Adt(id, _) => {
                    let adt = self.checker.program.adt(*id);
                    let name = match (&adt.kind, ctor) {
                        (AdtKind::Enum(variants), Ctor::Variant(v)) => variants[*v as usize].name.to_string(),
                        _ => adt.name.to_string(),
                    };
                    if parts.is_empty() { name } else { format!("{name}({list})") }
                }
                _ => format!("({list})"),
            },
        }
    }
}

/// A row for each alternative in its first column.
fn expand(row: &[Simple]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut heads: Vec<&Simple> = row.first().into_iter().collect();
    while let Some(head) = heads.pop() {
        match head {
            Simple::Or(alternatives) => heads.extend(alternatives.iter().rev()),
            head => rows.push(std::iter::once(head).chain(&row[1..]).cloned().collect()),
        }
    }
    rows
}

/// Whether the values of `ctor` are among those of `own`.
fn covers(own: &Ctor, ctor: &Ctor) -> bool {
    match (own, ctor) {
        (Ctor::Ints(a, b), Ctor::Ints(c, d)) => a <= c && d <= b,
        (own, ctor) => own == ctor,
    }
}

/// Each kind once, in the order of the patterns.
#[derive(Default)]
struct Used {
    list: Vec<Ctor>,
    seen: HashSet<Ctor>,
}

impl Used {
    fn add(&mut self, ctor: Ctor) {
        if self.seen.insert(ctor.clone()) {
            self.list.push(ctor);
        }
    }
}

fn heads(head: &Simple, used: &mut Used, longest: &mut usize) {
    match head {
        Simple::Wild => {}
        Simple::Ctor(ctor, _) => {
            if let Ctor::Len(n) = ctor {
                *longest = (*longest).max(*n);
            }
            used.add(ctor.clone());
        }
        Simple::Longer(before, after) => {
            *longest = (*longest).max(before.len() + after.len());
            used.add(Ctor::Len(before.len() + after.len()));
        }
        Simple::Or(alternatives) => alternatives.iter().for_each(|a| heads(a, used, longest)),
    }
}

/// The whole range cut at every end that a pattern names.
fn intervals((low, high): (i128, i128), used: &[Ctor]) -> Vec<Ctor> {
    let mut cuts = vec![low, high + 1];
    for ctor in used {
        if let Ctor::Ints(a, b) = ctor {
            cuts.push((*a).clamp(low, high + 1));
            cuts.push((*b + 1).clamp(low, high + 1));
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut ranges: Vec<(i128, i128)> = cuts.windows(2).map(|w| (w[0], w[1] - 1)).collect();
    // A missed case is shown by a number that a reader would think of.
    ranges.sort_by_key(|&(low, high)| (nearest_to_zero(low, high).unsigned_abs(), low < 0));
    ranges.into_iter().map(|(low, high)| Ctor::Ints(low, high)).collect()
}

fn nearest_to_zero(low: i128, high: i128) -> i128 {
    0.clamp(low, high)
}

/// The rows that are left of a row for values of that kind, its parts in front.
fn specialise(row: &[Simple], ctor: &Ctor, n_fields: usize) -> Vec<Row> {
    let with = |parts: Vec<Simple>| {
        let mut out = parts;
        out.resize(n_fields, Simple::Wild);
        out.extend_from_slice(&row[1..]);
        out
    };
    match &row[0] {
        Simple::Wild => vec![with(Vec::new())],
        Simple::Ctor(own, parts) => {
            if covers(own, ctor) {
                vec![with(parts.clone())]
            } else {
                Vec::new()
            }
        }
        Simple::Longer(before, after) => match ctor {
            Ctor::Len(n) if *n >= before.len() + after.len() => {
                let mut parts = before.clone();
                parts.resize(n - after.len(), Simple::Wild);
                parts.extend(after.iter().cloned());
                vec![with(parts)]
            }
            _ => Vec::new(),
        },
        Simple::Or(alternatives) => alternatives
            .iter()
            .flat_map(|alternative| {
                let mut one = vec![alternative.clone()];
                one.extend_from_slice(&row[1..]);
                specialise(&one, ctor, n_fields)
            })
            .collect(),
    }
}

/// The rows that take any value in the first column, without it.
fn defaults(row: &[Simple]) -> Vec<Row> {
    match &row[0] {
        Simple::Wild => vec![row[1..].to_vec()],
        Simple::Or(alternatives) if alternatives.iter().any(|a| matches!(a, Simple::Wild)) => vec![row[1..].to_vec()],
        _ => Vec::new(),
    }
}
