"""What the server has confirmed is on the disk, whenever it is killed."""

import http.client
import json
import random
import subprocess
import sys
import time

import pytest

from stages.formats.drafts import read_draft
from tests.conftest import Project

PORT = 8796
TOKEN = "0123456789abcdef0123456789abcdef"
LINE = {"object_id": 1, "path": [[0.25, 0.5]], "start_time": 0, "end_time": 9}


@pytest.mark.slow
def test_no_stroke_is_lost_that_was_confirmed(project: Project) -> None:
    dice, confirmed = random.Random(5), 0
    token = project.folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    for _ in range(6):
        command = [sys.executable, "-m", "tasks", "annotate", "--port", str(PORT), "--token-file", str(token)]
        with subprocess.Popen(command, cwd=project.folder, stderr=subprocess.DEVNULL) as serving:
            try:
                confirmed = draw_until_it_dies(serving, dice.uniform(0.1, 0.8), confirmed)
            finally:
                serving.kill()
        draft = read_draft(project.scribble_file, 3)
        assert draft is not None and len(draft.lines) in (confirmed, confirmed + 1)
        confirmed = len(draft.lines)
    assert confirmed > 6
    left = [path.name for path in project.scribble_file.with_name("001.drafts").iterdir()]
    assert len(left) <= 3, "what a killed server leaves is swept by the next save"


def draw_until_it_dies(serving: subprocess.Popen[bytes], seconds: float, drawn: int) -> int:
    """Add a line again and again; how many of them were confirmed."""
    wire, cookie = connected()
    own = {"Origin": f"http://127.0.0.1:{PORT}", "Cookie": cookie}
    path, dies_at = "/api/seq/toy/set/001/draft/3", time.monotonic() + seconds
    wire.request("GET", path, headers=own)
    tag = json.loads(wire.getresponse().read()).get("tag")
    try:
        while True:
            if time.monotonic() > dies_at:
                serving.kill()
            said = {"If-Match": f'"{tag}"'} if tag else {"If-None-Match": "*"}
            body = json.dumps({"kind": "strokes", "lines": [LINE] * (drawn + 1)})
            wire.request("PUT", path, body=body, headers={**own, **said})
            answer = wire.getresponse()
            tag = json.loads(answer.read())["tag"]
            assert answer.status == 200
            drawn += 1
    except (OSError, http.client.HTTPException):
        return drawn
    finally:
        wire.close()


def connected(port: int = PORT) -> tuple[http.client.HTTPConnection, str]:
    """A connection with a session, once somebody listens."""
    for _ in range(200):
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            origin = {"Origin": f"http://127.0.0.1:{port}"}
            wire.request("POST", "/api/session", body=json.dumps({"token": TOKEN}), headers=origin)
            answer = wire.getresponse()
            answer.read()
            return wire, str(answer.headers["Set-Cookie"]).partition(";")[0]
        except OSError:
            wire.close()
            time.sleep(0.1)
    raise AssertionError("nobody listens")
