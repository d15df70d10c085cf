"""The models of make.py as PyTorch has them: modules of the same shapes, traced, frozen and optimised for inference.

Speed does not depend on the weights, so they are PyTorch's own. Used by table.py.
"""

import time
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

# TorchScript is called deprecated, and is what people have.
warnings.filterwarnings("ignore")


class Block(nn.Module):
    """Attention and a feed-forward layer, with the norms before them or behind."""

    def __init__(self, width, heads, before):
        super().__init__()
        self.heads, self.before = heads, before
        self.query, self.key, self.value, self.mixed = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def attention(self, x, mask):
        b, s, width = x.shape
        split = [part(x).view(b, s, self.heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value)]
        return self.mixed(F.scaled_dot_product_attention(*split, attn_mask=mask).transpose(1, 2).reshape(b, s, width))

    def forward(self, x, mask=None):
        first, second = self.norms
        if self.before:
            x = x + self.attention(first(x), mask)
            return x + self.narrow(F.gelu(self.wide(second(x))))
        x = first(x + self.attention(x, mask))
        return second(x + self.narrow(F.gelu(self.wide(x))))


class MiniLM(nn.Module):
    def __init__(self, layers=6, width=384, heads=12, vocabulary=1000):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(vocabulary, width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads, False) for _ in range(layers))

    def forward(self, ids, mask):
        kept = mask.to(torch.float32)
        added = ((1 - kept) * -1e9)[:, None, None, :]
        x = self.norm(self.embedding(ids))
        for block in self.blocks:
            x = block(x, added)
        return (x * kept[:, :, None]).sum(1) / kept.sum(1, keepdim=True)


class ViT(nn.Module):
    def __init__(self, layers=12, width=384, heads=6):
        super().__init__()
        self.patches, self.places = nn.Conv2d(3, width, 16, 16), nn.Parameter(torch.randn(1, 196, width))
        self.blocks = nn.ModuleList(Block(width, heads, True) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def conv(n_in, n_out, k, stride=1, groups=1):
    return nn.Conv2d(n_in, n_out, k, stride, k // 2, groups=groups)


class Residual(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.first, self.second = conv(n_in, n_out, 3, stride), conv(n_out, n_out, 3)
        self.side = conv(n_in, n_out, 1, stride) if stride == 2 else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.side(x))


class Inverted(nn.Module):
    def __init__(self, n_in, n_out, wide, k, stride):
        super().__init__()
        self.parts = nn.Sequential(
            conv(n_in, wide, 1), nn.Hardswish(), conv(wide, wide, k, stride, wide), nn.Hardswish(), conv(wide, n_out, 1))
        self.is_added = n_in == n_out and stride == 1

    def forward(self, x):
        return x + self.parts(x) if self.is_added else self.parts(x)


def classifier(body, n):
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 1000))


def resnet18():
    stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    return classifier([conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *(Residual(*stage) for stage in stages)], 512)


def mobilenet():
    body, n = [conv(3, 16, 3, 2), nn.Hardswish()], 16
    for width, wide, k, stride in [(16, 16, 3, 2), (24, 72, 3, 2), (24, 88, 3, 1), (40, 96, 5, 2), (40, 240, 5, 1),
                                   (40, 240, 5, 1), (48, 120, 5, 1), (48, 144, 5, 1), (96, 288, 5, 2), (96, 576, 5, 1)]:
        body.append(Inverted(n, width, wide, k, stride))
        n = width
    return classifier([*body, conv(n, 576, 1), nn.Hardswish()], 576)


MODELS = {"minilm": MiniLM, "vit_small": ViT, "resnet18": resnet18, "mobilenet": mobilenet}


class Traced:
    """A model by name, or the TorchScript file of one, ready to run on `inputs`."""

    def __init__(self, name, file, inputs, threads):
        torch.set_num_threads(threads)
        self.inputs = tuple(torch.from_numpy(x.copy()) for x in inputs)
        with torch.no_grad():
            if name in MODELS:
                self.run = torch.jit.trace(MODELS[name]().eval(), self.inputs, check_trace=False)
            else:
                self.run = torch.jit.load(str(file)).eval()
            try:
                self.run = torch.jit.optimize_for_inference(torch.jit.freeze(self.run))
            except RuntimeError:
                pass  # A file that is frozen already.

    def median_ms(self, seconds):
        times = []
        with torch.inference_mode():
            for _ in range(5):
                self.run(*self.inputs)
            until = time.perf_counter() + seconds
            while not times or time.perf_counter() < until:
                began = time.perf_counter()
                self.run(*self.inputs)
                times.append(time.perf_counter() - began)
        return sorted(times)[len(times) // 2] * 1e3
