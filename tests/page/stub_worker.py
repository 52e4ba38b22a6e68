"""A worker that makes no masks: the name of the engine says what it does with a question."""

import gzip
import json
import sys
import time

NOTHING = {"size": [1, 1], "done": [], "left": [], "seconds": 0, "scale": 1}


def say(found: dict, mask: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps({**found, "bytes": len(mask)}).encode() + b"\n" + mask)
    sys.stdout.buffer.flush()


if sys.argv[1:] == ["stillborn"]:
    sys.exit()
say({})
for number, line in enumerate(sys.stdin):
    asked = json.loads(line)
    match asked["engine"]["name"]:
        case "dies":
            sys.exit()
        case "sleeps":
            time.sleep(60)
        case "slow":
            time.sleep(0.1)
        case "babbles":
            sys.stdout.buffer.write(b"a library says something\n")
        case "refuses":
            say({"error": "found no weights"})
            continue
    say({**NOTHING, "number": number, "said": asked.get("said")}, gzip.compress(b"mask", mtime=0))
