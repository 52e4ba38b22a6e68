"""Masks between anchors: one package per engine."""
