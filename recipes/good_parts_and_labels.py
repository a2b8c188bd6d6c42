"""Pass, review or reject from good parts and whatever defects are labelled so far; each new label or mask goes into the next run.

Camera  area scan, grey or colour, straight from above, fixed light; parts lie about alike in the frame.
Data    good parts, 100 and more, in a folder called good (ok, normal, free, pass); in train also defective ones as far as there
        are any, with masks as far as somebody drew them. Any layout with a good class, MVTec's too.
Expect  magnetic tiles (split by tile), mobilenetv2_035 at 224 px, one seed; AUROC and AUPRO. From 677 good pictures alone:
        val .879 and .779 (the memory beside it .820, .687), test .903 and .790 (memory .916, .818: no gain there). With the
        230 defective pictures of train and their masks: test .935 and .828. 60 CPU seconds.
Run     python recipes/good_parts_and_labels.py DATA --out DIR; before, look at what is planted:
        recipe.policy.sheet("a_good_part.png").save("sheet.png")
"""

from visiontune.tune import Recipe, TrainedAnomaly, Unfreeze, finetune, main, policies, read

recipe = Recipe(
    backbone="mobilenetv2_100.ra_in1k",
    head=TrainedAnomaly(memory=1000),
    policy=policies.planted(policies.fixed_part(shift=0, turn=0, light=0.15)),
    unfreeze=Unfreeze.never(),
    epochs=6,
    size=(224, 224),
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
