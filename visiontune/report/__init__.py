"""The run report: one self-contained page that a quality engineer and an auditor can read, and its plots."""

from visiontune.runtime.errors import MissingExtra

try:
    import jinja2
    import matplotlib
except ImportError as problem:
    raise MissingExtra(
        f'visiontune.report needs the lab, and {problem.name} is not installed; pip install "visiontune[train]"'
    ) from None

del jinja2, matplotlib, MissingExtra
