"""Arrays only, no files: what everything else is made of."""
