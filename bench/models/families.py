"""Small seeded models of the usual families, exported in every format, and held against PyTorch by `stark model verify`.

    pip install torch torchvision transformers onnx onnxscript safetensors
    python bench/models/families.py FOLDER --stark target/release/stark [NAME...]

Writes NAME.FORMAT and NAME.io.safetensors. Prints a line for each file: `exact` (within 1e-4 and a thousandth), what `stark` says of it, or
why PyTorch itself does not export the model in that format. Ends with 1 when `stark` refused or differed.
"""

import argparse
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import torch
import torch.nn as nn
import torchvision.models as vision
import transformers as hf
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
logging.disable(logging.ERROR)

OPSETS = [11, 13, 17, 18]
FAMILIES = {}


def family(name):
    def add(make):
        FAMILIES[name] = make
        return make
    return add


def image(size=64, batch=2):
    return (torch.randn(batch, 3, size, size),)


def ids(vocabulary, length=11):
    mask = torch.ones(2, length, dtype=torch.int64)
    mask[1, length - 3:] = 0
    return torch.randint(0, vocabulary, (2, length)), mask


CLASSIFIERS = {
    "resnet18": {}, "resnext50_32x4d": {}, "mobilenet_v2": {}, "mobilenet_v3_small": {}, "squeezenet1_1": {},
    "shufflenet_v2_x0_5": {}, "densenet121": {}, "mnasnet0_5": {}, "efficientnet_b0": {}, "regnet_y_400mf": {}, "convnext_tiny": {},
    "googlenet": {"init_weights": False, "aux_logits": False},
    "inception_v3": {"init_weights": False, "aux_logits": False},
}
for classifier, options in CLASSIFIERS.items():
    def make(classifier=classifier, options=options):
        net = getattr(vision, classifier)(weights=None, num_classes=10, **options)
        return net, image(96 if classifier == "inception_v3" else 64)
    FAMILIES[classifier] = make


@family("vit")
def vit():
    return vision.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=10), image(32)


@family("swin")
def swin():
    net = vision.swin_transformer.SwinTransformer(
        patch_size=[4, 4], embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=10)
    return net, image(64)


