"""Tests of the repetition of recorded runs."""
