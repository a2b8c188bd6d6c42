"""Cuts every timm architecture whose name matches a pattern into stages, and says where that fails.

python scripts/sweep_stages.py 'resnet*' 'vit_*'      # default: all of timm, which takes an hour or more
"""

import argparse
import sys
import time

import timm

from visiontune.tune.stages import own_size, owner_module, stages, traced


def problem(name):
    """Why the architecture cannot be cut, or nothing."""
    backbone = timm.create_model(name, num_classes=0)
    found = stages(backbone)
    owned = [parameter for stage in found for parameter in stage.parameters]
    if sorted(owned) != sorted(parameter for parameter, _ in backbone.named_parameters()):
        return "not total"
    run = traced(backbone, own_size(backbone))
    end = -1
    for stage in found:
        modules = [owner_module(parameter) for parameter in stage.parameters]
        when = [
            run.order[module] for module in modules if module and module in run.order
        ]  # the root runs all along
        if when and min(when) <= end:
            return f"out of order at {stage.name}"
        end = max([end, *when])
    return ""


def main():
    """Walks the names, prints a line for each, and counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("patterns", nargs="*", default=["*"])
    names = sorted({name for pattern in parser.parse_args().patterns for name in timm.list_models(pattern)})
    failed = 0
    for name in names:
        begin = time.process_time()
        try:
            why = problem(name)
        except Exception as error:  # whatever a model raises
            why = f"{type(error).__name__}: {str(error)[:100]}"
        failed += bool(why)
        print(f"{name:<48} {time.process_time() - begin:6.1f} s  {why or 'ok'}", flush=True)
    print(f"{len(names) - failed} of {len(names)} architectures are cut in order")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
