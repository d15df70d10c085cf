"""Kernels on 1 MiB in the cache and a product of 1024 x 1024 matrices, STARK beside PyTorch in eager mode, on one thread, in turns.

    python bench/models/kernels.py STARK

Needs torch. The best of three turns counts; a ratio above 1 means that STARK is faster.
"""

import argparse
import pathlib
import subprocess
import time

import torch


def best_of(work, seconds=1.0):
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    x, gain = torch.randn(256, 1024), torch.randn(1024)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    peers = {
        "exp": lambda: x.exp(),
        "softmax": lambda: x.softmax(-1),
        "layer_norm": lambda: torch.nn.functional.layer_norm(x, [1024], gain, gain),
        "gelu": lambda: torch.nn.functional.gelu(x),
        "sgemm 1024": lambda: a @ b,
    }
    command = [args.stark, "run", "--workers", "1", pathlib.Path(__file__).with_name("kernels.stark")]
    ours, theirs = {name: [] for name in peers}, {name: [] for name in peers}
    with torch.inference_mode():
        for _ in range(3):
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)
            for row in done.stdout.splitlines():
                name, _, us = row.rpartition(" ")
                ours[name].append(float(us))
            for name, work in peers.items():
                theirs[name].append(best_of(work, 0.5))
    print("| kernel | STARK | PyTorch | ratio |\n| --- | --- | --- | --- |")
    for name in peers:
        us, peer = min(ours[name]), min(theirs[name])
        if name.startswith("sgemm"):
            rate = lambda us: f"{2 * 1024**3 / us / 1e3:.0f} GFLOP/s"
        else:
            # Read once, written once.
            rate = lambda us: f"{2 * 4 * 256 * 1024 / us / 1e3:.1f} GB/s"
        print(f"| {name} | {rate(us)} | {rate(peer)} | {peer / us:.2f} |")


main()
