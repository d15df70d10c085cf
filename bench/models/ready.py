"""From the file to the first prediction, in process, beside ONNX Runtime's creation of a session for a model as large.

    python bench/models/ready.py STARK FOLDER MODELS [--threads 1] [--turns 12]

FOLDER is what make.py wrote (minilm.onnx), MODELS has embedder.pt and the cases recorded for it: the same network, 45 MB.
The two take turns, and the best of each counts: other work on the machine only ever makes one slower. Needs numpy, onnx and
onnxruntime.
"""

import argparse
import pathlib
import tempfile

from compare import ours, read_safetensors, session_of
from make import save_safetensors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=12)
    args = parser.parse_args()
    recorded = read_safetensors(args.models / "embedder.io.safetensors")
    inputs = [recorded[f"case2.in.{name}"] for name in ("input_ids", "attention_mask")]
    ready, session = [], []
    with tempfile.TemporaryDirectory() as folder:
        given = pathlib.Path(folder) / "in.safetensors"
        save_safetensors(given, {f"in.{i}": x for i, x in enumerate(inputs)})
        for _ in range(args.turns):
            ready.append(ours(args.stark, args.models / "embedder.pt", given, args.threads, 0.001)[1])
            session.append(session_of(args.folder / "minilm.onnx", args.threads)[1])
    a, b = min(ready), min(session)
    print(f"embedder.pt, {args.threads} threads: ready after {a:.1f} ms, a session after {b:.1f} ms, ratio {a / b:.2f}")


main()
