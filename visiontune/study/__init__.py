"""Studies that a customer asks for before a line starts: attribute agreement (MSA), and the smallest defect reliably found.

A floor of its own beside the heads: it needs the line's Inspector and the data floor's readers and painter, and the statistics
of SciPy; no torch. Fine-tuning knows nothing of it, and it knows nothing of fine-tuning: any exported file can be studied.
"""

from visiontune.runtime.errors import MissingExtra

try:
    import scipy
except ImportError:
    raise MissingExtra(
        'visiontune.study needs scipy, which is not installed; pip install "visiontune[train]"'
    ) from None

del scipy, MissingExtra
