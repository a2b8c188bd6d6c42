"""The core network with its weights stored in 16 bits: half the file, float32 arithmetic as before."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEAST = 64  # values: smaller tensors save nothing


def halved(core: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the core whose large float32 constants are float16, each made float32 again by a Cast.

    An engine folds the Casts when it opens the file and then computes as before, so the only change is the rounding of
    the weights (to 11 bits). A network that also computes in float16 is slower on CPUs, which convert to and fro. What
    does not fit into float16 stays as it is.
    """
    model = onnx.ModelProto()
    model.CopyFrom(core)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < LEAST:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
