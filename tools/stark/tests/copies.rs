//! Values change in place while they have one owner: a loop copies nothing, however long it runs.
//!
//! Each case is a program that takes the number of rounds as its argument. `stark run --stats` says how many values were
//! copied because they were changed while shared; a hundred times the rounds must give the same number.

use libtest_mimic::{Arguments, Failed, Trial};
use stark_tests::process::run;
use std::path::Path;
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(60);

/// `N` is the number of rounds.
const CASES: &[(&str, &str)] = &[
    ("append", "let mut v: Vec<Int> = []\nfor i in 0..N:\n    v.push(i)\nprint(v.len())\n"),
    ("set_elements", "let mut v = [0] * 100\nfor i in 0..N:\n    v[i % 100] = i\nprint(v[0])\n"),
    (
        "compound_assignment_to_elements",
        "let mut v = [1.5] * 100\nfor i in 0..N:\n    v[i % 100] += 1.0\nprint(v[0] > 1.0)\n",
    ),
    ("sort", "let mut v = [3, 1, 2]\nfor i in 0..N:\n    v[0] = i\n    v.sort()\nprint(v.len())\n"),
    (
        "update_a_map",
        "let mut m: Map<Int, Int> = {}\nfor i in 0..N:\n    m[i % 10] = m.get_or(i % 10, 0) + 1\nprint(m.len())\n",
    ),
    (
        "compound_assignment_in_a_map",
        "let mut m = {\"a\": 1}\nfor _ in 0..N:\n    m[\"a\"] += 1\nprint(m[\"a\"] > 1)\n",
    ),
    ("add_to_a_set", "let mut s: Set<Int> = Set::new()\nfor i in 0..N:\n    s.insert(i % 50)\nprint(s.len())\n"),
    ("nested_vectors", "let mut grid = [[0, 0], [0, 0]]\nfor i in 0..N:\n    grid[i % 2][1] = i\nprint(grid.len())\n"),
    (
        "vectors_in_a_map",
        "let mut m: Map<String, Vec<Int>> = {\"a\": []}\nfor i in 0..N:\n    m[\"a\"].push(i)\nprint(m[\"a\"].len())\n",
    ),
    (
        "fields",
        "struct P:\n    x: Int\n    tags: Vec<Int>\nlet mut p = P(x = 0, tags = [])\nfor i in 0..N:\n    p.x += i\n    p.tags.push(i)\nprint(p.tags.len())\n",
    ),
    (
        "structs_in_a_vector",
        "struct P:\n    x: Int\n    y: Int\nlet mut ps = [P(x = 0, y = 0), P(x = 1, y = 1)]\nfor i in 0..N:\n    ps[i % 2].x += 1\nprint(ps[0].x > 0)\n",
    ),
    (
        "a_borrowed_parameter",
        "fn put(v: &mut Vec<Int>, x: Int):\n    v.push(x)\nlet mut v: Vec<Int> = []\nfor i in 0..N:\n    put(&mut v, i)\nprint(v.len())\n",
    ),
    (
        "a_method_on_the_caller_s_value",
        "struct Stack:\n    items: Vec<Int>\nimpl Stack:\n    fn push(&mut self, x: Int):\n        self.items.push(x)\nlet mut s = Stack(items = [])\nfor i in 0..N:\n    s.push(i)\nprint(s.items.len())\n",
    ),
    (
        "the_state_of_an_actor",
        "actor Log:\n    mut lines: Vec<Int> = []\n    fn on_receive(x: Int) -> Int:\n        lines.push(x)\n        return lines.len()\nlet log = spawn_actor(Log::new())\nlet mut n = 0\nfor i in 0..N:\n    n = log.ask(i).await\nprint(n)\n",
    ),
    ("text", "let mut s = \"\"\nfor _ in 0..N:\n    s += \"x\"\nprint(s.len())\n"),
];

fn copies(program: &str, rounds: usize) -> Result<u64, Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("case.stark"), program.replace('N', &rounds.to_string()))?;
    let stark = Path::new(env!("CARGO_BIN_EXE_stark"));
    let done = run(stark, &["run", "--stats", "case.stark"], folder.path(), &[], "", TIME_LIMIT);
    if done.status != Some(0) {
        return Err(format!("status {:?}\n{}", done.status, done.stderr).into());
    }
    let line = done.stderr.lines().find_map(|l| l.strip_prefix("stats: ")?.split_once(" values copied"));
    let (count, _) = line.ok_or_else(|| format!("no figure in:\n{}", done.stderr))?;
    Ok(count.parse()?)
}

fn main() {
    let args = Arguments::from_args();
    let mut trials: Vec<Trial> = CASES
        .iter()
        .map(|(name, program)| {
            Trial::test(*name, move || {
                let (few, many) = (copies(program, 10)?, copies(program, 1000)?);
                if few == many { Ok(()) } else { Err(format!("{few} copies in 10 rounds, {many} in 1000").into()) }
            })
        })
        .collect();
    trials.push(Trial::test("a_copy_that_must_be_is_counted", || {
        let program = "let mut v = [1, 2]\nfor i in 0..N:\n    let before = v\n    v.push(i)\n    assert before.len() + 1 == v.len()\nprint(v.len())\n";
        let n = copies(program, 10)?;
        if n >= 10 { Ok(()) } else { Err(format!("{n} copies counted, there are 10").into()) }
    }));
    libtest_mimic::run(&args, trials).exit();
}
