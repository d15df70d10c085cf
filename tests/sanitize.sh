#!/usr/bin/env bash
# The runtime under a sanitizer: what programs do to memory, or what their threads do to each other.
#
#     tests/sanitize.sh address      # freed and foreign memory: unit tests, the corpus in both tiers, stress
#     tests/sanitize.sh thread       # races: the scheduler's tests and what is concurrent, on four workers
#
# Needs the nightly toolchain; for threads its sources, too (rustup component add rust-src --toolchain nightly), as the
# standard library is built with it: a lock that the sanitizer does not see orders nothing. STARK_MODELS=FOLDER is where the
# model files are, STARK_CORPUS=FOLDER names another corpus to run, STARK_JIT=always what is compiled to run as machine code.
set -euo pipefail
self="$(realpath "$0")"
corpora=()
[ -z "${STARK_CORPUS:-}" ] || corpora+=("$(realpath "$STARK_CORPUS")")
cd "$(dirname "$self")/.."
models="$(realpath "${STARK_MODELS:-../shared/models}")"
[ -d "$models" ] || { echo "the cases need the model files: STARK_MODELS=FOLDER" >&2; exit 2; }

which="${1:-}"
# Absolute, as reports are written by processes that run in folders of their own.
mkdir -p "${CARGO_TARGET_DIR:-target}/sanitize"
target="$(realpath "${CARGO_TARGET_DIR:-target}")/sanitize"
host="$(rustc -vV | sed -n 's/^host: //p')"
reports="$target/reports"
build=(--target "$host" --target-dir "$target")
case "$which" in
    address)
        flags="-Zsanitizer=address"
        # Code, programs and tables that live as long as the process are leaked on purpose, so a leak is no finding here;
        # that values are given back is tested by counting (tests/faults, tools/stark/tests/memory.rs).
        export ASAN_OPTIONS="exitcode=77:detect_leaks=0:log_path=$reports/report"
        tiers=(off always)
        parts=("*")
        crates=(-p stark-vm -p stark-scheduler)
        ;;
    thread)
        # A fence is no order to the sanitizer; with this crossbeam uses accesses instead, and of triomphe, below, a copy does.
        flags="-Zsanitizer=thread --cfg crossbeam_sanitize_thread"
        export TSAN_OPTIONS="exitcode=77:suppressions=$PWD/tests/sanitize.thread:log_path=$reports/report"
        # Machine code is made without the sanitizer's calls: what it reads and writes would not be seen. With STARK_JIT=always
        # the rest is, which is less.
        tiers=("${STARK_JIT:-off}")
        parts=("08-*" "09-*" "10-*" "11-*")
        crates=(-p stark-scheduler)
        build+=(-Zbuild-std)
        # The last drop of a triomphe::Arc looks at the count again where it has a fence, as std's own does under the sanitizer.
        # The copy takes the crate's place by path, which leaves Cargo.lock as it is.
        copy="$target/triomphe"
        rm -rf "$copy"
        mkdir -p "$target"
        cp -r "$(cargo metadata --locked --format-version 1 | python3 -c '
import json, os, sys
found = [p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "triomphe"]
print(os.path.dirname(*found))')" "$copy"
        sed -i 's/^\( *\)atomic::fence(Acquire);$/\1let _ = self.inner().count.load(Acquire);/' "$copy/src/arc.rs"
        if grep -rn "fence(" "$copy/src"; then
            echo "triomphe has a fence that tests/sanitize.sh does not know" >&2
            exit 2
        fi
        build+=(--config "paths=['$copy']")
        ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$self" >&2
        exit 2
        ;;
esac
export RUSTUP_TOOLCHAIN=nightly RUSTFLAGS="$flags"
rm -rf "$reports" "$target/corpus"
mkdir -p "$reports" "$target/corpus"
# The cases find models beside their folder.
cp -r tests/conformance "$target/corpus"
ln -s "$models" "$target/corpus/models"
corpora+=("$target/corpus/conformance")

# Debug builds, for their assertions; without mimalloc, so that the sanitizer sees each object.
cargo build "${build[@]}" -p stark --no-default-features
stark="$target/$host/debug/stark"
failed=0
run() {
    echo "== $*"
    "$@" || { echo "FAILED: $*"; failed=1; }
}
# An instrumented program takes longer than the corpus allows.
corpus() {
    python3 -c 'import sys; sys.path.insert(0, sys.argv.pop(1)); import run; run.TIMEOUT = 300.0; sys.exit(run.main())' \
        "$1" --stark "$stark" --filter "$2"
}

export STARK_WORKERS=4
for tier in "${tiers[@]}"; do
    export STARK_JIT="$tier"
    for folder in "${corpora[@]}"; do
        for part in "${parts[@]}"; do
            run corpus "$folder" "$part"
        done
    done
    run "$stark" run tests/chaos/chaos.stark 300 12 40 1 3
    run "$stark" run tests/overload/overload.stark 2000
    for program in tests/jit/*.stark; do
        # What they print, and whether they end with an error, is the other tests' matter.
        "$stark" run "$program" > /dev/null 2>&1 || true
    done
    for program in tests/faults/*.stark; do
        # They name their models by place.
        (cd tests/faults; run "$stark" test "$(basename "$program")" --faults --schedules 1; exit $failed) || failed=1
    done
done

# Last: with the features that they have by themselves, most of what they need is built once more.
unset STARK_WORKERS STARK_JIT
run cargo test "${build[@]}" "${crates[@]}" --lib --tests
# The threads that kernels have where there are no workers.
[ "$which" = address ] || run cargo test "${build[@]}" -p stark-kernels --lib threads

for report in "$reports"/*; do
    [ -e "$report" ] || continue
    failed=1
    cat "$report"
done
exit $failed
