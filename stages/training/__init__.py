"""How the small networks are trained: from pictures with masks, and nothing else."""
