"""Faults by construction: refused, killed, cut, flipped; then compared with an undisturbed run (`make faults`)."""
