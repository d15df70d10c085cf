"""Writes data/norms.onnx: layer norm and RMS norm spelled out, as exporters before version 17 write them.

    python kernels/models/tests/norms_onnx.py

Needs onnx and numpy. Outputs: layer norm over the last axis (named -1, then 2), over the middle one, whose weights broadcast,
RMS norm by a quotient and by a reciprocal.
"""

import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

rng = np.random.default_rng(1)
nodes, constants = [], []


def constant(name, value):
    constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    return name


def node(kind, *inputs, **attributes):
    out = f"{kind.lower()}{len(nodes)}"
    nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
    return out


def mean(x, axis):
    return node("ReduceMean", x, axes=[axis], keepdims=1)


two, eps = constant("two", 2.0), constant("eps", 1e-5)
weight, bias = constant("weight", rng.normal(size=6)), constant("bias", rng.normal(size=6))


def layer_norm(x, axis):
    d = node("Sub", x, mean(x, axis))
    root = node("Sqrt", node("Add", mean(node("Pow", d, two), axis), eps))
    return node("Add", node("Mul", node("Div", d, root), weight), bias)


def rms_norm(x, reciprocal):
    root = node("Sqrt", node("Add", eps, mean(node("Mul", x, x), -1)))
    n = node("Mul", node("Reciprocal", root), x) if reciprocal else node("Div", x, root)
    return node("Mul", weight, n)


outputs = [layer_norm("x", -1), layer_norm("x", 2), layer_norm("x", 1), rms_norm("x", False), rms_norm("x", True)]
shape = ["a", "b", 6]
graph = helper.make_graph(
    nodes,
    "norms",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
    constants,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8, producer_name="")
save(model, pathlib.Path(__file__).with_name("data") / "norms.onnx")
