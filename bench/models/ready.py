"""From the file to the first prediction, in process, beside ONNX Runtime's creation of a session for a model as large.

    python bench/models/ready.py STARK FOLDER MODELS [--threads 1] [--turns 12]

FOLDER is what make.py wrote (minilm.onnx), MODELS has embedder.pt and the cases recorded for it: the same network, 45 MB.
The two take turns, and the best of each counts: other work on the machine only ever makes one slower. Needs onnxruntime.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import tempfile
import time

import onnxruntime


def inputs(recorded, case, names, to):
    """Writes the inputs of one recorded case as `stark model bench` takes them."""
    raw = recorded.read_bytes()
    (n,) = struct.unpack("<Q", raw[:8])
    header, data, out = json.loads(raw[8 : 8 + n]), b"", {}
    for i, name in enumerate(names):
        entry = header[f"{case}.in.{name}"]
        begin, end = entry["data_offsets"]
        out[f"in.{i}"] = {**entry, "data_offsets": [len(data), len(data) + end - begin]}
        data += raw[8 + n + begin : 8 + n + end]
    text = json.dumps(out).encode()
    text += b" " * (-len(text) % 8)
    to.write_bytes(struct.pack("<Q", len(text)) + text + data)


def ours(stark, model, given, threads):
    command = [stark, "model", "bench", model, "--inputs", given, "--threads", threads, "--seconds", 0.001]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    result = json.loads(done.stdout.splitlines()[-1])
    return result["load_ms"] + result["first_ms"]


def peer(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    start = time.perf_counter()
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return (time.perf_counter() - start) * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=12)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        given = pathlib.Path(folder) / "in.safetensors"
        inputs(args.models / "embedder.io.safetensors", "case2", ["input_ids", "attention_mask"], given)
        turns = [
            (ours(args.stark, args.models / "embedder.pt", given, args.threads), peer(args.folder / "minilm.onnx", args.threads))
            for _ in range(args.turns)
        ]
    a, b = min(a for a, _ in turns), min(b for _, b in turns)
    print(f"embedder.pt, {args.threads} threads: ready after {a:.1f} ms, a session after {b:.1f} ms, ratio {a / b:.2f}")


main()
