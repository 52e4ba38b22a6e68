"""`python -m tasks doctor | weights | options | demo`: the same as `lis doctor` and so on."""

import sys

from tasks.runtime.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tasks"))
