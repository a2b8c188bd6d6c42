"""Surface of a flat sheet or tile: good, or one of several kinds of defect.

Camera  area scan, grey or colour, straight from above; a part may lie any way up, and the light wanders.
Data    DATA/<class>/*.jpg with the good parts in DATA/good (ok, normal, free, pass), or a manifest.csv with path, label
        and, where parts are photographed more than once, group.
Expect  to be measured
Run     python recipes/surface_defects.py DATA --out DIR
"""

from visiontune.tune import Classify, Recipe, Unfreeze, finetune, main, policies, read

recipe = Recipe(
    backbone="mobilenetv2_100.ra_in1k",
    head=Classify(),
    policy=policies.flat_sheet(),
    unfreeze=Unfreeze(),
    size=(320, 320),
    lr=2e-3,
)


def cook(recipe, data, out, resume=False):
    parts = read(data, good=recipe.good, group=recipe.group)
    run = finetune(recipe, parts, out=out, resume=resume)
    run.calibrate(escapes=0.01, overkill=0.05, confidence=0.95)
    run.export()
    run.report()


if __name__ == "__main__":
    main(recipe, cook)
