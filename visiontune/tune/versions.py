"""The versions of the packages that a result depends on, as the card and run.json hold them."""

from __future__ import annotations

from importlib.metadata import version

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "albumentations",
    "onnx",
    "onnxruntime",
    "numpy",
    "pillow",
)


def versions() -> dict[str, str]:
    """The installed versions."""
    return {name: version(name) for name in PACKAGES}
