"""Judges pictures with an exported model: python judge.py MODEL PICTURE..."""

import sys

import numpy as np
import onnxruntime
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
for path in sys.argv[2:]:
    frame = np.asarray(Image.open(path).convert("RGB"))
    decision, severity = session.run(["decision", "severity"], {"frames": frame[np.newaxis]})
    print(("pass", "review", "reject")[decision[0]], f"{severity[0]:.4f}", path, sep="\t")
