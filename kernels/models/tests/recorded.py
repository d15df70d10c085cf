"""Writes tests/data/recorded: small models with what they gave in PyTorch or ONNX Runtime (tests/suite/recorded.rs).

    python recorded.py    # made with torch 2.15, torchvision 0.29, onnx 1.23 and onnxruntime 1.32

Archives lose their debugging entries, so that they stay small.
"""

import copy
import enum
import pathlib
import warnings
import zipfile
from typing import Dict, List, Tuple

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from torch import nn
from torch.ao import quantization as q
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tensors import DTYPES, safetensors

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).resolve().parent / "data/recorded"


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy()]
    return [array for item in value for array in flat(item)]


def record(name, inputs, outputs):
    arrays = {f"in.{i}": np.asarray(x) for i, x in enumerate(inputs)}
    arrays |= {f"out.{i}": np.asarray(x) for i, x in enumerate(outputs)}
    (HERE / f"{name}.io.safetensors").write_bytes(safetensors(arrays))


def shrink(path):
    with zipfile.ZipFile(path) as archive:
        entries = [(e, archive.read(e)) for e in archive.infolist() if not e.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries:
            # Code may be packed, storages are mapped.
            is_text = entry.filename.endswith((".py", ".json"))
            kind = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(entry.filename), data, kind)


def traced(name, module, *inputs):
    with torch.no_grad():
        scripted = torch.jit.trace(module.eval(), inputs, check_trace=False)
        save(name, scripted, inputs, module(*inputs))


def scripted(name, module, *inputs):
    with torch.no_grad():
        save(name, torch.jit.script(module.eval()), inputs, module(*inputs))


def exported(name, module, *inputs, decomposed=False):
    program = torch.export.export(module.eval(), inputs)
    program = program.run_decompositions() if decomposed else program
    torch.export.save(program, HERE / f"{name}.pt2")
    shrink(HERE / f"{name}.pt2")
    record(name, [x.numpy() for x in inputs], flat(module(*inputs)))


def save(name, module, inputs, outputs):
    torch.jit.save(module, HERE / f"{name}.pt")
    shrink(HERE / f"{name}.pt")
    record(name, [x.numpy() for x in inputs], flat(outputs))


class Recurrent(nn.Module):
    """Layers of both kinds with states of their own, two layers deep in both directions."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(10, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x, h, c):
        y, (h, c) = self.lstm(x, (h, c))
        z, last = self.gru(y)
        return self.head(z), h, c, last


class InPlace(nn.Module):
    """A classifier whose layers change their values in place, and a mask that is filled by its parts."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardswish(inplace=True))
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Sequential(nn.Dropout(0.2, inplace=True), nn.Linear(8, 4))

    def forward(self, x):
        x = self.stem(x)
        y = self.conv(x)
        y += x
        y = torch.relu_(y)
        mask = torch.zeros(4)
        mask[0:2] = 1.0
        mask[2:3] = 2.0
        return self.head(y.mean([2, 3])) * mask


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(6, 5)
        self.gru = nn.GRUCell(6, 5)
        self.rnn = nn.RNNCell(6, 5)
        self.relu = nn.RNNCell(6, 5, nonlinearity="relu")

    def forward(self, x, h):
        a, c = self.lstm(x, (h, h))
        return a, c, self.gru(x, h), self.rnn(x, h), self.relu(x, h)


class Packed(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer = kind(6, 5, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x, lengths):
        pack = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.layer(pack)
        return pad_packed_sequence(y, batch_first=True, padding_value=-1.0, total_length=9)


class Tables(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(20, 8, mode="sum")
        self.table = nn.Embedding(20, 8)

    def forward(self, ids, offsets):
        return self.bag(ids, offsets), self.table(ids)


class Mode(enum.Enum):
    ADD = 1
    MUL = 2


class Layout(enum.Enum):
    FIRST = "channels_first"
    LAST = "channels_last"


class Rate(enum.Enum):
    LOW = 0.25
    HIGH = 4.0


class WithEnums(nn.Module):
    """Members of enums as attributes, arguments, in lists, and for what they stand for."""

    def __init__(self):
        super().__init__()
        self.mode, self.layout, self.rate = Mode.MUL, Layout.LAST, Rate.LOW
        self.linear = nn.Linear(4, 4)

    def pick(self, mode: Mode) -> int:
        return mode.value if mode == Mode.ADD else 7

    def forward(self, x: torch.Tensor):
        y = self.linear(x)
        y = y + 1 if self.mode == Mode.ADD else y * 2
        if self.layout != Layout.FIRST and self.layout.value == "channels_last":
            y = y - self.rate.value
        total = 0
        for mode in Mode:
            total += self.pick(mode)
        modes: List[Mode] = [Mode.ADD, self.mode]
        for mode in modes:
            if mode == Mode.MUL:
                total += 100 * mode.value
        return y * total, torch.tensor(total)


def enums():
    scripted("enums", WithEnums(), torch.randn(2, 4))
    with torch.no_grad():
        module, x = WithEnums().eval(), torch.randn(2, 4)
        save("enums_frozen", torch.jit.freeze(torch.jit.script(module)), [x], module(x))


def quantised():
    torch.manual_seed(1)
    recurrent = {nn.LSTM, nn.GRU, nn.Linear}
    x, h, c = torch.randn(3, 4, 6), torch.randn(4, 3, 5), torch.randn(4, 3, 5)
    for kind in (torch.qint8, torch.float16):
        bits = "int8" if kind is torch.qint8 else "float16"
        layers = q.quantize_dynamic(Recurrent(), recurrent, dtype=kind)
        (scripted if bits == "int8" else traced)(f"recurrent_{bits}", layers, x, h, c)
    cells = {nn.LSTMCell, nn.GRUCell, nn.RNNCell}
    traced("cells_int8", q.quantize_dynamic(Cells(), cells), torch.randn(3, 6), torch.randn(3, 5))
    packed = q.quantize_dynamic(Packed(nn.LSTM), {nn.LSTM})
    scripted("packed_int8", packed, torch.randn(3, 7, 6), torch.tensor([4, 7, 2]))
    rows = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3, bias=False)).eval()
    traced("linear_per_channel", q.quantize_dynamic(rows, {nn.Linear: q.per_channel_dynamic_qconfig}), torch.randn(4, 6))
    tables = Tables().eval()
    for table in (tables.bag, tables.table):
        table.qconfig = q.float_qparams_weight_only_qconfig
    tables = q.convert(q.prepare(tables))
    traced("tables", tables, torch.tensor([1, 2, 4, 5, 4, 3]), torch.tensor([0, 3]))


