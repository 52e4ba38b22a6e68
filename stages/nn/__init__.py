"""Pieces that two networks share."""
