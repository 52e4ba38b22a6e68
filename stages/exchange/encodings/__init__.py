"""How masks are written: outlines, run lengths, brushes, and the documents they stand in."""
