"""`parallel_tensor_map` of a five-operation function over 10^7 elements, STARK beside PyTorch in eager mode and a copy, in turns.

    python bench/models/map.py STARK FOLDER [--threads 2]

Makes an environment with torch in FOLDER/venv unless torch is there (some gigabytes). The best of five turns counts; a
ratio above 1 means that STARK is faster.
"""

import argparse
import pathlib
import subprocess
import sys
import time


def best_of(work, n=15):
    times = []
    for _ in range(n):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times) * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        python = args.folder / "venv/bin/python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", args.folder / "venv"], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", "torch", "numpy"], check=True)
        raise SystemExit(subprocess.run([python, *sys.argv]).returncode)
    torch.set_num_threads(args.threads)
    x = torch.rand(10_000_000)
    command = [args.stark, "run", "--workers", args.threads, pathlib.Path(__file__).with_name("map.stark")]
    ours, eager, copy = [], [], []
    for _ in range(5):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)
        ours.append(float(done.stdout))
        eager.append(best_of(lambda: (x * 2.0 + 1.0) * x - x / 3.0))
        copy.append(best_of(lambda: x.clone()))
    ours, eager, copy = min(ours), min(eager), min(copy)
    print("| STARK, ms | PyTorch eager, ms | ratio | a copy, ms |\n| --- | --- | --- | --- |")
    print(f"| {ours:.2f} | {eager:.2f} | {eager / ours:.2f} | {copy:.2f} |")


main()
