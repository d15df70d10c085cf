"""Tokens a second of one stream with a key-value cache, STARK beside ONNX Runtime, in turns in the same run.

    python bench/models/generate.py STARK FOLDER [--threads 1] [--count 200]

Makes the models in FOLDER (with make.py) and an environment with numpy, onnx and onnxruntime in FOLDER/venv, unless
they are there. Both sides run the same file, take the likeliest token and keep the cache as the model gives it; the
best of five turns counts, and a ratio above 1 means that STARK is faster.
"""

import argparse
import pathlib
import subprocess
import sys

# name: layers, width, heads, vocabulary
MODELS = {"gpt_tiny": (2, 64, 4, 540), "gpt_small": (6, 384, 6, 8000)}


def reenter(folder):
    """Goes on in the environment that has the packages."""
    python = folder / "venv/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "numpy", "onnx", "onnxruntime"], check=True)
    raise SystemExit(subprocess.run([python, *sys.argv]).returncode)


def peer(path, shape, count, threads):
    import time

    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [spec.name for spec in session.get_inputs()]

    def tell(n):
        past, ids, told = np.zeros(shape, np.float32), np.array([[1]], np.int64), []
        for _ in range(n):
            logits, past = session.run(None, dict(zip(names, (ids, past))))
            told.append(int(logits.argmax()))
            ids = np.array([[told[-1]]], np.int64)
        return told

    tell(8)
    began = time.perf_counter()
    told = tell(count)
    return count / (time.perf_counter() - began), told[-8:]


def ours(stark, path, shape, count, threads):
    layers, _, _, heads, _, size = shape
    command = [stark, "run", "--workers", threads, pathlib.Path(__file__).with_name("generate.stark")]
    command += [path, layers, heads, size, count]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    rate, told = done.stdout.split(" ", 1)
    return float(rate), [int(n) for n in told.strip("[]\n ").split(",")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    try:
        import make
        import onnxruntime  # noqa: F401
    except ImportError:
        reenter(args.folder)
    print("| model | STARK, tokens/s | ONNX Runtime, tokens/s | ratio |\n| --- | --- | --- | --- |")
    for name, (layers, width, heads, vocabulary) in MODELS.items():
        path = args.folder / f"{name}.onnx"
        if not path.exists():
            make.gpt(path, layers, width, heads, vocabulary)
        shape = (layers, 2, 1, heads, 0, width // heads)
        best = [0.0, 0.0]
        for _ in range(5):
            rates = ours(args.stark, path, shape, args.count, args.threads), peer(path, shape, args.count, args.threads)
            if rates[0][1] != rates[1][1]:
                raise SystemExit(f"{name}: the last tokens are {rates[0][1]} and {rates[1][1]}")
            best = [max(b, rate) for b, (rate, _) in zip(best, rates)]
        print(f"| {name} | {best[0]:.0f} | {best[1]:.0f} | {best[0] / best[1]:.2f} |")


main()
