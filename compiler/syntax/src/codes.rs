//! Every diagnostic code, declared once: its name in our code, its number, its title and its page.
//!
//! `stark explain E0601` prints a page; the compiler writes `codes::TASK_MUTATES`. A page has a sentence or two, a program that
//! gets the code and a neighbour that does not. The tests of this crate read the examples too.

use crate::diagnostic::Code;

/// The page of a code.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub code: Code,
    pub title: &'static str,
    pub text: &'static str,
    /// A program that gets the code.
    pub wrong: &'static str,
    /// Its neighbour that does not.
    pub right: &'static str,
}

/// The page of `E0601` (in any letter case), if there is such a code.
pub fn page(code: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code.0.eq_ignore_ascii_case(code))
}

/// The page as `stark explain` prints it.
pub fn explain(page: &Page) -> String {
    let indent = |program: &str| program.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let mut out = format!("{}: {}\n\n{}\n", page.code.0, page.title, page.text);
    if !page.wrong.is_empty() {
        out += &format!("\nThis gets {}:\n\n{}", page.code.0, indent(page.wrong));
    }
    if !page.right.is_empty() {
        out += &format!("\nThis is fine:\n\n{}", indent(page.right));
    }
    out
}

/// Hands every row `NAME "E0000" "title" "text" "wrong" "right";` to the macro named.
#[macro_export]
macro_rules! for_each_code {
    ($reader:ident) => {
        $reader! {
            // --- text and layout --------------------------------------------------------------------------------
            TAB_IN_INDENTATION "E0001" "a tab in the indentation"
                "Blocks are told apart by spaces. A tab looks like a different number of spaces in every editor, so it may not stand in the indentation. Four spaces a level is the custom."
                "fn f() -> Int:\n\treturn 1"
                "fn f() -> Int:\n    return 1";
            OPEN_TEXT "E0002" "a text that is never closed"
                "A text in `\"` or `'` ends on the line it began on. A text that spans lines is written between `\"\"\"`."
                "let name = \"ada\nprint(name)"
                "let name = \"ada\"\nprint(name)";
            BAD_NUMBER "E0003" "a number that cannot be read"
                "A number is written in digits with `_` between them, with `0x`, `0o` or `0b` in front for other bases, with a type suffix such as `u8` or `f32`, or with a unit of time: `us`, `ms`, `s`, `m`, `h`."
                "let n = 12abc"
                "let n = 12\nlet mask = 0xffu8\nlet wait = 12ms";
            BAD_ESCAPE "E0004" "an escape that does not exist"
                "A backslash in a text begins one of `\\n \\t \\r \\0 \\\\ \\\" \\' \\u{1F600}`, and `\\x41` in bytes. Text with many backslashes is easier as `r\"raw\"`."
                "let path = \"C:\\data\""
                "let path = r\"C:\\data\"";
            BAD_CHARACTER "E0005" "a character that means nothing here"
                "The language's signs are ASCII. Curly quotes and special spaces come along when a program is copied from a document."
                "let price = 5 $ 2"
                "let price = 5 * 2";
            OPEN_COMMENT "E0006" "a block comment that is never closed"
                "A `/*` needs its `*/`. Block comments nest, so each one inside needs its own."
                "/* notes /* more */\nprint(1)"
                "/* notes /* more */ */\nprint(1)";
            INDENTATION "E0007" "an indentation that fits no block"
                "All lines of a block begin in the same column. A line further left closes blocks and must stand where one of the outer blocks stands; a line further right needs a `:` on the line before it."
                "if true:\n        print(1)\n    print(2)"
                "if true:\n    print(1)\n    print(2)";
            BAD_FORMAT "E0008" "a format text that cannot be read"
                "In `f\"…\"` braces hold an expression and, after a `:`, how to show it: fill and alignment `<^>`, width, precision, and one of `x b e % f`. A brace that is text is doubled: `{{`."
                "let n = 1\nprint(f\"{n\")"
                "let n = 1\nprint(f\"{n:>5} {{text}}\")";
            SOURCE_TOO_LARGE "E0009" "a source file that is too large"
                "A source file may have up to 16 MiB. Data of that size belongs in a file that the program reads."
                "" "";
            // --- syntax -----------------------------------------------------------------------------------------
            EXPECTED "E0101" "something else was expected here"
                "The text does not continue in a way the grammar knows. The message says what would fit."
                "let = 5"
                "let five = 5";
            EXPECTED_EXPRESSION "E0102" "an expression was expected here"
                "An operator, a bracket or a `=` needs a value after it. An expression ends with its line unless a bracket is open, so put parentheses around one that spans lines; a line that begins with `.` continues the one before it."
                "let total = 1 +\n    2"
                "let total = (1 +\n    2)";
            KEYWORD_AS_NAME "E0103" "a keyword where a name belongs"
                "Keywords cannot name variables, functions or types. After `.` and `::` any of them is an ordinary name."
                "let match = 3"
                "let matched = 3";
            MISSING_COLON "E0104" "a missing colon"
                "A `:` opens a block: after `if`, `while`, `for`, `match`, `fn`, `struct` and all others that have one."
                "if true\n    print(1)"
                "if true:\n    print(1)";
            MISSING_BLOCK "E0105" "a block without a statement"
                "After a `:` comes a statement on the same line, or lines that are indented deeper. `pass` is the statement that does nothing."
                "fn later():\nprint(1)"
                "fn later():\n    pass\nprint(1)";
            UNCLOSED_BRACKET "E0106" "a bracket that is never closed"
                "Every `(`, `[` and `{` needs its partner; line ends mean nothing until it comes."
                "let pair = (1, 2\nlet n = 3"
                "let pair = (1, 2)\nlet n = 3";
            STRAY_BRACKET "E0107" "a closing bracket without its opening one"
                "There is a `)`, `]` or `}` that closes nothing, or one of another kind than the bracket that is open."
                "print(1))"
                "print(1)";
            EXPECTED_LINE_END "E0108" "the statement should end here"
                "A statement ends with its line, or with a `;` before the next one."
                "let a = 1 let b = 2"
                "let a = 1; let b = 2";
            FOREIGN "E0109" "the way another language writes it"
                "STARK writes `and`, `or`, `not` for `&&`, `||`, `!`; `n += 1` for `n++`; `None` of an `Option` for `null`; `fn` for `def`; `else if` for `elif`; an indented block after `:` for braces; the line's end for `;`."
                "let ready = true && not false"
                "let ready = true and not false";
            CONDITIONAL "E0110" "a conditional in Python's order"
                "The condition comes first: `if c: x else: y` is an expression on one line."
                "let n = 3\nlet size = \"big\" if n > 2 else \"small\""
                "let n = 3\nlet size = if n > 2: \"big\" else: \"small\"";
            CHAINED_COMPARISON "E0111" "a chained comparison"
                "Comparisons do not chain: `a < b < c` would compare a truth value with `c`. Say both comparisons and join them with `and`."
                "let n = 3\nprint(1 < n < 5)"
                "let n = 3\nprint(1 < n and n < 5)";
            ASSIGN_IN_CONDITION "E0112" "an assignment where a condition belongs"
                "`=` assigns and is no expression; `==` compares."
                "let n = 3\nif n = 3: print(n)"
                "let n = 3\nif n == 3: print(n)";
            BAD_ASSIGNMENT "E0113" "an assignment to something that is no place"
                "What stands left of `=` is a variable, a field, an element, or a call that gives a place (`m.or_insert(k, 0) += 1`)."
                "let n = 3\nn + 1 = 4"
                "let mut n = 3\nn = 4";
            BAD_PATTERN_SYNTAX "E0114" "a pattern that cannot be read"
                "Patterns are literals, ranges, names, `_`, tuples, lists with one `..rest`, constructors, `A | B` and `name @ pattern`."
                "match [1, 2]:\n    [..a, ..b] => print(a)"
                "match [1, 2]:\n    [first, ..rest] => print(rest)\n    [] => pass";
            BAD_ITEM "E0115" "a declaration that does not belong here"
                "Structs and actors hold fields and functions, enums hold variants and functions, traits and impls hold functions. A body may be left out in a trait only."
                "struct Point:\n    x: Int\n    print(1)"
                "struct Point:\n    x: Int\n\nprint(Point(1))";
            ARM_ARROW "E0116" "a match arm without its arrow"
                "An arm is `pattern => expression`, or `pattern =>` and an indented block."
                "match 3:\n    1: print(\"one\")\n    _: print(\"more\")"
                "match 3:\n    1 => print(\"one\")\n    _ => print(\"more\")";
            NOT_A_CALL "E0117" "`spawn` without a call"
                "`spawn` starts a call, `spawn f(x)`, or a block, `spawn:`, in a task of its own."
                "fn work(): pass\nlet h = spawn work"
                "fn work(): pass\nlet h = spawn work()";
            FORMATTER "E0198" "formatting that would change the program"
                "`stark fmt` compares what it wrote with what it read, and leaves the text alone when the two would be read differently. This is a mistake of the formatter; please report the statement."
                "" "";
            NESTED_TOO_DEEP "E0199" "nesting that is too deep"
                "Brackets, blocks and types may stand 256 deep in each other, and one expression may be 500 operations high. Give parts a name with `let`."
                "" "";
            // --- names and modules ------------------------------------------------------------------------------
            UNKNOWN_NAME "E0201" "a name that is not known here"
                "No variable, function or type of that name is in scope. The message offers names that look alike."
                "let count = 1\nprint(coutn)"
                "let count = 1\nprint(count)";
            UNKNOWN_MODULE "E0202" "a module that does not exist"
                "`import a.b` looks for `a/b.stark` beside the program, then in the standard library."
                "import jsn"
                "import json";
            UNKNOWN_TYPE "E0203" "a type that is not known here"
                "No struct, enum, actor, trait, alias or built-in type has that name."
                "fn f(x: Colour): pass"
                "fn f(x: Int): pass";
            DUPLICATE_DEFINITION "E0204" "a name that is declared twice"
                "Functions, types, fields, variants and parameters of one scope have different names. Only `let` may use a name again."
                "fn f(): pass\nfn f(): pass"
                "fn f(): pass\nfn g(): pass";
            PRIVATE_NAME "E0205" "a private name of another module"
                "Names that begin with `_` stay in their module."
                "import helpers\nprint(helpers._mark(\"a\"))"
                "import helpers\nprint(helpers.shout(\"a\"))";
            UNKNOWN_IMPORT "E0206" "a module has no such name"
                "`from m import name` needs `name` to be declared in `m`."
                "from math import squareroot"
                "from math import sqrt";
            STATEMENT_IN_MODULE "E0207" "a statement in an imported module"
                "A module that is imported holds declarations only, so that importing it never runs anything. Move the statement into a function."
                "// helpers.stark, imported by another file\nprint(\"loading\")"
                "// helpers.stark, imported by another file\nfn load(): print(\"loading\")";
            NOT_A_VALUE "E0208" "a name of the wrong sort"
                "A module or a type stands where a value belongs, or a value where a type belongs."
                "let n = Int"
                "let n: Int = 1";
            USED_BEFORE_SET "E0209" "a variable that is read before it has a value"
                "A script runs from top to bottom: a function that reads a variable may be called only below its `let`."
                "fn show(): print(limit)\nshow()\nlet limit = 3"
                "fn show(): print(limit)\nlet limit = 3\nshow()";
            // --- types ------------------------------------------------------------------------------------------
            TYPE_MISMATCH "E0301" "a value of another type was expected"
                "The type that is needed here and the type of the value differ. Numbers are converted only where it is written: `Float(n)`, `x as Int32`."
                "let n: Int = \"three\""
                "let n: Int = 3";
            ARGUMENTS "E0302" "the arguments do not fit the parameters"
                "There are too many or too few arguments, a name that no parameter has, or a parameter that is given twice."
                "fn area(w: Int, h: Int) -> Int: return w * h\nprint(area(2))"
                "fn area(w: Int, h: Int) -> Int: return w * h\nprint(area(2, h = 3))";
            NO_SUCH_MEMBER "E0303" "no such field or method"
                "The type has no field, method, variant or associated function of that name."
                "print(\"ab\".uper())"
                "print(\"ab\".upper())";
            CANNOT_INFER "E0304" "a type that cannot be inferred"
                "Nothing says what the type is: an empty list, or a parameter of a closure that is not used where its type is known. State it."
                "let xs = []"
                "let xs: Vec<Int> = []";
            MISSING_RETURN "E0305" "a function that may end without its value"
                "A function whose type is not `()` returns a value on every way through. A recursive function must state its return type."
                "fn sign(n: Int) -> Int:\n    if n < 0: return -1"
                "fn sign(n: Int) -> Int:\n    if n < 0: return -1\n    return 1";
            BAD_OPERANDS "E0306" "an operator that does not work on these types"
                "Both operands of arithmetic have one type; user types take part through `Add`, `Sub`, `Mul` and their like."
                "print(true + false)"
                "print(true or false)";
            NOT_CALLABLE "E0308" "a value that cannot be called"
                "Functions, closures and types can be called; other values cannot."
                "let n = 3\nprint(n(1))"
                "let f = |x: Int| x + 1\nprint(f(1))";
            NOT_ITERABLE "E0309" "a value that cannot be looped over"
                "`for` takes ranges, vectors, maps, sets, texts, channels, datasets, tensors, and types that implement `Iterator`."
                "for i in 5: print(i)"
                "for i in 0..5: print(i)";
            NOT_EXHAUSTIVE "E0310" "a `match` that misses a case"
                "Every value that can come must fit an arm. The message shows one that does not; `_ =>` takes all the rest."
                "let b = true\nmatch b:\n    true => print(1)"
                "let b = true\nmatch b:\n    true => print(1)\n    false => print(0)";
            BAD_PATTERN "E0311" "a pattern that does not fit the value"
                "The pattern has another type than the value, names a field that is not there, or its alternatives bind different names."
                "match (1, 2):\n    (a, 0) | (0, b) => print(a)\n    _ => pass"
                "match (1, 2):\n    (a, 0) | (0, a) => print(a)\n    _ => pass";
            BAD_CAST "E0312" "an `as` between types that have no conversion"
                "`as` converts between number types. Texts are read with `int(…)` and `float(…)` and made with `str(…)`."
                "print(\"42\" as Int)"
                "print(int(\"42\"))";
            OUT_OF_RANGE "E0313" "a number that does not fit its type"
                "A literal must be in the range of the type that its place or suffix gives it."
                "let b: UInt8 = 300"
                "let b: UInt16 = 300";
            OUT_OF_PLACE "E0314" "`break`, `continue` or `return` out of place"
                "`break` and `continue` belong in a loop of the same function, `return` in a function or closure; an `async:` or `spawn:` block has the value of its last expression instead."
                "break"
                "while true:\n    break";
            RECURSIVE_TYPE "E0315" "a type that contains itself directly"
                "A value of such a type would never end. Put `Option`, `Vec`, `Map` or an enum variant in between."
                "struct Node:\n    next: Node"
                "struct Node:\n    next: Option<Node>";
            BAD_QUESTION_MARK "E0317" "a `?` that does not fit its function"
                "`e?` hands an `Err` or `None` to the caller, so the function must return a `Result` or an `Option` of that sort."
                "fn first(xs: Vec<Int>) -> Int: return xs.first()?"
                "fn first(xs: Vec<Int>) -> Option<Int>: return Some(xs.first()?)";
            BAD_ATTRIBUTE "E0318" "an attribute that does not fit"
                "Known attributes are `@batch` on an actor's handler, `@unique` on a type and `@test` on a function; their arguments have fixed names."
                "@fast\nfn f(): pass"
                "@test\nfn adds(): assert 1 + 1 == 2";
            BAD_FORMAT_SPEC "E0319" "a format that does not fit the value"
                "`x` and `b` show whole numbers, `.3`, `e` and `%` show floats, and a precision cuts text."
                "print(f\"{\"a\":x}\")"
                "print(f\"{255:x}\")";
            BAD_ACTOR "E0320" "an actor that cannot work like this"
                "A handler takes its parameters by value, is not `async`, has no `self` and no types of its own; an actor has at most one `on_receive` or `on_batch`, of one parameter. Batched ones take and give tensors, `on_batch` a `Vec`. The hooks `on_start` and `on_stop` take nothing, `on_error` the error. No method is called `new`, or as what every reference has: `ask`, `send`, `batch_ask`, `stop`, `kill`, `name`, `is_alive`, `get_stats`."
                "actor A:\n    fn on_receive(&self, n: Int) -> Int: return n"
                "actor A:\n    fn on_receive(n: Int) -> Int: return n";
            BAD_AWAIT "E0321" "an `await` of something that does not wait"
                "`await` takes futures, task handles and tuples of them."
                "print(await 3)"
                "async fn three() -> Int: return 3\nprint(await three())";
            BAD_MAIN "E0322" "a `main` together with statements"
                "A program is a script with statements at its top level, or it declares `fn main()` without parameters; not both."
                "fn main(): print(1)\nprint(2)"
                "fn main(): print(1)";
            // --- traits and generics ----------------------------------------------------------------------------
            MISSING_METHOD "E0401" "an `impl` that does not fit its trait"
                "The trait is not known, a method it requires is missing, or one has another signature than the trait says."
                "trait Shape:\n    fn area(&self) -> Float\nstruct Dot:\n    x: Int\nimpl Shape for Dot:\n    fn size(&self) -> Float: return 0.0"
                "trait Shape:\n    fn area(&self) -> Float\nstruct Dot:\n    x: Int\nimpl Shape for Dot:\n    fn area(&self) -> Float: return 0.0";
            BOUND_NOT_MET "E0402" "a type that lacks a trait it needs"
                "The function or type asks for a trait (`T: Ord`) that this type does not implement."
                "fn largest<T: Ord>(a: T, b: T) -> T: return if a > b: a else: b\nprint(largest(|x: Int| x, |x: Int| x))"
                "fn largest<T: Ord>(a: T, b: T) -> T: return if a > b: a else: b\nprint(largest(1, 2))";
            DUPLICATE_IMPL "E0403" "a trait implemented twice for one type"
                "A type implements a trait once."
                "struct P:\n    x: Int\nimpl Show for P:\n    fn show(&self) -> String: return \"a\"\nimpl Show for P:\n    fn show(&self) -> String: return \"b\""
                "struct P:\n    x: Int\nimpl Show for P:\n    fn show(&self) -> String: return \"a\"";
            TYPE_ARGUMENTS "E0404" "a wrong number of type arguments"
                "A generic type takes as many types as it has parameters."
                "let m: Map<String> = {}"
                "let m: Map<String, Int> = {}";
            TRAIT_AS_VALUE "E0405" "a trait that cannot be a value's type"
                "A trait's name is the type of a value of any implementor only if its methods take `&self`, do not name `Self`, and have a body if they have type parameters of their own."
                "trait Zero:\n    fn zero() -> Int\nfn f(z: Zero): pass"
                "trait Zero:\n    fn zero() -> Int\nfn f<T: Zero>(z: T) -> Int: return T::zero()";
            // --- ownership --------------------------------------------------------------------------------------
            EXCLUSIVE_ACCESS "E0501" "a place that is lent `&mut` and reached another way"
                "During a call no other path may reach what is lent `&mut`, neither another argument nor a value that is read from the place for one. Different fields of a struct are different places; elements of one list are not. A copy in a variable of its own is another place, and a method's arguments are there before its receiver is lent: `v.push(len(v))` is fine."
                "fn swap(a: &mut Int, b: &mut Int): pass\nlet mut n = 1\nswap(&mut n, &mut n)"
                "fn swap(a: &mut Int, b: &mut Int): pass\nlet mut n = 1\nlet mut m = 2\nswap(&mut n, &mut m)";
            ASSIGN_IMMUTABLE "E0502" "an assignment to something immutable"
                "`let` gives a name to a value for good; `let mut` gives a variable. Fields of an actor are changed only when they are `mut`."
                "let n = 1\nn += 1"
                "let mut n = 1\nn += 1";
            ASSIGN_CAPTURED "E0503" "an assignment to a captured variable"
                "A closure has its own copy of what it captures, so an assignment inside would be lost. Return the new value instead."
                "let mut total = 0\nlet add = |n: Int| -> Int:\n    total += n\n    return total"
                "let mut total = 0\nlet add = |n: Int| total + n\ntotal = add(1)";
            BORROW_ESCAPES "E0504" "a borrow that would outlive its call"
                "`&` and `&mut` lend a place for one call. A borrow cannot be stored in a variable, a field or a list, returned, sent, captured by a closure or given to a task, and a function value has no `&mut` parameters. Give the value itself: it is copied only when one of the two is changed."
                "let n = 1\nlet r = &n"
                "fn show(n: &Int): print(n)\nlet n = 1\nshow(&n)";
            USE_AFTER_MOVE "E0505" "a unique value that was moved away"
                "Futures, task handles, files and types marked `@unique` have one owner, and so has everything that holds one: a list of futures, a struct with a handle. Assigning such a value, passing it, awaiting it, looping over it, taking it into a task and a method that takes `self` move it; `&` and `&self` only look at it. After a move the place can be used again when it is given a new value. It counts as moved when it may have been: in one branch, or in an earlier round of a loop. What is only lent with `&` cannot be moved, and what is lent `&mut` goes back with a value in it."
                "async fn one() -> Int: return 1\nlet f = one()\nlet g = f\nprint(await f)"
                "async fn one() -> Int: return 1\nlet mut f = one()\nprint(await f)\nf = one()\nprint(await f)";
            NOT_A_PLACE "E0506" "a value that cannot be lent or assigned"
                "`&mut` lends a variable, a field or an element of one. A value that was just made has no place to write back to."
                "fn bump(n: &mut Int): n += 1\nbump(&mut 3)"
                "fn bump(n: &mut Int): n += 1\nlet mut n = 3\nbump(&mut n)";
            MUT_MISSING "E0507" "an argument without its `&mut`"
                "What a call may change is marked where it is called."
                "fn bump(n: &mut Int): n += 1\nlet mut n = 3\nbump(n)"
                "fn bump(n: &mut Int): n += 1\nlet mut n = 3\nbump(&mut n)";
            // --- tasks and zones --------------------------------------------------------------------------------
            TASK_MUTATES "E0601" "a task changes a variable of the task around it"
                "Each task has its own copy of what it takes along, so the change would be lost, or would be a data race. Tasks are `spawn` and `async` blocks, and the closures that `parallel_map` and its like, `s.spawn` of a `scope`, and `then`, `map`, `catch` of a future run. Return the value and join, send it through a channel, or keep it in a `shared let`."
                "let mut total = 0\nlet h = spawn:\n    total += 1\nh.join()"
                "let h = spawn:\n    1\nlet total = h.join()";
            ZONE_WITHOUT_GUARD "E0602" "a shared zone without its guard"
                "A zone is reached through `read()` or `write()` only."
                "shared let n: Shared<Int> = 0\nprint(n + 1)"
                "shared let n: Shared<Int> = 0\nwith n.read() as v: print(v + 1)";
            SUSPEND_WITH_GUARD "E0603" "waiting while a guard is held"
                "All others would wait for the zone meanwhile. What may wait is `await`, `sleep`, a receive or send, a `scope`, a request, and every function that comes to one of them, also through a closure or a trait's method. Take what you need out of the zone, let the guard go, then wait."
                "shared let n: Shared<Int> = 0\nwith n.write() as v:\n    sleep(1s)\n    v += 1"
                "shared let n: Shared<Int> = 0\nsleep(1s)\nwith n.write() as v: v += 1";
            GUARD_ESCAPES "E0604" "a guard that would outlive its expression"
                "A guard lasts for the expression it stands in, or for the block of its `with`. It cannot be kept, returned, captured or sent."
                "shared let zone: SharedMap<String, Int>\nlet guard = zone.write()"
                "shared let zone: SharedMap<String, Int>\nzone.write().insert(\"a\", 1)";
            ZONE_LOCKED_TWICE "E0605" "a zone taken while it is held"
                "The task would wait for itself, also when a function that is called meanwhile takes the zone. Take what is needed into a variable before, or use one guard for both."
                "shared let n: Shared<Int> = 0\nwith n.write() as v:\n    with n.read() as w: v += w"
                "shared let n: Shared<Int> = 0\nwith n.write() as v: v += v";
            CANNOT_CROSS "E0606" "a value that cannot cross to another task"
                "Lock guards and task groups stay in their task. A unique value has one owner: one task can take it, with `spawn:`, as an argument, or in a closure that runs once (`s.spawn(|| await f)`), but it cannot be copied into several, into a closure that may run many times, or to every subscriber of a channel."
                "async fn one() -> Int: return 1\nlet f = one()\nprint(parallel_map([1, 2], |x| x + await f))"
                "async fn one() -> Int: return 1\nlet n = await one()\nprint(parallel_map([1, 2], |x| x + n))";
            BARE_FUTURE "E0610" "a future that nobody waits for"
                "A `Future` that is dropped is cancelled, so the call would do nothing. Await it, keep it, or say `.detach()`."
                "async fn work(): pass\nwork()"
                "async fn work(): pass\nawait work()";
            UNUSED_FUTURE "W0610" "a future that is never used"
                "It is cancelled when its variable ends: await it, or say `.detach()`. As text it is `Future`, whatever it gives: `await` it before it is shown."
                "async fn work(): pass\nlet f = work()"
                "async fn work(): pass\nlet f = work()\nawait f";
            IGNORED_RESULT "W0611" "a `Result` that is ignored"
                "A failure would go unnoticed. Use `?`, `match` or `unwrap()`, or give it to `_`."
                "\"x\".to_int()"
                "let n = \"7\".to_int().unwrap_or(0)\nprint(n)";
            LOCK_ORDER "W0620" "zones taken in opposite orders"
                "Two tasks that each hold one zone and wait for the other never go on. Taking a zone in a function that is called counts, and so does a circle of three or more. Take them in one order everywhere."
                "shared let a: Shared<Int> = 0\nshared let b: Shared<Int> = 0\nfn f():\n    with a.write() as x:\n        with b.write() as y: x += y\nfn g():\n    with b.write() as y:\n        with a.write() as x: y += x"
                "shared let a: Shared<Int> = 0\nshared let b: Shared<Int> = 0\nfn f():\n    with a.write() as x:\n        with b.write() as y: x += y\nfn g():\n    with a.write() as x:\n        with b.write() as y: y += x";
            ASK_CIRCLE "W0621" "actors that ask each other in a circle"
                "Each would wait for the other's answer, since an actor takes no other message while it waits. One of them can use `send`, or answer before it asks."
                "actor A:\n    b: ActorRef<B>\n    fn on_receive(n: Int) -> Int: return await b.ask(n)\nactor B:\n    a: ActorRef<A>\n    fn on_receive(n: Int) -> Int: return await a.ask(n)"
                "actor A:\n    b: ActorRef<B>\n    fn on_receive(n: Int) -> Int: return await b.ask(n)\nactor B:\n    fn on_receive(n: Int) -> Int: return n";
            NOTHING_SENDS "W0622" "a receive that nothing sends to"
                "The channel is never given to anyone who could send, and never closed."
                "let ch: Channel<Int> = channel()\nprint(ch.recv())"
                "let ch: Channel<Int> = channel()\nch.send(1)\nprint(ch.recv())";
            // --- tensors and models -----------------------------------------------------------------------------
            SHAPES_DIFFER "E0701" "tensor shapes that do not go together"
                "The message shows both shapes and the axis where they differ."
                "let a: Tensor<Float32>[2, 3] = ones([2, 3])\nprint(a @ a)"
                "let a: Tensor<Float32>[2, 3] = ones([2, 3])\nprint(a @ a.transpose(0, 1))";
            ELEMENTS_DIFFER "E0702" "tensor element types that differ"
                "Tensors of different element types do not mix. Convert one with `.to(Float32)`."
                "let a: Tensor<Float32>[2] = ones([2])\nlet b: Tensor<Int64>[2] = tensor([1, 2])\nprint(a + b)"
                "let a: Tensor<Float32>[2] = ones([2])\nlet b: Tensor<Int64>[2] = tensor([1, 2])\nprint(a + b.to(Float32))";
            MODEL_DIFFERS "E0703" "a model whose file says otherwise"
                "The inputs and outputs that `Model<In, Out>` states are not those of the file."
                "let m: Model<Tensor<Float32>[_, 9], Tensor<Float32>[_, 10]> = load_model(\"digits_mlp.pt\")"
                "let m: Model<Tensor<Float32>[_, 64], Tensor<Float32>[_, 10]> = load_model(\"digits_mlp.pt\")";
            // --- limits -----------------------------------------------------------------------------------------
            TOO_LARGE "E0801" "a part of the program that is too large"
                "A function, a constant or the whole program passes a limit of the bytecode. The message says which one and how far."
                "" "";
            TOO_MANY_INSTANCES "E0802" "generic code without end"
                "A generic function calls itself with ever larger types, so there is no end of versions to compile."
                "fn f<T>(x: T, n: Int):\n    if n > 0: f([x], n - 1)\nf(1, 3)"
                "fn f<T>(x: T, n: Int):\n    if n > 0: f(x, n - 1)\nf(1, 3)";
            // --- packages ---------------------------------------------------------------------------------------
            BAD_MANIFEST "E0901" "a stark.toml that cannot be used"
                "A `stark.toml` has a `[package]` with `name`, `version` and `entry`, and may have `[dependencies]`, each `name = { path = \"../name\" }`, and `[assets]`, each `name = \"path\"`. Other keys are errors, so that a slip does not go unnoticed."
                ""
                "";
            BAD_DEPENDENCY "E0902" "a dependency that cannot be used"
                "A dependency is a folder with a `stark.toml` whose package has the name that is used for it. Packages do not depend on each other in a circle, and no two packages of a project have one name."
                ""
                "";
            // --- lints ------------------------------------------------------------------------------------------
            SWAPPED_ARGUMENTS "W0801" "arguments that look swapped"
                "An argument names another parameter of the same type than the one it is given to."
                "fn area(width: Int, height: Int) -> Int: return width * height\nlet width = 2\nlet height = 3\nprint(area(height, width))"
                "fn area(width: Int, height: Int) -> Int: return width * height\nlet width = 2\nlet height = 3\nprint(area(width, height))";
            UNUSED "W0802" "a variable or import that is never used"
                "Remove it, or begin its name with `_`."
                "fn f() -> Int:\n    let n = 1\n    return 2"
                "fn f() -> Int:\n    let n = 1\n    return n";
            UNREACHABLE "W0803" "code that is never reached"
                "The statement before it returns, throws, or leaves the loop."
                "fn f() -> Int:\n    return 1\n    print(2)"
                "fn f() -> Int:\n    print(2)\n    return 1";
            NO_EFFECT "W0804" "a statement that does nothing"
                "The value of the statement is not used. A function's name alone does not call it, and `==` compares."
                "fn step(): print(1)\nstep"
                "fn step(): print(1)\nstep()";
            EITHER_FORM "W0805" "a closure that does not say which form is meant"
                "The function takes a closure in several forms, and this one could be each: the type of its parameter decides, and is not written."
                "print(parallel_tensor_map(|x| x * 2.0, ones([3])))"
                "print(parallel_tensor_map(|x: Float32| x * 2.0, ones([3])))";
        }
    };
}

macro_rules! declare {
    ($($name:ident $code:literal $title:literal $text:literal $wrong:literal $right:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code($code);)*
        /// All pages, in the order of the table.
        pub const PAGES: &[Page] = &[$(Page { code: $name, title: $title, text: $text, wrong: $wrong, right: $right },)*];
    };
}
for_each_code!(declare);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_declared_once() {
        for (i, page) in PAGES.iter().enumerate() {
            assert!(!PAGES[..i].iter().any(|earlier| earlier.code == page.code), "{} twice", page.code.0);
            assert!(!page.title.ends_with('.') && page.text.ends_with('.'), "{}", page.code.0);
        }
    }

    #[test]
    fn a_page_is_found_in_any_letter_case() {
        assert_eq!(page("e0601").map(|page| page.code), Some(TASK_MUTATES));
        assert!(page("E9999").is_none());
        assert!(explain(page("E0002").unwrap()).starts_with("E0002: a text that is never closed\n\n"));
    }
}
