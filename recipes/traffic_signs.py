"""Traffic signs: which of many kinds a crop shows. A sorter: there is no good class, the unsure ones go to review.

Camera  crops of signs from a moving car: dusk, glare, motion blur; mostly small, a few dozen pixels a side.
Data    DATA/<kind>/*.png or a manifest.csv with path, label and group (one drive past a sign is one group: its frames
        are nearly the same picture, and must not be split between train and test).
Expect  German signs (43 kinds, split by drive past), mobilenetv2_035, one seed: top-1 .960 and balanced accuracy .958 (.949 to
        .968) on 1674 test crops, 12 % for review, 1 of 1471 passed crops wrong; everything opens for eight epochs; 90 CPU
        seconds, 0.3 ms a crop.
Run     python recipes/traffic_signs.py DATA --out DIR
"""

from visiontune.tune import Classify, Recipe, Unfreeze, finetune, main, policies, read

recipe = Recipe(
    backbone="mobilenetv2_100.ra_in1k",
    head=Classify(),
    policy=policies.road_signs(),
    unfreeze=Unfreeze(),
    size=(80, 80),
    batch=64,
    good=None,
)


def cook(recipe, data, out, resume=False):
    crops = read(data, good=recipe.good, group=recipe.group)
    run = finetune(recipe, crops, out=out, resume=resume)
    run.calibrate(escapes=0.02, confidence=0.95)
    run.export()
    run.report()
    return run


if __name__ == "__main__":
    main(recipe, cook)
