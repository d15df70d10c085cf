"""Operations and whole models on the OpenCL device beside PyTorch on CUDA, all in `float` (no TF32).

    python bench/models/make.py FOLDER
    python bench/models/gpu.py STARK FOLDER

Needs torch with CUDA, torchvision, timm and transformers for models of the same shapes as those of `make.py`. A model's time is
from inputs in the host's memory to results in the host's memory. Kernels of both sides run one after the other on one device, in turns.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

# The programs beside this one must not stand in for packages of their names.
sys.path.pop(0)

import torch

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout.splitlines()


def milliseconds(work, turns=6, each=20):
    work()
    best = float("inf")
    for _ in range(turns):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(each):
            work()
        torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - begun) / each * 1e3)
    return best


def operations():
    wide = torch.randn(4096, 4096, device="cuda")
    yield "softmax", lambda: wide.softmax(-1)
    yield "gelu", lambda: torch.nn.functional.gelu(wide)
    yield "add", lambda: wide + wide
    yield "sum", lambda: wide.sum(-1, keepdim=True)
    for n in [256, 512, 1024, 2048, 4096]:
        a, b = torch.randn(n, n, device="cuda"), torch.randn(n, n, device="cuda")
        yield f"product_{n}", lambda: a @ b


def models():
    from timm import create_model
    from torchvision.models import mobilenet_v3_small, resnet18
    from transformers import BertConfig, BertModel

    bert = BertModel(BertConfig(vocab_size=1000, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536))

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = bert

        def forward(self, ids, mask):
            x, kept = self.bert(ids, attention_mask=mask)[0], mask[..., None].float()
            return (x * kept).sum(1) / kept.sum(1)

    for batch in [1, 8]:
        for length in [32, 128]:
            shape = (batch, length)
            yield "minilm", f"minilm_s{length}.b{batch}", Pooled(), (torch.randint(1000, shape), torch.ones(shape, dtype=torch.int64))
    for batch in [1, 8]:
        images = (torch.randn(batch, 3, 224, 224),)
        yield "vit_small", f"vit_small.b{batch}", create_model("vit_small_patch16_224"), images
        yield "resnet18", f"resnet18.b{batch}", resnet18(), images
        yield "mobilenet", f"mobilenet.b{batch}", mobilenet_v3_small(), images


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stark", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    print("device:", torch.cuda.get_device_name())
    print("| what | OpenCL, ms | PyTorch eager, ms | ratio | TorchScript, ms | ratio |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    ours = dict(row.split() for row in run(args.stark, "run", pathlib.Path(__file__).with_name("gpu.stark")))
    for name, work in operations():
        here, there = float(ours[name]), milliseconds(work)
        print(f"| {name} | {here:.4f} | {there:.4f} | {here / there:.2f} | | |", flush=True)
    for name, inputs, model, given in models():
        if args.only not in inputs:
            continue
        bench = [args.stark, "model", "bench", args.folder / f"{name}.onnx", "--inputs", args.folder / f"{inputs}.safetensors"]
        here = json.loads(run(*bench, "--device", "opencl", "--seconds", args.seconds)[-1])["median_ms"]
        model = model.eval().cuda()
        with torch.inference_mode():
            eager = milliseconds(lambda: model(*(x.cuda() for x in given)).cpu(), each=10)
            traced = torch.jit.freeze(torch.jit.trace(model, tuple(x.cuda() for x in given), check_trace=False))
            for _ in range(5):
                traced(*(x.cuda() for x in given))
            script = milliseconds(lambda: traced(*(x.cuda() for x in given)).cpu(), each=10)
        print(f"| {inputs} | {here:.3f} | {eager:.3f} | {here / eager:.2f} | {script:.3f} | {here / script:.2f} |", flush=True)


main()
