"""Models of the usual shapes with seeded random weights, as ONNX files with inputs: speed does not depend on the weights.

    python bench/models/make.py FOLDER

Needs numpy and onnx. Writes NAME.onnx and NAME.bB.safetensors (tensors in.0, in.1 … for batch size B).
"""

import json
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {"float32": "F32", "int64": "I64"}


def save_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": TYPES[str(array.dtype)], "shape": list(array.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Net:
    """A graph in the making. Each method adds nodes and gives the name of the result."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.n = [], [], 0

    def name(self, what):
        self.n += 1
        return f"{what}_{self.n}"

    def const(self, array):
        name = self.name("w")
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape, fan_in=None):
        scale = 1 / np.sqrt(fan_in or shape[0])
        return self.const((self.random.standard_normal(shape) * scale).astype(np.float32))

    def op(self, kind, *inputs, **attributes):
        name = self.name(kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, x, n_in, n_out):
        return self.op("Add", self.op("MatMul", x, self.weight(n_in, n_out)), self.weight(n_out, fan_in=100))

    def norm(self, x, width):
        ones = self.const(np.ones(width, np.float32))
        return self.op("LayerNormalization", x, ones, self.weight(width, fan_in=100), axis=-1, epsilon=1e-5)

    def gelu(self, x):
        erf = self.op("Erf", self.op("Div", x, self.const(np.float32(np.sqrt(2)))))
        plus = self.op("Mul", x, self.op("Add", erf, self.const(np.float32(1))))
        return self.op("Mul", plus, self.const(np.float32(0.5)))

    def attention(self, x, width, heads, mask=None):
        split = self.const(np.array([0, -1, heads, width // heads], np.int64))
        join = self.const(np.array([0, -1, width], np.int64))
        turned = {}
        for part, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            turned[part] = self.op("Transpose", self.op("Reshape", self.linear(x, width, width), split), perm=perm)
        scale = self.const(np.float32(np.sqrt(width // heads)))
        scores = self.op("Div", self.op("MatMul", turned["q"], turned["k"]), scale)
        if mask:
            scores = self.op("Add", scores, mask)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), turned["v"])
        mixed = self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), join)
        return self.linear(mixed, width, width)

    def conv(self, x, n_in, n_out, k, stride=1, groups=1, pad=None):
        pad = k // 2 if pad is None else pad
        weight = self.weight(n_out, n_in // groups, k, k, fan_in=n_in // groups * k * k)
        bias = self.weight(n_out, fan_in=100)
        return self.op("Conv", x, weight, bias, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4, group=groups)

    def save(self, path, inputs, *outputs):
        inputs = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
        outs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs]
        graph = helper.make_graph(self.nodes, "bench", inputs, outs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
        model.ir_version = 9
        onnx.save(model, path)


def minilm(path, layers=6, width=384, heads=12, vocabulary=1000):
    """The shape of MiniLM-L6: post-norm blocks, a mask of padding, mean pooling."""
    net = Net(1)
    mask = net.op("Cast", "mask", to=TensorProto.FLOAT)
    wide = net.op("Unsqueeze", mask, net.const(np.array([1, 2], np.int64)))
    lowest = net.const(np.float32(-1e9))
    wide = net.op("Mul", net.op("Sub", net.const(np.float32(1)), wide), lowest)
    x = net.op("Gather", net.weight(vocabulary, width, fan_in=1), "ids")
    x = net.norm(x, width)
    for _ in range(layers):
        x = net.norm(net.op("Add", x, net.attention(x, width, heads, wide)), width)
        inner = net.linear(net.gelu(net.linear(x, width, 4 * width)), 4 * width, width)
        x = net.norm(net.op("Add", x, inner), width)
    kept = net.op("Mul", x, net.op("Unsqueeze", mask, net.const(np.array([2], np.int64))))
    total = net.op("ReduceSum", kept, net.const(np.array([1], np.int64)), keepdims=0)
    count = net.op("ReduceSum", mask, net.const(np.array([1], np.int64)), keepdims=1)
    out = net.op("Div", total, count)
    net.save(path, [("ids", TensorProto.INT64, ["b", "s"]), ("mask", TensorProto.INT64, ["b", "s"])], out)


def gpt(path, layers, width, heads, vocabulary, length=512):
    """One step of a GPT with a key-value cache: a token, its predecessors' keys and values in one tensor, as generate.stark keeps it."""
    net = Net(5)
    size = width // heads
    split, join = (net.const(np.array(shape, np.int64)) for shape in ([0, -1, heads, size], [0, -1, width]))
    axes = {n: net.const(np.array([n], np.int64)) for n in (0, 1)}
    position = net.op("Gather", net.op("Shape", "past"), net.const(np.array([[4]], np.int64)))
    embedding = net.weight(vocabulary, width, fan_in=width)
    x = net.op("Add", net.op("Gather", embedding, "ids"), net.op("Gather", net.weight(length, width, fan_in=width), position))
    kept = []
    for layer in range(layers):
        past = net.op("Gather", "past", net.const(np.int64(layer)), axis=0)
        y, parts = net.norm(x, width), {}
        for i, part in enumerate("qkv"):
            parts[part] = net.op("Transpose", net.op("Reshape", net.linear(y, width, width), split), perm=[0, 2, 1, 3])
            if part != "q":
                before = net.op("Gather", past, net.const(np.int64(i - 1)), axis=0)
                parts[part] = net.op("Concat", before, parts[part], axis=2)
        kept.append(net.op("Concat", *(net.op("Unsqueeze", parts[part], axes[0]) for part in "kv"), axis=0))
        scores = net.op("MatMul", parts["q"], net.op("Transpose", parts["k"], perm=[0, 1, 3, 2]))
        scores = net.op("Softmax", net.op("Div", scores, net.const(np.float32(np.sqrt(size)))), axis=-1)
        mixed = net.op("Transpose", net.op("MatMul", scores, parts["v"]), perm=[0, 2, 1, 3])
        x = net.op("Add", x, net.linear(net.op("Reshape", mixed, join), width, width))
        inner = net.linear(net.gelu(net.linear(net.norm(x, width), width, 4 * width)), 4 * width, width)
        x = net.op("Add", x, inner)
    logits = net.op("MatMul", net.norm(x, width), net.weight(width, vocabulary))
    logits = net.op("Squeeze", logits, axes[1])
    present = net.op("Concat", *(net.op("Unsqueeze", k, axes[0]) for k in kept), axis=0)
    past = [layers, 2, 1, heads, "p", size]
    inputs = [("ids", TensorProto.INT64, [1, 1]), ("past", TensorProto.FLOAT, past)]
    net.save(path, inputs, logits, present)


