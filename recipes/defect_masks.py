"""Defects by pixels: pass or reject, of which kind, and where. Learns from masks, and from labels where there is no mask.

Camera  area scan, grey or colour, straight from above; a part may lie any way up, and the light wanders.
Data    images/<class>/*.png with masks/<class>/*.png of the same names and sizes (0 where the part is good), or a manifest.csv
        with path, label, mask and, where parts are photographed more than once, group. A defective picture whose mask is
        missing or empty counts as "somewhere": outline a few hundred, label the rest.
Expect  magnetic tiles (5 kinds, split by tile), mobilenetv2_035 at 224 px, 16 epochs with unfreeze=Unfreeze(at=(4, 8)) and
        views=16, three seeds, on test: IoU .24 (.21 to .26) on average over kinds; 68 % (66 to 71) of the outlined defects where
        one in 100 good frames shows a false one; 160 CPU seconds.
Run     python recipes/defect_masks.py DATA --out DIR
"""

from visiontune.tune import Recipe, Segment, Unfreeze, finetune, main, policies, read

recipe = Recipe(
    backbone="mobilenetv2_100.ra_in1k",
    head=Segment(),
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
