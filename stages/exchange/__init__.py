"""Masks out to training and to other tools, and masks in from them: one module a format."""
