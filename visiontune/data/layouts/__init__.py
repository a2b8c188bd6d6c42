"""The layouts that pictures come in: one file each, with `recognise(root)` and `read(root, ignore=...)`."""
