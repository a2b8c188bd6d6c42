"""Small defects in large frames: tiles of the frame at full size, one verdict and one heatmap for the whole.

Camera  area scan of 2448 x 2048 or so, defects from 6 pixels across; a part may lie any way up, and the light wanders.
Data    images/<class>/*.png with masks/<class>/*.png of the same names and sizes (0 where the part is good), or a manifest.csv
        with path, label, mask and group. Tiles are cut around what masks mark and from good area, half and half on a defective
        frame; a defective frame without a mask gives none. Generated ones: python scripts/paint_large.py DATA
Expect  60 generated frames (12 of them in test), mobilenetv2_035, one seed, when Segment had 32 channels and the frame named the
        kind: 12 of 12 defects found and no false region in 5 good frames; 0 of 7 defective frames passed, 1 of 5 good ones
        rejected; 220 CPU seconds of epochs. With mobilenetv2_100 as it is now a frame of 30 tiles takes 0.8 CPU seconds, in a
        process of 241 MiB at its peak (scripts/measure_tiles.py).
Run     python recipes/large_frames.py DATA --out DIR
"""

from visiontune.tune import Recipe, Segment, Tiles, Unfreeze, finetune, main, policies, read

recipe = Recipe(
    backbone="mobilenetv2_100.ra_in1k",
    head=Segment(),
    policy=policies.flat_sheet(),
    unfreeze=Unfreeze(),
    size=(2048, 2448),
    tile=(512, 64),
    tiles=Tiles(per_frame=8, around=0.5),
    batch=16,
    store_gb=20.0,
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
