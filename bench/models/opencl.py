"""A product of matrices and a whole model on the OpenCL device and on the processor, all of STARK, on all cores, in turns.

    python bench/models/opencl.py STARK [MODEL INPUTS]

MODEL and INPUTS as for `stark model bench`; `make.py` makes some. A ratio of 1 means that the device is as fast as the
processor's own kernels.
"""

import argparse
import json
import pathlib
import subprocess


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout.splitlines()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path, nargs="?")
    parser.add_argument("inputs", type=pathlib.Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=2)
    args = parser.parse_args()
    print("| what | OpenCL, ms | processor, ms | ratio |\n| --- | --- | --- | --- |")
    for row in run(args.stark, "run", pathlib.Path(__file__).with_name("opencl.stark")):
        n, there, here = row.split()
        there, here = float(there), float(here)
        print(f"| product of {n} x {n} | {there:.2f} | {here:.2f} | {here / there:.2f} |")
    if args.model:
        best = {"opencl": float("inf"), "cpu": float("inf")}
        for _ in range(3):
            for device in best:
                bench = [args.stark, "model", "bench", args.model, "--inputs", args.inputs, "--device", device]
                figures = json.loads(run(*bench, "--seconds", args.seconds, "--threads", 2)[-1])
                best[device] = min(best[device], figures["median_ms"])
        there, here = best["opencl"], best["cpu"]
        print(f"| {args.model.stem}, {args.inputs.stem} | {there:.2f} | {here:.2f} | {here / there:.2f} |")


main()
