"""Tests of the house: floors, doors, sizes."""
