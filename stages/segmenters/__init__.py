"""Anchor masks from scribbles: one package or module per engine."""
