"""Tests of the report: its numbers, its words, its figures, its page."""
