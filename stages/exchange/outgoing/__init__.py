"""From results to an export: which frames and pixels, at which size, in parts that are joined."""
