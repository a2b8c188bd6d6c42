"""The subcommands of `visiontune`: one file each, with `add` to describe it and `run` to do it."""