def packs():
    torch.manual_seed(2)
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        name = f"packed_{kind.__name__.lower()}"
        make = scripted if kind is nn.LSTM else traced
        make(name, Packed(kind), torch.randn(3, 7, 6), torch.tensor([4, 7, 2]))


class Rotary(nn.Module):
    """Rotary embeddings by complex numbers."""

    def __init__(self):
        super().__init__()
        angles = torch.outer(torch.arange(16), 100.0 ** -(torch.arange(0, 8, 2) / 8))
        self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles))

    def forward(self, x):
        pairs = torch.view_as_complex(x.float().reshape(x.shape[0], x.shape[1], x.shape[2], 4, 2))
        turns = self.turns[: x.shape[1]].view(1, x.shape[1], 1, 4)
        return torch.view_as_real(pairs * turns).flatten(3)


class Denoiser(nn.Module):
    """Speech in the field's usual way: a spectrum, a mask on it, a signal again."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(12))
        self.mask = nn.GRU(9, 9, batch_first=True)

    def forward(self, x):
        spectrum = torch.stft(x, 16, 4, 12, self.window, return_complex=True)
        mask = torch.sigmoid(self.mask(torch.log1p(spectrum.abs()).transpose(1, 2))[0]).transpose(1, 2)
        back = torch.istft(spectrum * mask, 16, 4, 12, self.window, length=x.shape[1])
        plain = torch.stft(x, 10, center=True, pad_mode="constant", normalized=True, onesided=False, return_complex=True)
        return back, spectrum.angle().cos(), torch.view_as_real(plain), torch.istft(plain, 10, normalized=True, onesided=False)


class Mixer(nn.Module):
    """Tokens mixed as FNet does, and filtered as GFNet does."""

    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(5, 4, 2))

    def forward(self, x):
        mixed = torch.fft.fftn(x, dim=(1, 2)).real
        spectrum = torch.fft.rfft2(x, norm="ortho") * torch.view_as_complex(self.filter)
        long = torch.fft.irfft(torch.fft.rfft(x.flatten(1), n=1200), n=1200)[:, :40]
        return mixed, torch.fft.irfft2(spectrum, s=(5, 6), norm="ortho"), long


class Operator(nn.Module):
    """A layer of a Fourier neural operator: complex weights, and a spectrum that is written in place."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3, 3, 2, dtype=torch.cfloat))
        self.skip = nn.Conv2d(2, 3, 1)

    def forward(self, x):
        spectrum = torch.fft.rfft2(x)
        out = torch.zeros(x.shape[0], 3, x.shape[2], x.shape[3] // 2 + 1, dtype=torch.cfloat)
        out[:, :, :3, :2] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, :3, :2], self.weight)
        out[:, :, -3:, :2] += torch.einsum("bixy,ioxy->boxy", spectrum[:, :, -3:, :2], self.weight.conj())
        return torch.fft.irfft2(out, s=(x.shape[2], x.shape[3])) + self.skip(x)


class Regions(nn.Module):
    def forward(self, x, boxes, scores):
        kept = torchvision.ops.nms(boxes, scores, 0.4)
        rows = torch.cat([torch.zeros(kept.shape[0], 1), boxes[kept]], 1)
        narrow = torchvision.ops.roi_align(x, rows, [2, 3], 0.5, 2, True)
        return kept, narrow, torchvision.ops.roi_align(x, rows, [3, 2], 0.7, -1, False)


class Pools(nn.Module):
    def forward(self, x, rows):
        return torchvision.ops.roi_pool(x, rows, [2, 3], 0.5), torch.ops.torchvision.roi_pool(x, rows, 0.7, 3, 2)


class Chains(nn.Module):
    def forward(self, row, a, b, c, column):
        return torch.linalg.multi_dot([a, b, c]), torch.linalg.multi_dot([row, a, b, c, column]), torch.linalg.multi_dot([row, a])


class Bounded(nn.Module):
    """Rows of a table that are shortened where they lie before they are looked up."""

    def __init__(self):
        super().__init__()
        self.long = nn.Embedding(12, 5, max_norm=1.5)
        self.wide = nn.Embedding(12, 5, max_norm=2.0, norm_type=1.0)

    def forward(self, i):
        return self.long(i), self.wide(i[0]), self.wide.weight.sum(1)


class Moved(nn.Module):
    """Convolutions whose windows move, with a mask and without."""

    def __init__(self):
        super().__init__()
        self.plain = torchvision.ops.DeformConv2d(4, 4, 3, padding=1, dilation=2, groups=2)
        self.masked = torchvision.ops.DeformConv2d(4, 2, (2, 3), stride=(1, 2), bias=False)

    def forward(self, x, offset, narrow, mask):
        return self.plain(x, offset), self.masked(x, narrow, mask)


def spectra():
    torch.manual_seed(4)
    scripted("denoiser", Denoiser(), torch.randn(2, 40))
    exported("mixer", Mixer(), torch.randn(2, 5, 6))
    exported("mixer_decomposed", Mixer(), torch.randn(2, 5, 6), decomposed=True)
    torch.manual_seed(7)
    traced("in_place", InPlace(), torch.randn(2, 3, 6, 6))
    torch.manual_seed(5)
    traced("operator", Operator(), torch.randn(2, 2, 8, 7))
    exported("operator_decomposed", Operator(), torch.randn(2, 2, 8, 7), decomposed=True)


