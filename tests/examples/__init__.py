"""Tests of the programs that use an exported file without visiontune."""
