"""Pass, review or reject from good parts and whatever defects are labelled so far; each new label or mask goes into the next run.

Camera  area scan, grey or colour, straight from above, fixed light; parts lie about alike in the frame.
Data    good parts, 100 and more, in a folder called good (ok, normal, free, pass); in train also defective ones as far as there
        are any, with masks as far as somebody drew them. Any layout with a good class, MVTec's too.
Expect  magnetic tiles (split by tile), mobilenetv2_035 at 224 px, test, mean (range) of three divisions of train and val; AUROC
        and AUPRO. From some 675 good pictures alone .920 (.911 to .928) and .816; the memory beside it .920 and .816, so no
        gain. With 5 masks .920 and .823, 20 .937 (.928 to .945) and .852, all 240 .956 (.940 to .965) and .909. 42 to 79
        CPU seconds where nothing else ran.
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
