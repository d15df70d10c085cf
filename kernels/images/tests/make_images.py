"""Writes the images and what Pillow makes of them: tests/data. Run in this folder:

    pip install pillow numpy && python3 make_images.py
"""
import io, json, struct, sys, zlib
from pathlib import Path
import numpy as np
from PIL import Image

OUT = Path(__file__).parent / "data"
OUT.mkdir(exist_ok=True)
H, W = 29, 37

rng = np.random.default_rng(5)
y, x = np.mgrid[0:H, 0:W]
# Smooth slopes, edges and a little noise: what photos have, so that JPEG's chroma subsampling and ringing show.
rgb = np.stack([x * 255 // W, y * 255 // H, 128 + 100 * np.sin(x / 3) * np.cos(y / 4)], axis=2)
rgb[8:16, 10:20] = [250, 20, 30]
rgb = np.clip(rgb + rng.integers(-6, 7, rgb.shape), 0, 255).astype(np.uint8)
alpha = (255 * ((x + y) % 17) // 16).astype(np.uint8)
rgba = np.dstack([rgb, alpha])
picture = Image.fromarray(rgb)

files = {}

def save(name, image, **options):
    out = io.BytesIO()
    image.save(out, name.rsplit(".", 1)[1].replace("jpg", "jpeg"), **options)
    files[name] = out.getvalue()

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(depth, color, interlaced, data):
    header = struct.pack(">IIBBBBB", W, H, depth, color, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")

save("rgb.png", picture)
save("rgba.png", Image.fromarray(rgba))
save("grey.png", picture.convert("L"))
save("grey_alpha.png", Image.fromarray(rgba).convert("LA"))
save("palette.png", picture.quantize(16))
save("bits.png", picture.convert("1"))
# Pillow writes neither: 16 bits a channel, and Adam7.
wide = (rgb.astype(np.uint16) * 256 + 77).astype(">u2")
files["rgb16.png"] = png(16, 2, 0, b"".join(b"\0" + row.tobytes() for row in wide))
passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
rows = [b"\0" + row.tobytes() for top, left, down, right in passes for row in rgb[top::down, left::right]]
files["interlaced.png"] = png(8, 2, 1, b"".join(rows))
save("rgb444.jpg", picture, quality=90, subsampling=0)
save("rgb422.jpg", picture, quality=85, subsampling=1)
save("rgb420.jpg", picture, quality=75, subsampling=2)
save("progressive.jpg", picture, quality=80, progressive=True)
save("restarts.jpg", picture, quality=80, restart_marker_blocks=2)
save("grey.jpg", picture.convert("L"), quality=85)
save("cmyk.jpg", picture.convert("CMYK"), quality=90)

tensors = {}
for name, content in files.items():
    (OUT / name).write_bytes(content)
    opened = Image.open(io.BytesIO(content))
    for mode in ["L", "RGB", "RGBA"]:
        tensors[f"{name} {mode}"] = np.asarray(opened.convert(mode))

SIZES = [(12, 17), (58, 74), (29, 5), (3, 37), (64, 8), (1, 1)]
FILTERS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
for mode, image in [("L", picture.convert("L")), ("RGB", picture), ("RGBA", None)]:
    for name, filter in FILTERS.items():
        for h, w in SIZES:
            if image is not None:
                resized = np.asarray(image.resize((w, h), filter))
            else:
                # Pillow weights RGBA by its alpha; here each channel stands for itself, as in torchvision.
                planes = [Image.fromarray(np.ascontiguousarray(rgba[:, :, c])) for c in range(4)]
                resized = np.dstack([np.asarray(plane.resize((w, h), filter)) for plane in planes])
            tensors[f"{mode} {name} {h} {w}"] = resized

header, data = {}, b""
for name, array in tensors.items():
    array = array if array.ndim == 3 else array[:, :, None]
    raw = np.ascontiguousarray(array).tobytes()
    header[name] = {"dtype": "U8", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
(OUT / "pillow.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
print(f"{len(files)} images, {len(tensors)} tensors, Pillow {Image.__version__}")
