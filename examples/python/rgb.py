"""Writes pictures as the raw RGB bytes that the other examples read, beside them: python rgb.py PICTURE..."""

import sys
from pathlib import Path

from PIL import Image

for path in map(Path, sys.argv[1:]):
    picture = Image.open(path).convert("RGB")
    target = path.with_suffix(".rgb")
    target.write_bytes(picture.tobytes())
    print(picture.height, picture.width, target)