def resnet18(path):
    net = Net(2)
    x = net.op("Relu", net.conv("x", 3, 64, 7, 2))
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    n = 64
    for stage, width in enumerate([64, 128, 256, 512]):
        for block in range(2):
            stride = 2 if stage and not block else 1
            side = net.conv(x, n, width, 1, stride) if stride == 2 else x
            y = net.op("Relu", net.conv(x, n, width, 3, stride))
            x = net.op("Relu", net.op("Add", net.conv(y, width, width, 3), side))
            n = width
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    out = net.op("Gemm", x, net.weight(1000, 512, fan_in=512), net.weight(1000, fan_in=100), transB=1)
    net.save(path, [("x", TensorProto.FLOAT, ["b", 3, 224, 224])], out)


def vit_small(path, layers=12, width=384, heads=6):
    net = Net(3)
    x = net.conv("x", 3, width, 16, 16, pad=0)
    x = net.op("Transpose", net.op("Reshape", x, net.const(np.array([0, width, -1], np.int64))), perm=[0, 2, 1])
    x = net.op("Add", x, net.weight(1, 196, width, fan_in=100))
    for _ in range(layers):
        x = net.op("Add", x, net.attention(net.norm(x, width), width, heads))
        inner = net.linear(net.gelu(net.linear(net.norm(x, width), width, 4 * width)), 4 * width, width)
        x = net.op("Add", x, inner)
    x = net.op("ReduceMean", net.norm(x, width), net.const(np.array([1], np.int64)), keepdims=0)
    net.save(path, [("x", TensorProto.FLOAT, ["b", 3, 224, 224])], net.linear(x, width, 1000))


def mobilenet(path):
    """Inverted residuals: pointwise, depthwise, pointwise, with hard swish."""
    net = Net(4)
    x = net.op("HardSwish", net.conv("x", 3, 16, 3, 2))
    n = 16
    for width, expand, k, stride in [(16, 16, 3, 2), (24, 72, 3, 2), (24, 88, 3, 1), (40, 96, 5, 2), (40, 240, 5, 1),
                                     (40, 240, 5, 1), (48, 120, 5, 1), (48, 144, 5, 1), (96, 288, 5, 2), (96, 576, 5, 1)]:
        y = net.op("HardSwish", net.conv(x, n, expand, 1))
        y = net.op("HardSwish", net.conv(y, expand, expand, k, stride, expand))
        y = net.conv(y, expand, width, 1)
        x = net.op("Add", x, y) if n == width and stride == 1 else y
        n = width
    x = net.op("Flatten", net.op("GlobalAveragePool", net.op("HardSwish", net.conv(x, n, 576, 1))))
    out = net.op("Gemm", x, net.weight(1000, 576, fan_in=576), net.weight(1000, fan_in=100), transB=1)
    net.save(path, [("x", TensorProto.FLOAT, ["b", 3, 224, 224])], out)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    minilm(folder / "minilm.onnx")
    resnet18(folder / "resnet18.onnx")
    vit_small(folder / "vit_small.onnx")
    mobilenet(folder / "mobilenet.onnx")
    for name, sizes, shape in [
        ("resnet18", [1, 8], [3, 224, 224]), ("vit_small", [1, 8], [3, 224, 224]), ("mobilenet", [1, 8], [3, 224, 224]),
        ("digits_mlp", [1, 32], [64]), ("digits_cnn", [1, 32], [1, 8, 8]),
    ]:
        for b in sizes:
            x = random.standard_normal([b, *shape]).astype(np.float32)
            save_safetensors(folder / f"{name}.b{b}.safetensors", {"in.0": x})
    for length in [32, 128]:
        for b in [1, 8]:
            ids = random.integers(0, 1000, [b, length])
            mask = np.ones([b, length], np.int64)
            mask[-1, length - 5:] = 0
            save_safetensors(folder / f"minilm_s{length}.b{b}.safetensors", {"in.0": ids, "in.1": mask})


if __name__ == "__main__":
    main()
