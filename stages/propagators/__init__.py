"""Masks between anchors: engines for the plug point `Propagator`."""
