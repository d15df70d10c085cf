"""STARK beside ONNX Runtime, one after the other in the same run; a ratio below 1 means that STARK is faster.

    python bench/models/compare.py STARK FOLDER [--models OTHER_FOLDER] [--threads 1] [--seconds 1] [--only NAME]

FOLDER is what make.py wrote; OTHER_FOLDER has digits_mlp.onnx and digits_cnn.onnx. Needs numpy and onnxruntime.
Each row is measured three times in turn, and the best median of each side counts: other work on the machine only
ever makes a run slower.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime

TYPES = {"F32": np.float32, "I64": np.int64}


def read_safetensors(path):
    raw = pathlib.Path(path).read_bytes()
    (n,) = struct.unpack("<Q", raw[:8])
    out = {}
    for name, entry in json.loads(raw[8 : 8 + n]).items():
        if name == "__metadata__":
            continue
        a, b = entry["data_offsets"]
        out[name] = np.frombuffer(raw[8 + n + a : 8 + n + b], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return out


def session_of(model, threads):
    """A session, and the milliseconds that making it took."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return session, (time.perf_counter() - start) * 1e3


def peer(model, inputs, threads, seconds):
    session, load = session_of(model, threads)
    given = {spec.name: inputs[f"in.{i}"] for i, spec in enumerate(session.get_inputs())}
    out = session.run(None, given)
    times, until = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < until:
        start = time.perf_counter()
        session.run(None, given)
        times.append(time.perf_counter() - start)
    return np.median(times) * 1e3, load, out


def ours(stark, model, inputs, threads, seconds):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.safetensors"
        command = [stark, "model", "bench", model, "--inputs", inputs, "--output", out]
        command += ["--threads", threads, "--seconds", seconds]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        result = json.loads(done.stdout.splitlines()[-1])
        return result["median_ms"], result["load_ms"] + result["first_ms"], read_safetensors(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    title = f"{'model':<14} {'batch':>5} {'stark ms':>10} {'ort ms':>10} {'ratio':>6} {'ready ms':>9} {'session ms':>10} {'error':>9}"
    print(title)
    for inputs in sorted(args.folder.glob("*.b*.safetensors")):
        name, batch, _ = inputs.name.split(".")
        if args.only not in f"{name}.{batch}":
            continue
        file = name.split("_s")[0] if name.startswith("minilm") else name
        model = args.folder / f"{file}.onnx"
        if not model.exists() and args.models:
            model = args.models / f"{file}.onnx"
        if not model.exists():
            continue
        given = read_safetensors(inputs)
        rounds = []
        for _ in range(3):
            a = ours(args.stark, model, inputs, args.threads, args.seconds)
            b = peer(model, given, args.threads, args.seconds)
            rounds.append((a, b))
        a, b = min(r[0][0] for r in rounds), min(r[1][0] for r in rounds)
        ready, session = min(r[0][1] for r in rounds), min(r[1][1] for r in rounds)
        (_, _, got), (_, _, want) = rounds[0]
        error = max(np.abs(got[f"out.{i}"] - w).max() / np.abs(w).max() for i, w in enumerate(want))
        row = f"{name:<14} {batch[1:]:>5} {a:>10.4f} {b:>10.4f} {a / b:>6.2f} {ready:>9.2f} {session:>10.2f} {error:>9.1e}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
