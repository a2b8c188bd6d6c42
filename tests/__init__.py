"""The tests, laid out like visiontune/ itself."""
