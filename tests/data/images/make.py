"""Pictures of handwritten digits for examples/image_classifier.stark: rows of the models' test set, enlarged. Run in this folder:

    pip install pillow numpy safetensors && python3 make.py
"""
import numpy as np
from PIL import Image
from safetensors.numpy import load_file

test = load_file("../models/digits_test.safetensors")
for digit in range(10):
    row = np.flatnonzero(test["y"] == digit)[0]
    x = test["images"][row, 0] if "images" in test else test["x"][row].reshape(8, 8)
    picture = Image.fromarray(np.clip(x / x.max() * 255, 0, 255).astype(np.uint8))
    picture = picture.resize((64, 64), Image.BICUBIC).convert("RGB" if digit % 2 else "L")
    kind = "jpg" if digit in (3, 8) else "png"
    picture.save(f"digit_{digit}.{kind}", quality=90)