class TurnedLayer(nn.Module):
    """A layer as GPT-2 has it, whose weights are `[inputs, outputs]`."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(5, 7)), nn.Parameter(torch.randn(7))

    def forward(self, x):
        return torch.relu(torch.addmm(self.bias, x, self.weight))


class BegunCache(nn.Module):
    """Attention with a cache that begins as an empty list of numbers, as those of transformers do."""

    def forward(self, x, past, mask):
        nothing = torch.tensor([])
        q, k, v = x.split(8, dim=-1)
        keys = torch.cat([torch.cat([nothing, past[0]], -2), k], -2)
        values = torch.cat([torch.cat([nothing, past[1]], -2), v], -2)
        out = nn.functional.scaled_dot_product_attention(q, keys, values, mask, scale=0.3)
        return out, torch.stack([torch.stack([keys, values])])


def generating():
    torch.manual_seed(11)
    traced("turned_layer", TurnedLayer(), torch.randn(3, 5))
    traced("begun_cache", BegunCache(), torch.randn(1, 2, 1, 24), torch.randn(2, 1, 2, 5, 8), torch.randn(1, 1, 1, 6))


def others():
    torch.manual_seed(3)
    traced("rotary", Rotary(), torch.randn(2, 5, 3, 8))
    corners = torch.rand(12, 2) * 6
    boxes = torch.cat([corners, corners + 1 + torch.rand(12, 2) * 6], 1)
    traced("regions", Regions(), torch.randn(1, 2, 9, 7), boxes, torch.rand(12))
    torch.manual_seed(8)
    moves = torch.randn(2, 36, 4, 5), torch.randn(2, 12, 5, 3), torch.rand(2, 6, 5, 3)
    exported("moved", Moved(), torch.randn(2, 4, 6, 7), *moves)
    rows = torch.tensor([[0, 1, 2, 9, 13], [1, 3.3, -2, 5.1, 4.7], [1, 0, 0, 0, 0], [0, 40, 40, 50, 50.0]])
    for record_as in (traced, exported):
        record_as(f"pools_{record_as.__name__}", Pools(), torch.randn(2, 2, 9, 7), rows)
        chain = torch.randn(4), torch.randn(4, 9), torch.randn(9, 2), torch.randn(2, 6), torch.randn(6)
        record_as(f"chains_{record_as.__name__}", Chains(), *chain)


def bounded():
    """A run shortens rows for good, so the models are made before it."""
    torch.manual_seed(9)
    places = torch.tensor([[3, 1, 3], [0, 7, 11]])
    exported("bounded", Bounded(), places)
    exported("bounded_decomposed", Bounded(), places, decomposed=True)
    module = Bounded()
    other = torch.jit.trace(copy.deepcopy(module), (torch.tensor([[3]]),), check_trace=False)
    with torch.no_grad():
        torch.jit.save(other, HERE / "bounded_traced.pt")
        shrink(HERE / "bounded_traced.pt")
        record("bounded_traced", [places.numpy()], flat(module(places)))


class Changed(nn.Module):
    """Changes what it has of its own, for each call: a counter, a cache, a weight that is scaled where it lies."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("cache", torch.zeros(6, 4))
        self.register_buffer("weight", torch.randn(4, 4))

    def forward(self, x):
        self.count.add_(1)
        before = self.cache.sum()
        self.cache[1:4] = x
        self.cache[2].mul_(2)
        self.weight.div_(2)
        return nn.functional.linear(self.cache, self.weight) + self.count, before, self.cache.t() * 1.0


