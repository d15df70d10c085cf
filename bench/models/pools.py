"""Pools of planes of several sizes, beside ONNX Runtime: one operator a model, one thread.

    python bench/models/pools.py STARK FOLDER [--seconds 0.4] [--turns 3]

The models are made in FOLDER. The two take turns, and the best run of each counts. Needs numpy, onnx and onnxruntime.
"""

import argparse
import json
import pathlib
import subprocess
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from make import save_safetensors

PLANES = [[1, 64, 112, 112], [8, 64, 56, 56], [1, 256, 14, 14], [1, 512, 7, 7]]
WINDOWS = {
    "2/2": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "3/2": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "3/1": {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]},
}


def pool(path, operator, shape, window):
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    node = helper.make_node(operator, ["x"], ["y"], **window)
    graph = helper.make_graph([node], "pool", [value("x", shape)], [value("y", None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def theirs(path, x, seconds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        session.run(None, {"x": x})
        best = min(best, time.perf_counter() - begun)
    return best * 1e3


def ours(stark, path, given, seconds):
    command = [stark, "model", "bench", path, "--inputs", given, "--threads", "1", "--seconds", str(seconds)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(out.strip().splitlines()[-1])["min_ms"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    path, given = args.folder / "pool.onnx", args.folder / "pool.safetensors"
    print("| operator | window/stride | planes | STARK, ms | ONNX Runtime, ms | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for shape in PLANES:
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        save_safetensors(given, {"in.0": x})
        for operator in ["MaxPool", "AveragePool"]:
            for name, window in WINDOWS.items():
                pool(path, operator, shape, window)
                turns = [(ours(args.stark, path, given, args.seconds), theirs(path, x, args.seconds)) for _ in range(args.turns)]
                a, b = (min(side) for side in zip(*turns))
                print(f"| {operator} | {name} | {shape} | {a:.4f} | {b:.4f} | {a / b:.2f} |", flush=True)


main()
