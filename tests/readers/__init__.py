"""Other people's programs read our exports: the proof that a format is what it says."""
