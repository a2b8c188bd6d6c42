"""The line: opens an exported model, judges frames, measures; needs numpy, Pillow and onnxruntime only."""
