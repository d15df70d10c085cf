"""Writes tests/data/recorded: small models with what they gave in PyTorch (tests/suite/recorded.rs).

    python recorded.py    # made with torch 2.15 and torchvision 0.29

Archives lose their debugging entries, so that they stay small.
"""

import json
import pathlib
import struct
import warnings
import zipfile

import numpy as np
import torch
import torchvision
from torch import nn
from torch.ao import quantization as q
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).resolve().parent / "data/recorded"
DTYPES = {
    "float32": "F32", "float64": "F64", "float16": "F16", "bool": "BOOL",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8",
}


def safetensors(arrays):
    header, chunks, offset = {}, [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        offset += len(data)
        chunks.append(data)
    header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + b"".join(chunks)


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
            kind = zipfile.ZIP_DEFLATED if entry.filename.endswith(".py") else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(entry.filename), data, kind)


def traced(name, module, *inputs):
    with torch.no_grad():
        scripted = torch.jit.trace(module.eval(), inputs, check_trace=False)
        save(name, scripted, inputs, module(*inputs))


def scripted(name, module, *inputs):
    with torch.no_grad():
        save(name, torch.jit.script(module.eval()), inputs, module(*inputs))


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


class Regions(nn.Module):
    def forward(self, x, boxes, scores):
        kept = torchvision.ops.nms(boxes, scores, 0.4)
        rows = torch.cat([torch.zeros(kept.shape[0], 1), boxes[kept]], 1)
        narrow = torchvision.ops.roi_align(x, rows, [2, 3], 0.5, 2, True)
        return kept, narrow, torchvision.ops.roi_align(x, rows, [3, 2], 0.7, -1, False)


def others():
    torch.manual_seed(3)
    traced("rotary", Rotary(), torch.randn(2, 5, 3, 8))
    corners = torch.rand(12, 2) * 6
    boxes = torch.cat([corners, corners + 1 + torch.rand(12, 2) * 6], 1)
    traced("regions", Regions(), torch.randn(1, 2, 9, 7), boxes, torch.rand(12))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    quantised()
    packs()
    others()
