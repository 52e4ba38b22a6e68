"""`python -m tasks doctor | weights | options | demo`: as `lis doctor` and so on; `demo` prints where the clip lies."""

import sys

from tasks.cli import main

if __name__ == "__main__":
    if sys.argv[1:] == ["demo"]:
        sys.argv.append("--clip")
    sys.exit(main(prog="python -m tasks"))
