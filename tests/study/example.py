"""A worked example of an attribute study with published results."""

import numpy as np

from visiontune.study.agreement import Ruling

# The worked example of 15 parts, 3 operators and 3 repeats that the quality control module of JASP is tested with, and its
# results; 1 is its "Yes", which it counts as the positive class.
JASP = {
    "EG": "111 000 111 100 111 111 111 000 000 111 000 111 111 000 111",
    "BL": "111 000 111 100 111 111 000 000 000 111 000 111 111 000 111",
    "MH": "111 111 111 111 111 111 111 001 100 111 101 111 111 000 111",
}
TRUTH = "1 0 1 1 1 0 1 0 0 1 0 1 1 1 1"


def ruling(text):
    return Ruling(np.array([[int(call) for call in part] for part in text.split()]))