class Vgg(nn.Module):
    """VGG's layers at a tenth of their width, with its adaptive pooling."""

    def __init__(self):
        super().__init__()
        conv = lambda n_in, n_out: [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*conv(3, 8), *conv(8, 8))
        self.pool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(nn.Linear(8 * 49, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


FAMILIES["vgg"] = lambda: (Vgg(), image(56))


class UNet(nn.Module):
    """One step down and up; `up` is how it goes up."""

    def __init__(self, up):
        super().__init__()
        def block(n_in, n_out):
            return nn.Sequential(
                nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(),
                nn.Conv2d(n_out, n_out, 3, padding=1), nn.GroupNorm(2, n_out), nn.LeakyReLU(0.1))
        self.down, self.bottom, self.last = block(3, 8), block(8, 16), block(24, 8)
        self.pool = nn.MaxPool2d(2)
        smooth = {} if up == "nearest" else {"align_corners": False}
        self.up = nn.ConvTranspose2d(16, 16, 2, 2) if up == "transposed" else nn.Upsample(scale_factor=2, mode=up, **smooth)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        beside = self.down(x)
        return self.out(self.last(torch.cat([beside, self.up(self.bottom(self.pool(beside)))], 1)))


for up in ["transposed", "bilinear", "nearest", "bicubic"]:
    FAMILIES[f"unet_{up}"] = lambda up=up: (UNet(up), image(32))


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.embedding = nn.Embedding(50, 12)
        self.layers = kind(12, 16, batch_first=True, **options)
        self.head = nn.Linear(32 if options.get("bidirectional") else 16, 5)

    def forward(self, ids):
        outputs, _ = self.layers(self.embedding(ids))
        return self.head(outputs), outputs[:, -1]


def sequence():
    return (torch.randint(0, 50, (2, 9)),)


FAMILIES["lstm"] = lambda: (Recurrent(nn.LSTM, num_layers=2, bidirectional=True), sequence())
FAMILIES["gru"] = lambda: (Recurrent(nn.GRU, num_layers=2), sequence())
FAMILIES["rnn"] = lambda: (Recurrent(nn.RNN), sequence())


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x, is_padding):
        return self.encoder(x, src_key_padding_mask=is_padding)


@family("transformer_encoder")
def transformer_encoder():
    is_padding = torch.zeros(2, 7, dtype=torch.bool)
    is_padding[1, 5:] = True
    return Encoder(), (torch.randn(2, 7, 16), is_padding)


@family("transformer")
def transformer():
    return nn.Transformer(16, 2, 1, 1, 32, batch_first=True), (torch.randn(2, 7, 16), torch.randn(2, 5, 16))


class Language(nn.Module):
    """A model of `transformers` as a function of ids and mask."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask):
        return self.model(input_ids=ids, attention_mask=mask, return_dict=False)[0]


WIDTHS = {"vocab_size": 90, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
LANGUAGE = {
    "bert": lambda: hf.BertForSequenceClassification(hf.BertConfig(**WIDTHS)),
    "bert_eager": lambda: hf.BertModel(hf.BertConfig(**WIDTHS, attn_implementation="eager")),
    "roberta": lambda: hf.RobertaForTokenClassification(hf.RobertaConfig(**WIDTHS, max_position_embeddings=64)),
    "albert": lambda: hf.AlbertModel(hf.AlbertConfig(**WIDTHS, embedding_size=8)),
    "electra": lambda: hf.ElectraModel(hf.ElectraConfig(**WIDTHS, embedding_size=8)),
    "distilbert": lambda: hf.DistilBertForSequenceClassification(
        hf.DistilBertConfig(vocab_size=90, dim=16, n_layers=2, n_heads=2, hidden_dim=32)),
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(vocab_size=90, n_embd=16, n_layer=2, n_head=2, n_positions=64, use_cache=False)),
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**WIDTHS, num_key_value_heads=1, use_cache=False)),
    "t5_encoder": lambda: hf.T5EncoderModel(
        hf.T5Config(vocab_size=90, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)),
}
for language, model in LANGUAGE.items():
    FAMILIES[language] = lambda model=model: (Language(model()), ids(90))


@family("quantised_linear")
def quantised_linear():
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    return torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8), (torch.randn(3, 16),)


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


def writers(model, inputs, stem):
    """Format and a function that writes it."""
    def onnx(opset):
        return lambda: torch.onnx.export(model, inputs, f"{stem}.{opset}.onnx", opset_version=opset, dynamo=False)
    yield f"{stem}.traced.pt", lambda: torch.jit.trace(model, inputs, check_trace=False).save(f"{stem}.traced.pt")
    yield f"{stem}.scripted.pt", lambda: torch.jit.script(model).save(f"{stem}.scripted.pt")
    yield f"{stem}.pt2", lambda: torch.export.save(torch.export.export(model, inputs), f"{stem}.pt2")
    for opset in OPSETS:
        yield f"{stem}.{opset}.onnx", onnx(opset)
    yield f"{stem}.dynamo.onnx", lambda: torch.onnx.export(
        model, inputs, f"{stem}.dynamo.onnx", dynamo=True, verbose=False, external_data=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--stark", default="stark")
    args = parser.parse_intermixed_args()
    args.folder.mkdir(exist_ok=True)
    failed = 0
    for name in args.names or FAMILIES:
        torch.manual_seed(0)
        model, inputs = FAMILIES[name]()
        model.eval()
        stem = args.folder / name
        with torch.no_grad():
            outputs = flat(model(*inputs))
            tensors = {f"case0.in.{i}": tensor.clone() for i, tensor in enumerate(inputs)}
            tensors |= {f"case0.out.{i}": tensor.contiguous().clone() for i, tensor in enumerate(outputs)}
            order = {"inputs": ",".join(map(str, range(len(inputs)))), "outputs": ",".join(map(str, range(len(outputs))))}
            save_file(tensors, f"{stem}.io.safetensors", metadata=order)
            for path, write in writers(model, inputs, stem):
                try:
                    write()
                except Exception as error:
                    lines = str(error).strip().splitlines() or [type(error).__name__]
                    print(f"{path}: PyTorch does not export it: {lines[0][:120]}", flush=True)
                    continue
                verify = [args.stark, "model", "verify", path, f"{stem}.io.safetensors", "--atol", "1e-4", "--rtol", "1e-3"]
                got = subprocess.run(verify, capture_output=True, text=True)
                failed += got.returncode != 0
                print(f"{path}: {'exact' if got.returncode == 0 else (got.stdout + got.stderr).strip()}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
