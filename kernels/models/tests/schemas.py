"""Writes tests/data/schemas.txt: the schemas of PyTorch's operators that `docs/operators.md` names, one a line.

python schemas.py    # made with torch 2.15

Exported programs name arguments as the schemas do, so a row whose argument has another name would refuse them.
"""
import pathlib
import re

import torch

here = pathlib.Path(__file__).resolve().parent
page = (here / "../../../docs/operators.md").read_text()
torchscript, exported = page.split("## TorchScript")[1].split("## torch.export")
rows = set(re.findall(r"^\| `torch\.(\w+)`", torchscript, re.M)) | set(re.findall(r"^\| `aten\.(\w+)`", exported, re.M))

lines = []
for schema in torch._C._jit_get_all_schemas():
    if not schema.name.startswith("aten::"):
        continue
    name, overload = schema.name[6:], schema.overload_name or "default"
    arguments = [argument.name for argument in schema.arguments]
    known = name in rows or (name.endswith("_") and name[:-1] in rows)
    # What exports hold: operators on tensors that give new ones, without named dimensions.
    is_python = not torch._C._dispatch_has_kernel(f"{schema.name}.{schema.overload_name}".rstrip("."))
    has_names = any(argument.name in ("names", "dimnames") for argument in schema.arguments)
    has_dimname = "Dimname" in str(schema)
    if known and not is_python:
        if any(argument.is_out for argument in schema.arguments) or has_names or has_dimname:
            continue
        lines.append(f"{name}.{overload}({', '.join(arguments)})")
(here / "data/schemas.txt").write_text("\n".join(sorted(set(lines))) + "\n")
