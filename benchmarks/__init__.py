"""Measurements: each module is a command (`python -m benchmarks.quality --help`) and prints what it measured."""
