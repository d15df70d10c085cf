"""Writes ONNX's own tests of single operators as folders that the suite reads (tests/suite/onnx_nodes.rs).

    pip install onnx ml_dtypes pillow
    python onnx_nodes.py FOLDER
    STARK_ONNX_NODES=FOLDER cargo test --release -p stark-models operators_give

Tests whose inputs or outputs are sequences, texts or of types that tensors here do not have are left out.
"""

import os
import sys

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case import node

from tensors import DTYPES, safetensors


def write(case, folder):
    """False when the case is left out."""
    if case.model is None or not case.data_sets:
        return False
    arrays, sides = {}, case.data_sets[0]
    for side, values in zip(("in", "out"), sides):
        for idx, value in enumerate(values):
            if isinstance(value, TensorProto):
                value = numpy_helper.to_array(value)
            if isinstance(value, (list, type(None))) or np.asarray(value).dtype.name not in DTYPES:
                return False
            arrays[f"{side}.{idx}"] = np.asarray(value)
    metadata = {"inputs": str(len(sides[0])), "outputs": str(len(sides[1])), "rtol": str(case.rtol), "atol": str(case.atol)}
    path = os.path.join(folder, case.name)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "model.onnx"), "wb") as f:
        f.write(case.model.SerializeToString())
    with open(os.path.join(path, "io.safetensors"), "wb") as f:
        f.write(safetensors(arrays, metadata))
    return True


if __name__ == "__main__":
    cases = node.collect_testcases(None)
    print(sum(write(case, sys.argv[1]) for case in cases), "of", len(cases))
