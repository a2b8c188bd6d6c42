"""Surface of a flat sheet or tile: good, or one of several kinds of defect.

Camera  area scan, grey or colour, straight from above; a part may lie any way up, and the light wanders.
Data    DATA/<class>/*.jpg with the good parts in DATA/good (ok, normal, free, pass), or a manifest.csv with path, label
        and, where parts are photographed more than once, group.
Expect  magnetic tiles (5 kinds, split by tile), mobilenetv2_035, one seed: balanced accuracy .574 on test, within .44 to .78 by
        its 36 tiles; no escape in 86 defective pictures of 14 tiles, 2 of 132 good ones rejected, 81 % for review, since
        13 defective tiles certify no more than 21 %; about 4 CPU minutes, 4 ms a frame.
Run     python recipes/surface_defects.py DATA --out DIR
"""

from visiontune.tune import Classify, Recipe, Unfreeze, finetune, main, policies, read

recipe = Recipe(
    backbone="mobilenetv2_100.ra_in1k",
    head=Classify(),
    policy=policies.flat_sheet(),
    unfreeze=Unfreeze(),
    size=(320, 320),
)


def cook(recipe, data, out, resume=False):
    parts = read(data, good=recipe.good, group=recipe.group)
    run = finetune(recipe, parts, out=out, resume=resume)
    run.calibrate(escapes=0.01, overkill=0.05, confidence=0.95)
    run.export()
    run.report()
    return run


if __name__ == "__main__":
    main(recipe, cook)
