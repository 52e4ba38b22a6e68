"""Anchor masks from scribbles: one package per engine."""