class Strided(nn.Module):
    """Elements by their places: of a chunked sequence, and of images whose channels lie side by side."""

    def __init__(self, with_layouts):
        super().__init__()
        self.conv, self.with_layouts = nn.Conv2d(3, 4, 2), with_layouts

    def forward(self, x, y):
        heads = y.transpose(0, 1).reshape(4, 6, 2).view(4, 3, 2, 2)
        chunks = heads.as_strided([4, 5, 2, 2], [heads.stride(0), heads.stride(1) // 2, heads.stride(2), 1])
        planes = self.conv(x)
        if not self.with_layouts:
            return chunks, planes.as_strided([2, 9], [36, 1], 9)
        last = planes.to(memory_format=torch.channels_last)
        return chunks, planes.as_strided([2, 9], [36, 1], 9), last.as_strided([2, 3, 4], [36, 8, 1], 4)


class Rounds(nn.Module):
    def forward(self, x, y):
        from torch._higher_order_ops import scan
        from torch._higher_order_ops.map import map as each

        def step(carry, part):
            return carry * 0.5 + part, carry - part

        last, all_of = scan(step, torch.zeros(4), x, dim=0)
        return last, all_of, each(lambda a, b: a * b.sum(), x, y)


class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.conv(x).mean([2, 3])
            z = self.linear(y)
            return z.float(), (y @ y.t()).softmax(-1).float()


def changed():
    torch.manual_seed(8)
    for name, decomposed in (("changed", None), ("changed_in_place", False), ("changed_functional", True)):
        module, x = Changed().eval(), torch.randn(3, 4)
        with torch.no_grad():
            # Each call changes the module, so what it gives comes from a copy.
            outputs = flat(copy.deepcopy(module)(x))
            if decomposed is None:
                made = torch.jit.trace(copy.deepcopy(module), (x,), check_trace=False)
                state = module.state_dict()
                for key, value in made.state_dict().items():
                    value.copy_(state[key])
                torch.jit.save(made, HERE / f"{name}.pt")
                shrink(HERE / f"{name}.pt")
            else:
                program = torch.export.export(copy.deepcopy(module), (x,))
                torch.export.save(program.run_decompositions() if decomposed else program, HERE / f"{name}.pt2")
                shrink(HERE / f"{name}.pt2")
        record(name, [x.numpy()], outputs)
    inputs = torch.randn(2, 3, 4, 4), torch.randn(6, 2, 4)
    with torch.no_grad():
        traced("strided", Strided(False), *inputs)
        exported("strided_program", Strided(True), *inputs)
        exported("rounds", Rounds(), torch.randn(3, 4), torch.randn(2))
        exported("narrow_half", Narrow(), torch.randn(2, 3, 5, 5))


class Static(nn.Module):
    """Layers of whole numbers; results count steps of the last scale."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = q.QuantStub(), q.DeQuantStub()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.deep, self.deep_norm = nn.Conv2d(8, 8, 3, groups=8, stride=2), nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, 5)
        self.sum, self.join, self.product = (torch.ao.nn.quantized.FloatFunctional() for _ in range(3))

    def forward(self, x):
        y = self.relu(self.norm(self.conv(self.quant(x))))
        y = self.sum.add_relu(y, y)
        z = self.deep_norm(self.deep(nn.functional.max_pool2d(y, 2, 1)))
        z = self.join.cat([z, z], 1)[:, 4:12]
        z = self.product.mul(z, z)
        z = nn.functional.adaptive_avg_pool2d(z, 1).flatten(1)
        return self.dequant(nn.functional.relu(self.linear(z))) * self.steps

    steps: float = 1.0


def static():
    torch.manual_seed(9)
    torch.backends.quantized.engine = "x86"
    layers = q.fuse_modules(Static().eval(), [["conv", "norm", "relu"]])
    layers.qconfig = q.get_default_qconfig("x86")
    prepared = q.prepare(layers)
    for _ in range(4):
        prepared(torch.randn(2, 3, 9, 9))
    layers = q.convert(prepared)
    layers.steps = 1.0 / layers.linear.scale
    x = torch.randn(4, 3, 9, 9)
    traced("static_step", layers, x)
    scripted("static_script_step", layers, x)
    with torch.no_grad():
        save("static_frozen_step", torch.jit.freeze(torch.jit.script(layers)), (x,), layers(x))


class Nodes:
    """One ONNX model of single nodes side by side, and what ONNX Runtime gives for them."""

    def __init__(self, name):
        self.name, self.nodes, self.inputs, self.values, self.outputs = name, [], [], [], []
        self.constants = []
        self.random = np.random.default_rng(1)

    def floats(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)

    def bytes(self, *shape, signed=False):
        low, high, kind = (-128, 128, np.int8) if signed else (0, 256, np.uint8)
        return self.random.integers(low, high, shape).astype(kind)

    def add(self, op, *inputs, outputs=1, domain="com.microsoft", **attributes):
        names = []
        for value in inputs:
            if value is None:
                names.append("")
                continue
            names.append(f"x{len(self.inputs) + len(self.constants)}")
            kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
            # What ONNX Runtime wants as part of the model.
            if op == "DynamicQuantizeLSTM" and value.dtype == np.int8:
                self.constants.append(onnx.numpy_helper.from_array(value, names[-1]))
                continue
            self.inputs.append(onnx.helper.make_tensor_value_info(names[-1], kind, value.shape))
            self.values.append(value)
        # Which outputs are wanted: their number, or flags.
        wanted = [True] * outputs if isinstance(outputs, int) else outputs
        results = [f"{op}{len(self.nodes)}_{i}" if there else "" for i, there in enumerate(wanted)]
        self.outputs += [result for result in results if result]
        self.nodes.append(onnx.helper.make_node(op, names, results, domain=domain, **attributes))

    def save(self):
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in self.outputs]
        graph = onnx.helper.make_graph(self.nodes, "nodes", self.inputs, outputs, self.constants)
        opsets = [onnx.helper.make_opsetid(*name) for name in (("", 21), ("com.microsoft", 1), ("ai.onnx.ml", 3))]
        model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # More threads would quantise parts of a batch each by a range of its own.
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feeds = {info.name: value for info, value in zip(self.inputs, self.values)}
        onnx.save(model, HERE / f"{self.name}.onnx")
        record(self.name, self.values, session.run(None, feeds))


def standard():
    """Operators of the standard that no other file here has."""
    n = Nodes("standard")
    add = lambda *inputs, **attributes: n.add(*inputs, domain="", **attributes)
    ints = lambda *numbers: np.array(numbers, np.int64)
    signal = n.floats(2, 9, 1)
    add("DFT", signal, None, np.array(1, np.int64))
    add("DFT", signal, np.array(8, np.int64), np.array(1, np.int64), onesided=1)
    add("DFT", n.floats(1, 5, 2, 2), None, np.array(1, np.int64), inverse=1)
    add("STFT", n.floats(2, 40, 1), np.array(6, np.int64), n.floats(12), np.array(12, np.int64))
    mel = [np.array(6, np.int64), np.array(64, np.int64), np.array(8000, np.int64)]
    add("MelWeightMatrix", *mel, np.array(20.0, np.float32), np.array(3500.0, np.float32))
    add("Unique", np.array([3, 1, 1, 5, 3, 0], np.float32), outputs=4)
    add("Unique", np.array([[2, 1], [0, 4], [2, 1]], np.float32), axis=0, sorted=0, outputs=4)
    pooled, places = n.floats(1, 2, 2, 2), np.array([5, 7, 13, 15, 16, 18, 29, 31], np.int64).reshape(1, 2, 2, 2)
    add("MaxUnpool", pooled, places, kernel_shape=[2, 2], strides=[2, 2])
    add("Col2Im", n.floats(1, 8, 15), ints(4, 6), ints(2, 2), dilations=[1, 2], pads=[0, 1, 0, 0], strides=[1, 1])
    add("CenterCropPad", n.floats(5, 3, 4), ints(2, 8), axes=[0, 2])
    boxes = np.array([[0.5, 0.5, 6, 7], [2, 1, 4, 9]], np.float32)
    for ratio in (0, 2):
        where = {"output_height": 2, "output_width": 3, "sampling_ratio": ratio, "spatial_scale": 0.7}
        add("RoiAlign", n.floats(2, 2, 8, 8), boxes, ints(1, 0), **where)
    add("GridSample", n.floats(1, 2, 3, 4, 2), n.floats(1, 2, 2, 3, 3), padding_mode="reflection")
    add("AffineGrid", n.floats(2, 2, 3), ints(2, 1, 3, 4), align_corners=1)
    way = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    add("Resize", n.floats(1, 1, 5, 7), None, np.array([1, 1, 1.7, 0.6], np.float32), **way)
    n.save()


def transformers():
    n = Nodes("contrib_norms")
    x, skip, scale, beta = n.floats(2, 3, 8), n.floats(2, 3, 8), n.floats(8), n.floats(8)
    n.add("SkipLayerNormalization", x, skip, scale, beta, epsilon=1e-5)
    n.add("SkipLayerNormalization", x, skip, scale, beta, beta, outputs=[True, False, False, True])
    n.add("SkipSimplifiedLayerNormalization", x, skip, scale, outputs=[True, False, False, True], epsilon=1e-6)
    ids = np.array([[1, 3, 2], [5, 0, 4]], np.int32)
    segments = np.array([[0, 0, 1], [0, 1, 1]], np.int32)
    mask = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    tables = n.floats(6, 8), n.floats(5, 8), n.floats(2, 8)
    n.add("EmbedLayerNormalization", ids, segments, *tables, scale, beta, mask, outputs=3, epsilon=1e-5)
    n.add("EmbedLayerNormalization", ids, None, tables[0], tables[1], None, scale, beta, outputs=2)
    n.save()

    n = Nodes("contrib_batches")
    for flips in ({"transBatchA": 1}, {"transBatchB": 1, "transB": 1}, {"transBatchA": 1, "transA": 1, "alpha": 0.5}):
        left = (4, 3, 2, 6) if "transA" not in flips else (6, 3, 2, 4)
        x = n.floats(*left) if "transBatchA" in flips else n.floats(3, 2, 4, 6)
        y = n.floats(5, 3, 2, 6) if "transBatchB" in flips else n.floats(3, 2, 6, 5)
        n.add("FusedMatMul", x, y, **flips)
    n.save()

    n = Nodes("contrib_fused")
    x, w, z = n.floats(1, 2, 5, 5), n.floats(3, 2, 3, 3), n.floats(1, 3, 5, 5)
    n.add("FusedConv", x, w, n.floats(3), z, pads=[1, 1, 1, 1], activation="Relu")
    n.add("FusedConv", x, w, strides=[2, 2], activation="Clip", activation_params=[-0.5, 1.0])
    n.add("FusedConv", x, w, n.floats(3), activation="HardSigmoid", activation_params=[0.3, 0.4])
    n.add("FusedGemm", n.floats(3, 4), n.floats(5, 4), n.floats(5), transB=1, alpha=0.5, activation="LeakyRelu", activation_alpha=0.2)
    n.save()

    n = Nodes("contrib_attention")
    x, w, b = n.floats(2, 4, 8), n.floats(8, 24), n.floats(24)
    n.add("Attention", x, w, b, num_heads=2, outputs=1)
    n.add("Attention", x, w, b, np.array([3, 4], np.int32), num_heads=2)
    n.add("Attention", x, w, b, np.array([[1, 1, 1, 0], [0, 1, 1, 1]], np.int32), num_heads=4, unidirectional=1)
    past = n.floats(2, 2, 2, 3, 4)
    n.add("Attention", x, w, b, None, past, num_heads=2, unidirectional=1, outputs=2)
    n.add("Attention", x, w, b, None, None, n.floats(1, 2, 4, 4), num_heads=2, scale=0.3)
    q, k, v = n.floats(2, 4, 8), n.floats(2, 5, 8), n.floats(2, 5, 8)
    n.add("MultiHeadAttention", q, k, v, num_heads=2)
    n.add("MultiHeadAttention", q, k, v, n.floats(24), np.array([3, 5], np.int32), num_heads=2)
    n.add("MultiHeadAttention", q, k, v, None, np.array([[1, 1, 1, 1, 0], [0, 1, 1, 1, 1]], np.int32), n.floats(2, 2, 4, 5), num_heads=2)
    pasts = n.floats(2, 2, 3, 4), n.floats(2, 2, 3, 4)
    n.add("MultiHeadAttention", q, q, q, None, None, None, *pasts, num_heads=2, unidirectional=1, outputs=3)
    n.add("MultiHeadAttention", q, n.floats(2, 2, 5, 4), n.floats(2, 2, 5, 4), num_heads=2)
    n.save()

    n = Nodes("contrib_generate")
    cos, sin = np.cos(n.floats(12, 4)), np.sin(n.floats(12, 4))
    places = np.array([[0, 1, 2], [4, 5, 6]], np.int64)
    n.add("RotaryEmbedding", n.floats(2, 3, 16), places, cos, sin)
    n.add("RotaryEmbedding", n.floats(2, 2, 3, 8), np.array([2], np.int64), cos, sin, interleaved=1)
    q, k, v = n.floats(2, 3, 64), n.floats(2, 3, 32), n.floats(2, 3, 32)
    cos, sin = np.cos(n.floats(12, 8)), np.sin(n.floats(12, 8))
    empty = n.floats(2, 2, 0, 16)
    whole = np.array(3, np.int32)
    first = np.array([2, 2], np.int32)
    heads = {"num_heads": 4, "kv_num_heads": 2}
    n.add("GroupQueryAttention", q, k, v, empty, empty, first, whole, **heads, outputs=3)
    n.add("GroupQueryAttention", q, k, v, empty, empty, first, whole, cos, sin, **heads, do_rotary=1, scale=0.4, outputs=3)
    n.add("GroupQueryAttention", n.floats(2, 3, 128), None, None, empty, empty, first, whole, **heads, local_window_size=1, outputs=3)
    past = n.floats(2, 2, 4, 16), n.floats(2, 2, 4, 16)
    one = n.floats(2, 1, 64), n.floats(2, 1, 32), n.floats(2, 1, 32)
    n.add("GroupQueryAttention", *one, *past, np.array([4, 4], np.int32), np.array(5, np.int32), cos, sin, **heads, do_rotary=1, outputs=3)
    n.add("GroupQueryAttention", *one, *past, np.array([4, 4], np.int32), np.array(5, np.int32), **heads, local_window_size=2, softcap=5.0, outputs=3)
    n.save()


def quantised_nodes():
    n = Nodes("contrib_quantised")
    scale = lambda x: np.array(x, np.float32)
    zero = lambda x, kind=np.uint8: np.array(x, kind)
    x, y = n.bytes(2, 3, 4, 4), n.bytes(2, 3, 4, 4)
    ends = scale(0.0411), zero(7)
    n.add("QLinearAdd", x, scale(0.0213), zero(128), y, scale(0.0317), zero(100), *ends)
    n.add("QLinearMul", x, scale(0.0213), zero(128), y, scale(0.0317), zero(100), *ends)
    n.add("QLinearSigmoid", x, scale(0.0213), zero(128), scale(0.00397), zero(0))
    n.add("QLinearLeakyRelu", x, scale(0.0213), zero(128), scale(0.0119), zero(30), alpha=0.2)
    n.add("QLinearGlobalAveragePool", x, scale(0.0213), zero(128), scale(0.0107), zero(90))
    n.add("QLinearConcat", *ends, x, scale(0.0213), zero(128), y, scale(0.0317), zero(100), axis=1)
    a, b, c = n.bytes(3, 5), n.bytes(4, 5, signed=True), n.random.integers(-500, 500, 4).astype(np.int32)
    of_b = np.full(4, 0.02, np.float32) * np.arange(1, 5, dtype=np.float32), np.zeros(4, np.int8)
    n.add("QGemm", a, scale(0.0307), zero(120), b, *of_b, c, scale(0.2009), zero(110), transB=1)
    n.add("QGemm", a, scale(0.0307), zero(120), b, *of_b, c, transB=1)
    weights = n.bytes(8, 24)
    n.add(
        "QAttention", n.bytes(2, 4, 8), weights, n.floats(24), scale(0.01), scale(0.02),
        np.array([3, 4], np.int32), zero(128), zero(120), num_heads=2, outputs=1,
    )
    n.add("MatMulNBits", n.floats(2, 40), n.bytes(3, 3, 8), n.floats(9), K=40, N=3, bits=4, block_size=16)
    n.add("MatMulNBits", n.floats(2, 40), n.bytes(3, 3, 8), n.floats(9), n.bytes(6), None, n.floats(3), K=40, N=3, bits=4, block_size=16)
    n.save()

    # Weights lie the other way round: [directions, inputs, gates].
    n = Nodes("contrib_lstm")
    w, r = n.bytes(2, 6, 20, signed=True), n.bytes(2, 5, 20, signed=True)
    half = np.zeros(2, np.int8)
    scales = np.array([0.011, 0.013], np.float32), np.array([0.012, 0.009], np.float32)
    n.add(
        "DynamicQuantizeLSTM", n.floats(4, 3, 6), w, r, n.floats(2, 40), None, n.floats(2, 3, 5), n.floats(2, 3, 5), None,
        scales[0], half, scales[1], half, direction="bidirectional", hidden_size=5, outputs=3,
    )
    n.save()
    # Its table of exponentials is coarser there, so numbers may be a step apart.
    n = Nodes("contrib_softmax_step")
    n.add("QLinearSoftmax", x, scale(0.0213), zero(128), scale(0.00397), zero(0), axis=-1, opset=13)
    n.add("QLinearSoftmax", n.bytes(2, 6), scale(0.0213), zero(128), scale(0.00397), zero(0), axis=1, opset=11)
    n.save()


class Numbers(nn.Module):
    """Python's numbers beside tensors, and tensors of one number, which decide a dtype."""

    def __init__(self):
        super().__init__()
        self.register_buffer("small", torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x):
        n = torch.arange(x.size(0))
        made = torch.tensor(0.25, dtype=torch.float64)
        parts = n * 0.5, x.sum() * 0.5, x.half().sum() * 2.0, n * self.small, n * made, x.sum() + made, n.to(torch.uint8) * 300
        return *parts, torch.maximum(x.sum().half(), torch.tensor(1.0)), (x * 1e-3).sum() // 2


def quantised_pools():
    n = Nodes("quantised_pools")
    scale = lambda x: np.array(x, np.float32)
    of = lambda zero, kind=np.uint8: (scale(0.0213), np.array(zero, kind))
    to = lambda zero, kind=np.uint8: (scale(0.0157), np.array(zero, kind))
    add = lambda x, *ends, **options: n.add("QLinearAveragePool", x, *ends, **options)
    x, signed = n.bytes(2, 3, 7, 6), n.bytes(2, 3, 7, 6, signed=True)
    add(x, *of(128), *to(90), kernel_shape=[2, 2], strides=[2, 2])
    add(x, *of(128), *to(90), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    add(x, *of(128), *to(90), kernel_shape=[3, 2], pads=[1, 0, 2, 1], count_include_pad=1)
    add(x, *of(128), *to(90), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    add(x, *of(128), *to(90), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    add(signed, *of(3, np.int8), *to(-5, np.int8), kernel_shape=[4, 4], strides=[3, 1], pads=[2, 2, 2, 2])
    add(n.bytes(2, 7, 6, 3), *of(128), *to(90), kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 1], channels_last=1)
    add(n.bytes(2, 3, 9), *of(128), *to(90), kernel_shape=[3], strides=[2])
    add(n.bytes(1, 2, 4, 5, 6), *of(128), *to(90), kernel_shape=[2, 2, 2], strides=[1, 2, 2], pads=[0, 0, 0, 1, 1, 0])
    n.save()


def numbers():
    x = torch.tensor([0.5, -1.0, 2.0, 4.0])
    traced("numbers", Numbers(), x)
    # Freezing forgets which constants were tensors: what the file gives counts.
    frozen = torch.jit.freeze(torch.jit.trace(Numbers().eval(), (x,), check_trace=False))
    torch.jit.save(frozen, HERE / "numbers_frozen.pt")
    save("numbers_frozen", frozen, (x,), torch.jit.load(HERE / "numbers_frozen.pt")(x))


def held_types():
    """Element types that are held in wider ones."""
    node, array = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes, constants, outputs = [], [], []
    for zero in (0, 30000, 65535):
        for scale in (1e-4, 0.01):
            at = len(nodes)
            constants += [array(np.float32(scale), f"s{at}"), array(np.uint16(zero), f"z{at}")]
            nodes.append(node("QuantizeLinear", ["x", f"s{at}", f"z{at}"], [f"q{at}"]))
            nodes.append(node("DequantizeLinear", [f"q{at}", f"s{at}", f"z{at}"], [f"y{at}"]))
            outputs.append(f"y{at}")
    kind = onnx.TensorProto
    constants += [array(np.uint32(3), "three"), array(np.uint32([5, 6, 7, 8, 9, 10]), "more")]
    for name, unsigned in (("u16", kind.UINT16), ("u32", kind.UINT32)):
        nodes.append(node("Cast", ["i"], [name], to=unsigned))
        nodes.append(node("Cast", [name], [f"{name}_wide"], to=kind.INT64))
        outputs.append(f"{name}_wide")
    nodes.append(node("BitShift", ["u32", "three"], ["left"], direction="LEFT"))
    nodes.append(node("BitShift", ["left", "three"], ["right"], direction="RIGHT"))
    nodes.append(node("Sub", ["right", "more"], ["less"]))
    nodes.append(node("Cast", ["less"], ["less_wide"], to=kind.INT64))
    outputs.append("less_wide")
    x, i = np.array([-3.0, -0.5, 0.0, 0.3, 2.0, 900.0], np.float32), np.array([-1, 7, 65536, 2**31 - 1, -(2**31), 70000], np.int32)
    inputs = [onnx.helper.make_tensor_value_info("x", kind.FLOAT, [6]), onnx.helper.make_tensor_value_info("i", kind.INT32, [6])]
    results = [onnx.helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = onnx.helper.make_graph(nodes, "held", inputs, results, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    onnx.save(model, HERE / "held_types.onnx")
    record("held_types", [x, i], session.run(None, {"x": x, "i": i}))


def unsigned_64():
    """Shifts and masks of 64 bits as torch.onnx writes `>>` of int64: by UINT64 whose highest bit is set."""
    node, array, kind = onnx.helper.make_node, onnx.numpy_helper.from_array, onnx.TensorProto
    constants = [
        array(np.uint64(7), "seven"),
        array(np.uint64(18302628885633695744), "mask"),
        array(np.uint64([1 << 63, 5, 1 << 40]), "more"),
    ]
    nodes = [
        node("Cast", ["x"], ["u"], to=kind.UINT64),
        node("BitShift", ["u", "seven"], ["right"], direction="RIGHT"),
        node("BitShift", ["u", "seven"], ["left"], direction="LEFT"),
        node("BitwiseOr", ["right", "mask"], ["filled"]),
        node("Add", ["left", "more"], ["sum"]),
        node("Div", ["right", "seven"], ["part"]),
        node("Cast", ["right"], ["number"], to=kind.FLOAT),
    ]
    results = [onnx.helper.make_empty_tensor_value_info("number")]
    for name in ("right", "filled", "sum", "part"):
        nodes.append(node("Cast", [name], [f"{name}_out"], to=kind.INT64))
        results.append(onnx.helper.make_empty_tensor_value_info(f"{name}_out"))
    x = np.array([-3, 1 << 50, -(1 << 63)], np.int64)
    inputs = [onnx.helper.make_tensor_value_info("x", kind.INT64, [3])]
    graph = onnx.helper.make_graph(nodes, "unsigned", inputs, results, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    onnx.save(model, HERE / "unsigned_64.onnx")
    record("unsigned_64", [x], session.run(None, {"x": x}))


def attention_weights():
    """Attention that gives its weights, over all heads and of each, with and without a mask."""

    class Weights(nn.Module):
        def __init__(self, average):
            super().__init__()
            self.attention, self.average = nn.MultiheadAttention(8, 2, batch_first=True), average

        def forward(self, x, skipped):
            y, weights = self.attention(x, x, x, key_padding_mask=skipped, average_attn_weights=self.average)
            z, plain = self.attention(x, x, x)
            return y, weights, z, plain, (weights * 2).sum(-1)

    torch.manual_seed(5)
    x, skipped = torch.randn(2, 4, 8), torch.tensor([[False, False, False, True], [False] * 4])
    for name, average in (("mean", True), ("each", False)):
        traced(f"attention_weights_{name}", Weights(average), x, skipped)


def command_line():
    """What `stark model` is given beside plain tensors, in the repository's tests/data/models: a list and a number, and nothing."""

    class Listed(nn.Module):
        def forward(self, xs: list[torch.Tensor], n: int):
            total = xs[0]
            for i in range(1, len(xs)):
                total = total + xs[i]
            return total * n

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.arange(4.0))

        def forward(self):
            return self.table * 2

    for name, module in (("listed", Listed()), ("table", Table())):
        path = HERE.parents[4] / f"tests/data/models/{name}.pt"
        torch.jit.save(torch.jit.script(module.eval()), path)
        shrink(path)


def dicts():
    """A dict of a script that grows, is counted in, and loses items, and one that the model holds."""

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words: dict[str, int] = {f"word {i}": i * i for i in range(40)}

        def forward(self, x: torch.Tensor):
            seen = torch.jit.annotate(dict[int, int], {})
            for i in range(200):
                key = i * 7 % 50
                if key in seen:
                    seen[key] += 1
                else:
                    seen[key] = i
            removed = seen.pop(7) + seen.pop(49)
            seen[7] = 5
            total = 0
            for key in seen.keys():
                total = total * 3 % 1000003 + key
            for value in seen.values():
                total = total * 5 % 1000003 + value
            found = self.words["word 17"] + self.words["word 39"]
            return x + removed, x + total, x + found, x + len(seen)

    scripted("dicts", Words(), torch.tensor([1.0, 2.0]))


def kept_lists():
    """Lists and dicts that a module keeps: read, changed, changed inside, and one that a module around it changes."""

    class Kept(nn.Module):
        seen: List[torch.Tensor]
        rows: List[List[int]]
        table: Dict[str, torch.Tensor]
        limits: Tuple[int, List[float]]
        last: List[int]

        def __init__(self):
            super().__init__()
            self.seen = [torch.ones(2), torch.tensor([2.0, 3.0])]
            self.rows = [[1, 2], [3]]
            self.table = {"a": torch.tensor([4.0, 5.0])}
            self.limits = (7, [0.5, 1.5])
            self.last = [0]

        def forward(self, x: torch.Tensor):
            y = x * self.limits[0] + self.limits[1][1]
            for tensor in self.seen:
                y = y + tensor
            self.seen.append(x)
            self.seen[0].add_(1.0)
            first = self.seen[0]
            first.mul_(2.0)
            self.rows[1].append(len(self.seen))
            self.rows.append([9])
            total = 0
            for row in self.rows:
                total = total * 10 + sum(row)
            self.table["b"] = x * 2
            self.table["a"] += 1
            if self.last[0] == 0:
                self.last[0] = total
            return y, torch.stack(self.seen), x + total, self.table["a"] + self.table["b"], x + self.last[0] + len(self.table)

    class Shared(nn.Module):
        """A list of a part, which the whole changes."""

        class Part(nn.Module):
            def __init__(self, items: List[int]):
                super().__init__()
                self.items = torch.jit.Attribute(items, List[int])

            def forward(self, x: torch.Tensor):
                return x + sum(self.items)

        def __init__(self):
            super().__init__()
            self.part = self.Part([1, 2])

        def forward(self, x: torch.Tensor):
            before = self.part(x)
            self.part.items.append(10)
            self.part.items[0] = 5
            return before, self.part(x)

    x = torch.tensor([1.0, -2.0])
    for name, module in (("kept_lists", Kept), ("kept_list_of_a_part", Shared)):
        torch.jit.save(torch.jit.script(module().eval()), HERE / f"{name}.pt")
        shrink(HERE / f"{name}.pt")
        # Of a run of its own: PyTorch's next one goes on with what the last one has left.
        record(name, [x.numpy()], flat(torch.jit.script(module().eval())(x)))


def structures():
    """Arguments and results that are tuples, lists and dicts, and, of ONNX, sequences, options and defaults."""

    class Structures(nn.Module):
        def forward(self, x, pair, items, table, scale=None):
            y = x + pair[0] * pair[1] + items[0] * 10 + items[1][0] * 100 + table["a"] * table["b"]
            return y, {"scaled": y * scale, "parts": [y + 1, y - 1]}

    class Cached(nn.Module):
        def forward(self, x, cache):
            keys = [torch.cat([key, x]) for key in cache["keys"]]
            return {"sum": sum(key.sum() for key in keys), "cache": {"keys": keys}}

    t = lambda *numbers: torch.tensor(numbers)
    args = (t(1.0, 2.0), (t(3.0, 4.0), 2, None), [t(5.0, 6.0), (t(7.0, 8.0),)], {"b": t(0.5, 1.5), "a": t(2.0, 3.0)})
    named = {"scale": t(10.0, 100.0)}
    program = torch.export.export(Structures().eval(), args, named)
    path = HERE.parents[4] / "tests/conformance/13-models"
    for file in (HERE / "structures.pt2", path / "structures.pt2"):
        torch.export.save(program, file)
        shrink(file)
    given = torch.utils._pytree.tree_leaves((args, named))
    given = [x.numpy() for x in given if isinstance(x, torch.Tensor)]
    record("structures", given, torch.utils._pytree.tree_leaves(Structures()(*args, **named)))

    n = torch.export.Dim("n", min=3)
    keys = [torch.ones(3), torch.ones(3)]
    shapes = {"x": None, "cache": {"keys": [{0: n}, {0: n}]}}
    program = torch.export.export(Cached().eval(), (t(1.0, 2.0), {"keys": keys}), dynamic_shapes=shapes)
    torch.export.save(program, path / "cached.pt2")
    shrink(path / "cached.pt2")

    make = onnx.helper
    tensor = lambda *dims: make.make_tensor_type_proto(onnx.TensorProto.FLOAT, dims)
    sequence = make.make_sequence_type_proto(tensor("n"))
    option = make.make_optional_type_proto(tensor(1))
    several = make.make_optional_type_proto(make.make_sequence_type_proto(tensor(1)))
    branch = lambda name, *nodes: make.make_graph(nodes, name, [], [make.make_value_info(name, tensor(1))])
    graph = make.make_graph(
        [
            make.make_node("ConcatFromSequence", ["xs"], ["all"], axis=0),
            make.make_node("ReduceSum", ["all"], ["total"], keepdims=1),
            make.make_node("OptionalHasElement", ["maybe"], ["has"]),
            make.make_node(
                "If",
                ["has"],
                ["bonus"],
                then_branch=branch("some", make.make_node("OptionalGetElement", ["maybe"], ["some"])),
                else_branch=branch("none", make.make_node("Identity", ["nothing"], ["none"])),
            ),
            make.make_node("Mul", ["x", "weight"], ["weighed"]),
            make.make_node("Sum", ["weighed", "total", "bonus", "bias"], ["y"]),
            make.make_node("SequenceInsert", ["xs", "x"], ["more"]),
            make.make_node("OptionalHasElement", ["rest"], ["has_rest"]),
        ],
        "sequences",
        [
            make.make_value_info(name, ty)
            for name, ty in (("bias", tensor("n")), ("x", tensor("n")), ("xs", sequence), ("maybe", option), ("rest", several))
        ],
        [
            make.make_value_info("y", tensor("n")),
            make.make_value_info("more", sequence),
            make.make_value_info("has_rest", make.make_tensor_type_proto(onnx.TensorProto.BOOL, [])),
        ],
        [
            onnx.numpy_helper.from_array(np.array(value, np.float32), name)
            for name, value in (("bias", [0.5]), ("weight", [2.0]), ("nothing", [0.0]))
        ],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path / "sequences.onnx")
    # What tests/conformance/13-models/structures.stark expects.
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    floats = lambda *numbers: np.array(numbers, np.float32)
    feed = {"x": floats(1, 2), "xs": [floats(1, 2), floats(3)], "maybe": None, "rest": None}
    y, more, has_rest = session.run(None, feed)
    assert y.tolist() == [8.5, 10.5] and len(more) == 3 and not has_rest, (y, more, has_rest)
    feed |= {"maybe": floats(100), "bias": floats(10, 20), "rest": [floats(1)]}
    y, more, has_rest = session.run(None, feed)
    assert y.tolist() == [118.0, 130.0] and has_rest, (y, has_rest)


def rare():
    """ONNX's own cases of operators that ONNX Runtime lacks, or that few models have."""
    from onnx.backend.test.case.node import collect_testcases

    begins = ("test_deform_conv", "test_basic_deform", "test_tfidf", "test_bitcast", "test_linear_attention", "test_causal_conv", "test_scan_sum", "test_ai_onnx_ml_tree")
    for case in collect_testcases(None):
        # Cases whose operators are spelled out as others say nothing here.
        if not case.name.startswith(begins) or "expanded" in case.name:
            continue
        inputs, outputs = case.data_sets[0]
        if any(array.dtype.name not in DTYPES for array in [*inputs, *outputs]):
            continue
        onnx.save(case.model, HERE / f"node_{case.name[5:]}.onnx")
        record(f"node_{case.name[5:]}", inputs, outputs)


def classic():
    """scikit-learn's models as skl2onnx writes them, and operators of ai.onnx.ml by themselves."""
    from skl2onnx import to_onnx
    from sklearn import ensemble, linear_model, naive_bayes, neighbors, pipeline, preprocessing, svm, tree
    from sklearn.datasets import make_classification, make_regression

    def save_as(name, model, x):
        onnx.save(model, HERE / f"{name}.onnx")
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        record(name, [x], session.run(None, {session.get_inputs()[0].name: x}))

    for n_classes in (2, 3):
        x, y = make_classification(60, 6, n_informative=5, n_redundant=0, n_classes=n_classes, random_state=1)
        x = x.astype(np.float32)
        classifiers = {
            "logistic": pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
            "forest": ensemble.RandomForestClassifier(5, max_depth=3, random_state=0),
            "boosting": ensemble.GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0),
            "tree": pipeline.make_pipeline(preprocessing.Normalizer("l2"), tree.DecisionTreeClassifier(max_depth=3)),
            "machine": svm.SVC(random_state=0),
            "machine_likely": svm.SVC(probability=True, kernel="poly", random_state=0),
            "ridge": linear_model.RidgeClassifier(),
        }
        for name, model in classifiers.items():
            model.fit(x, y)
            made = to_onnx(model, x[:1], options={"zipmap": False}, target_opset={"": 21, "ai.onnx.ml": 3})
            save_as(f"classic_{name}_{n_classes}", made, x[:20])
    x, y = make_regression(60, 5, n_targets=2, random_state=1)
    x = x.astype(np.float32)
    for name, model, target in (
        ("linear", linear_model.LinearRegression(), y),
        ("forest", ensemble.RandomForestRegressor(4, max_depth=3, random_state=0), y),
        ("machine", svm.SVR(), y[:, 0]),
        ("boosting", ensemble.GradientBoostingRegressor(n_estimators=4, max_depth=2, random_state=0), y[:, 0]),
    ):
        made = to_onnx(model.fit(x, target), x[:1], target_opset={"": 21, "ai.onnx.ml": 3})
        save_as(f"classic_{name}_regressor", made, x[:20])

    n = Nodes("classic_operators")
    add = lambda *inputs, **attributes: n.add(*inputs, domain="ai.onnx.ml", **attributes)
    x = n.floats(3, 4)
    ids = np.array([[1, 4], [7, 2]], np.int64)
    add("Binarizer", x, threshold=0.3)
    add("ArrayFeatureExtractor", x, np.array([2, 0], np.int64))
    add("Scaler", x, offset=[0.5], scale=[2.0])
    add("Scaler", x, offset=[0.5, 0.1, 0.2, 0.3], scale=[2.0, 1.0, 0.5, 3.0])
    for norm in ("MAX", "L1", "L2"):
        add("Normalizer", x, norm=norm)
    missing = x.copy()
    missing[1, 2] = np.nan
    add("Imputer", missing, imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=float("nan"))
    add("OneHotEncoder", ids, cats_int64s=[1, 2, 4], zeros=1)
    add("FeatureVectorizer", x, n.floats(3, 2), inputdimensions=[4, 2])
    add("LabelEncoder", ids, keys_int64s=[1, 2, 4], values_floats=[0.5, 1.5, 2.5], default_float=-3.0)
    add("LabelEncoder", ids, keys_int64s=[1, 2, 4], values_int64s=[10, 20, 40], default_int64=-3)
    add("LinearRegressor", x, coefficients=list(map(float, range(8))), intercepts=[1.0, -1.0], targets=2, post_transform="LOGISTIC")
    for post in ("NONE", "LOGISTIC", "SOFTMAX"):
        classes = {"classlabels_ints": [3, 5], "intercepts": [0.1], "coefficients": [0.3, -0.2, 0.5, 1.0]}
        add("LinearClassifier", x, post_transform=post, outputs=2, **classes)
    n.save()


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    quantised()
    packs()
    spectra()
    others()
    generating()
    bounded()
    standard()
    transformers()
    quantised_nodes()
    quantised_pools()
    numbers()
    held_types()
    unsigned_64()
    attention_weights()
    dicts()
    kept_lists()
    structures()
    command_line()
    changed()
    static()
    rare()
    enums()
    classic()
