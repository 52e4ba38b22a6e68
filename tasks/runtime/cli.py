"""`lis` (to come)."""


def main(prog: str = "lis") -> int:
    """Nothing yet."""
    return 2
