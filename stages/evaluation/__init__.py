"""Measuring results against ground truth: single sequences, and whole sessions of the interactive DAVIS protocol."""

POLICIES = ("lazy", "lazy-repeat", "anytime")
"""What a session submits at each interaction; see `stages.evaluation.interactive`."""
