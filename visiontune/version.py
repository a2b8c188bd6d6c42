"""The version, in the one place that packaging and model cards read."""

__version__ = "0.1.0"
