"""Sharper boundaries: one package per engine."""
