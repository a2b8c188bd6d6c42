"""Defects by boxes: pass or reject, and each defect found, named and counted. Learns from boxes of COCO, YOLO or VOC files.

Camera  area or line scan, grey or colour, straight from above; a part may lie any way up, and the light wanders.
Data    annotations/train.json (val, test) in COCO format, a YOLO data.yaml, Annotations/*.xml of VOC, or a manifest.csv with
        path, label, boxes (KIND X0 Y0 X1 Y1 | ...) and, where parts are photographed more than once, group. A picture without
        a box is good; what is flagged iscrowd or difficult is neither defect nor background.
Expect  NEU steel (6 kinds, no good parts, seeded split), mobilenetv2_035 at 224 px, one seed, on test: AP50 .69, mAP .32; 66 % of
        626 defects found, 68 % of the boxes shown on a defect of their kind, each once; the kind of all frames but one of 270
        named rightly; 275 CPU seconds of epochs.
Run     python recipes/defect_boxes.py DATA --out DIR
"""

from visiontune.tune import Detect, Recipe, Unfreeze, finetune, main, policies, read

recipe = Recipe(
    backbone="mobilenetv2_100.ra_in1k",
    head=Detect(),
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
