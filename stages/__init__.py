"""The work: arrays and paths in, arrays and paths out. Nothing here knows Luigi."""
