"""Recurrent layers in STARK and in ONNX Runtime, on one thread each, in turns in one run.

    python bench/models/recurrent.py target/release/stark

Needs torch, onnx, onnxruntime, numpy and safetensors, as the environment that bench/models/table.py makes has them.
Times are the shortest of all turns, in milliseconds; a ratio below 1 means that STARK is faster.
"""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import onnxruntime
import torch
from safetensors.torch import save_file

# Inputs, hidden numbers, layers, both directions, batch, steps.
SIZES = [
    (16, 32, 1, False, 1, 100),
    (64, 128, 1, False, 1, 50),
    (64, 128, 2, True, 1, 50),
    (64, 128, 1, False, 16, 50),
    (128, 512, 1, False, 1, 20),
    (32, 64, 1, False, 64, 20),
]
TURNS, SECONDS = 3, 0.3


class Layers(torch.nn.Module):
    def __init__(self, kind, inputs, hidden, layers, both):
        super().__init__()
        self.layers = getattr(torch.nn, kind)(inputs, hidden, layers, batch_first=True, bidirectional=both)

    def forward(self, x):
        return self.layers(x)[0]


def session(path, x):
    """The shortest run of ONNX Runtime within `SECONDS`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    run = onnxruntime.InferenceSession(path, options)
    given = {run.get_inputs()[0].name: x.numpy()}
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begun = time.perf_counter()
        run.run(None, given)
        best = min(best, time.perf_counter() - begun)
    return best * 1e3


def stark(binary, path, inputs):
    command = [binary, "model", "bench", path, "--inputs", inputs, "--threads", "1", "--seconds", str(SECONDS)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])["min_ms"]


def main():
    binary = sys.argv[1]
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    print("| layer | inputs, hidden | layers | batch | steps | STARK, ms | ONNX Runtime, ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        path, inputs = f"{folder}/layer.onnx", f"{folder}/x.safetensors"
        for kind in ("LSTM", "GRU", "RNN"):
            for numbers, hidden, layers, both, batch, steps in SIZES:
                module, x = Layers(kind, numbers, hidden, layers, both).eval(), torch.randn(batch, steps, numbers)
                with contextlib.redirect_stdout(io.StringIO()):
                    torch.onnx.export(module, (x,), path, dynamo=False, opset_version=17)
                save_file({"in.0": x}, inputs)
                peer, own = float("inf"), float("inf")
                for _ in range(TURNS):
                    peer, own = min(peer, session(path, x)), min(own, stark(binary, path, inputs))
                kinds = f"{layers}, both ways" if both else layers
                print(f"| {kind} | {numbers}, {hidden} | {kinds} | {batch} | {steps} | {own:.3f} | {peer:.3f} | {own / peer:.2f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(__doc__)
    main()
