"""What all tasks share: how results are published, options, snapshots, locks, and what leans on Luigi's insides."""
