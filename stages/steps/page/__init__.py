"""What the page of `lis annotate` shows, worked out from what lies on disk: no server in it, and nothing is kept."""
