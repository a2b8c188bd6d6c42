"""Torchvision's FCOS and RetinaNet on a timm backbone: made, taught for as long as a budget lasts, exported bare."""

import copy
import time
from collections import OrderedDict
from typing import NamedTuple

import timm
import torch
from torch import nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7

SGD = "sgd"  # with momentum 0.9 and weight decay 1e-4; "adamw" has a weight decay of 0.02
TRIED = (3, 15)  # steps that say how many epochs the budget holds


class Learning(NamedTuple):
    """How a way learns."""

    optimizer: str
    rate: float


class Maps(nn.Module):
    """A timm backbone's maps from stride 8 on through torchvision's feature pyramid, as its detectors want them."""

    def __init__(self, name, channels):
        super().__init__()
        net = timm.create_model(name, pretrained=True, features_only=True)
        wanted = [at for at, stride in enumerate(net.feature_info.reduction()) if stride >= 8]
        self.net = timm.create_model(name, pretrained=True, features_only=True, out_indices=wanted)
        self.pyramid = FeaturePyramidNetwork(
            self.net.feature_info.channels(), channels, extra_blocks=LastLevelP6P7(channels, channels)
        )
        self.out_channels = channels

    def forward(self, pictures):
        """The levels by name, from the finest to the coarsest."""
        return self.pyramid(OrderedDict((str(at), one) for at, one in enumerate(self.net(pictures))))


def detector(name, given, kinds, mean, std):
    """FCOS or RetinaNet as torchvision builds them, on these maps."""
    common = {
        "num_classes": kinds,
        "min_size": given.size,
        "max_size": given.size,
        "image_mean": mean,
        "image_std": std,
        "score_thresh": 0.05,
        "nms_thresh": 0.5,
        "detections_per_img": 100,
    }
    maps = Maps(given.backbone, given.channels)
    if name.endswith("FCOS"):
        return FCOS(maps, **common)
    scales = [2 ** (step / 3) for step in range(3)]
    sizes = tuple(tuple(int(4 * stride * scale) for scale in scales) for stride in (8, 16, 32, 64, 128))
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    return RetinaNet(maps, anchor_generator=anchors, **common)


def epochs_within(budget, net, chosen, batches):
    """How many epochs of such batches fit into so many CPU seconds, tried on a copy: the warm-up has to know before it starts."""
    twin = copy.deepcopy(net).train()
    optimizer, most = optimizer_of(twin, chosen)
    for step, batch in enumerate(batches):
        if step == TRIED[0]:  # the first steps are slower than those that follow
            begun = time.process_time()
        if step == TRIED[1]:
            break
        learn(twin, optimizer, most, batch)
    each = (time.process_time() - begun) / (TRIED[1] - TRIED[0]) * len(batches)
    return max(1, round(budget / each))


def learn(net, optimizer, most, batch):
    """One step."""
    pictures, targets = for_torchvision(batch)
    loss = sum(net(pictures, targets).values())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), most)
    optimizer.step()


def optimizer_of(net, chosen):
    """The optimizer, and the norm at which gradients are cut: plain descent needs longer ones."""
    if chosen.optimizer == SGD:
        return torch.optim.SGD(net.parameters(), lr=chosen.rate, momentum=0.9, weight_decay=1e-4), 10.0
    return torch.optim.AdamW(net.parameters(), lr=chosen.rate, weight_decay=0.02), 1.0


def for_torchvision(batch):
    """Pictures float (3, h, w), 0..1, and their boxes, in lists."""
    pictures = list(batch["frames"].permute(0, 3, 1, 2).float() / 255)
    if "boxes" not in batch:
        return pictures, None
    targets = []
    for boxes, kinds in zip(batch["boxes"], batch["box_kinds"], strict=True):
        real = kinds >= 0
        targets.append({"boxes": boxes[real], "labels": kinds[real]})
    return pictures, targets


class Bare(nn.Module):
    """The network of a torchvision detector alone: normalised pictures in, what its head says out."""

    def __init__(self, net):
        super().__init__()
        self.backbone, self.head = net.backbone, net.head

    def forward(self, pictures):
        """What the head says, level after level in one tensor each."""
        return tuple(self.head(list(self.backbone(pictures).values())).values())


def bare(net, size):
    """Its ONNX file, as bytes."""
    program = torch.onnx.export(
        Bare(net.to(memory_format=torch.contiguous_format)).eval(),
        (torch.zeros(1, 3, size, size),),
        verbose=False,
    )
    return program.model_proto.SerializeToString()
