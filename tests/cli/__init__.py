"""The command `lis`."""
