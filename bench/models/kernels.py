"""Kernels on 1 MiB in the cache and a product of 1024 x 1024 matrices, STARK beside PyTorch in eager mode, on one thread, in turns.

    python bench/models/kernels.py STARK

Needs torch, and a C compiler to measure what the core could do. The best of three turns counts; a ratio above 1 means that
STARK is faster. Beside the ratios stand the limits: a copy of 1 MiB to 1 MiB, which every kernel of one pass contains, and
for the product the fused multiplications and additions of 512 bits that the core can do, from registers alone.
"""

import argparse
import ctypes
import pathlib
import subprocess
import tempfile
import time

import torch


def best_of(work, seconds=1.0):
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1e6


# 24 sums of 16 numbers: enough for two units of four cycles each.
PEAK = """
#include <immintrin.h>
__attribute__((target("avx512f"))) float rounds(long n) {
    __m512 sums[24], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
    #pragma GCC unroll 24
    for (int i = 0; i < 24; i++) sums[i] = _mm512_set1_ps(i);
    for (long k = 0; k < n; k++) {
        #pragma GCC unroll 24
        for (int i = 0; i < 24; i++) sums[i] = _mm512_fmadd_ps(sums[i], x, y);
    }
    float all = 0;
    #pragma GCC unroll 24
    for (int i = 0; i < 24; i++) all += _mm512_reduce_add_ps(sums[i]);
    return all;
}
"""


def peak():
    """GFLOP/s of one core with 512 bits; None without AVX-512 or a compiler."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = pathlib.Path(folder, "peak.c"), pathlib.Path(folder, "peak.so")
        source.write_text(PEAK)
        try:
            subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        rounds = ctypes.CDLL(str(library)).rounds
        rounds.argtypes, rounds.restype = [ctypes.c_long], ctypes.c_float
        us = best_of(lambda: rounds(10_000), 0.5)
        return 10_000 * 24 * 16 * 2 / us / 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    x, gain = torch.randn(256, 1024), torch.randn(1024)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    out = torch.empty_like(x)
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
    with torch.inference_mode():
        copy = best_of(lambda: out.copy_(x), 0.5)
    limit = peak()
    print("| kernel | STARK | PyTorch | ratio | of the limit, STARK | PyTorch |\n| --- | --- | --- | --- | --- | --- |")
    for name in peers:
        us, peer = min(ours[name]), min(theirs[name])
        if name.startswith("sgemm"):
            flop = 2 * 1024**3
            rate = lambda us: f"{flop / us / 1e3:.0f} GFLOP/s"
            share = lambda us: f"{flop / us / 1e3 / limit:.0%}" if limit else "-"
        else:
            # Read once, written once.
            rate = lambda us: f"{2 * 4 * 256 * 1024 / us / 1e3:.1f} GB/s"
            share = lambda us: f"{copy / us:.0%}"
        print(f"| {name} | {rate(us)} | {rate(peer)} | {peer / us:.2f} | {share(us)} | {share(peer)} |")
    product = f"{limit:.0f} GFLOP/s" if limit else "not measured"
    print(f"\nLimits: a copy {2 * 4 * 256 * 1024 / copy / 1e3:.1f} GB/s, multiplications and additions {product}")


main()
