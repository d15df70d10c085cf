"""The table of speeds: STARK beside ONNX Runtime and PyTorch, every row with its goal and whether it is reached, in one run.

    python bench/models/table.py STARK FOLDER MODELS [--seconds 0.4] [--only ROW]

Makes an environment in FOLDER/venv (torch, onnx, onnxruntime, numpy, safetensors: some gigabytes) unless the packages are there,
and the models that are missing in FOLDER. MODELS is the folder of the fixtures. Takes ten minutes or so; nothing else should
run meanwhile. Rows are printed as they are done. Ends with 0 however they are.
"""

import argparse
import importlib.util
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PACKAGES = ["torch", "onnx", "onnxruntime", "numpy", "safetensors"]
# Model: goal and stretch of the ratio to ONNX Runtime's time.
GOALS = {"digits_mlp": (0.7, 0.3), "digits_cnn": (0.7, 0.3), "minilm_s32": (0.9, 0.6), "minilm_s128": (0.9, 0.6), "vit_small": (1.0, 0.65),
         "resnet18": (1.0, 0.65), "mobilenet": (1.1, 0.7)}


def reenter(folder):
    """Goes on in the environment that has the packages."""
    python = folder / "venv/bin/python"
    if pathlib.Path(sys.prefix) == (folder / "venv").resolve():
        raise SystemExit(f"{folder}/venv lacks a package of {', '.join(PACKAGES)}: remove it, it is made again")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    raise SystemExit(subprocess.run([python, *sys.argv]).returncode)


def verdict(figure, goal, stretch, is_most):
    """`is_most`: the figure should be at most the goal."""
    reaches = lambda limit: limit is not None and (figure <= limit if is_most else figure >= limit)
    return "stretch" if reaches(stretch) else "reached" if reaches(goal) else "NOT reached"


def models(args):
    import numpy as np
    from compare import ours, peer, read_safetensors
    from torchscript import Traced

    print("| model | batch | threads | STARK, ms | ONNX Runtime, ms | ratio | TorchScript, ms | ratio | goal | stretch | |\n" + "| --- " * 11 + "|")
    for threads in (1, 2):
        for inputs in sorted(args.folder.glob("*.b*.safetensors")):
            name, batch, _ = inputs.name.split(".")
            if name not in GOALS or args.only not in name:
                continue
            file = re.sub("_s[0-9]+$", "", name)
            folder = args.models if file.startswith("digits") else args.folder
            model, given = folder / f"{file}.onnx", read_safetensors(inputs)
            traced = Traced(file, folder / f"{file}.pt", [given[f"in.{i}"] for i in range(len(given))], threads)
            best = [float("inf")] * 3
            for _ in range(3):
                a, b = ours(args.stark, model, inputs, threads, args.seconds), peer(model, given, threads, args.seconds)
                turn = [a[0], b[0], traced.median_ms(args.seconds)]
                best = [min(x) for x in zip(best, turn)]
                for i, want in enumerate(b[2]):
                    assert np.allclose(a[2][f"out.{i}"], want, rtol=1e-3, atol=1e-4), f"{name}: output {i} differs"
            a, b, c = best
            goal, stretch = GOALS[name]
            row = f"| {name} | {batch[1:]} | {threads} | {a:.4g} | {b:.4g} | {a / b:.2f} | {c:.4g} | {a / c:.2f}"
            print(f"{row} | ≤ {goal} | ≤ {stretch} | {verdict(a / b, goal, stretch, True)} |", flush=True)


def told(script, *args):
    """The rows of the table that another script prints, and its other lines."""
    done = subprocess.run([sys.executable, HERE / script, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    lines = done.stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:], [line for line in lines if not line.startswith("|")]


def others(args):
    print("\n| row | measured | goal | stretch | |\n" + "| --- " * 5 + "|")

    def show(what, figure, unit, goal, stretch, is_most=False):
        sign = "≤" if is_most else "≥"
        limits = [f"{sign} {limit}" if limit is not None else "" for limit in (goal, stretch)]
        print(f"| {what} | {figure:.3g}{unit} | {' | '.join(limits)} | {verdict(figure, goal, stretch, is_most)} |", flush=True)

    if args.only in "generator":
        for name, a, b, ratio in told("generate.py", args.stark, args.folder, "--count", 100)[0]:
            show(f"generator {name}: {a} tokens/s, ONNX Runtime {b}", float(ratio), "x", 1.2, 2)
    if args.only in "kernels":
        for name, a, b, ratio, *_ in told("kernels.py", args.stark)[0]:
            limits = (1.8, 2.2) if name.startswith("sgemm") else (1.8, 3)
            show(f"{name}: {a}, PyTorch {b}", float(ratio), "x", *limits)
    if args.only in "map":
        for a, b, ratio, copy in told("map.py", args.stark, args.folder)[0]:
            # Near the bandwidth of a copy: the eager time by that of a copy.
            near = round(float(b) / float(copy) * 0.8, 1)
            show(f"parallel_tensor_map: {a} ms, PyTorch eager {b}, a copy {copy}", float(ratio), "x", 2, near)
    if args.only in "ready":
        for threads in (1, 2):
            [line] = told("ready.py", args.stark, args.folder, args.models, "--threads", threads)[1]
            show(line.rpartition(",")[0], float(line.split()[-1]), "", 0.5, 0.1, True)
    if args.only in "opencl":
        for name, a, b, ratio in told("opencl.py", args.stark, args.folder / "minilm.onnx", args.folder / "minilm_s128.b1.safetensors")[0]:
            limits = (0.5, 0.8) if "minilm" in name else (0.8, 1.0)
            show(f"OpenCL, {name}: {a} ms, processor {b}", float(ratio), "x", *limits)
    if args.only in "memory":
        model = args.folder / "minilm.onnx"
        run = [args.stark, "run", HERE / "memory.stark", model, "128"]
        done = subprocess.run(list(map(str, run)), capture_output=True, text=True, check=True)
        weights = model.stat().st_size / 2**20
        resident = float(re.search(r"serving (\d+)", done.stdout)[1])
        show(f"memory while serving MiniLM, beyond its weights: {resident:.0f} of {weights:.0f} MiB", resident - weights, " MiB", 60, 30, True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--only", default="", help="a part of a model's name, or generator, kernels, map, ready, opencl, memory")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if not all(importlib.util.find_spec(name) for name in PACKAGES):
        reenter(args.folder)
    if not (args.folder / "mobilenet.b8.safetensors").exists():
        subprocess.run([sys.executable, HERE / "make.py", args.folder], check=True)
    models(args)
    others(args)


main()
