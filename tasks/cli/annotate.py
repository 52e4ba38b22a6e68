"""`lis annotate`: a page in the browser."""

import sys
import webbrowser
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import rich_click as click

from stages.core.errors import InputError
from tasks.runtime.options import setting

_PORT: Final = 8765
_ROOTS: Final = ("data_root", "outputs_root", "weights_root", "scribbles_root")


@click.command()
@click.option("--seq", metavar="NAME", help="the sequence to begin with")
@click.option("--port", type=click.IntRange(1, 65535), default=_PORT, help=f"to listen on [{_PORT}]")
@click.option(
    "--host", metavar="ADDRESS", help="listen on this address instead of the machine itself; with --token-file"
)
@click.option("--token-file", type=Path, metavar="FILE", help="take the token from a file that only you can read")
@click.option("--public-origin", metavar="URL", default="", help="what browsers call the server behind a reverse proxy")
@click.option("--read-only", is_flag=True, help="show everything, change nothing")
@click.option("--no-preview", is_flag=True, help="show no masks while drawing: a machine whose GPU is somebody else's")
@click.option("--open", "opens", is_flag=True, help="open the page in a browser")
@click.option("--data-root", default=None, help="folder of the datasets")
@click.option("--outputs-root", default=None, help="folder of the results")
def annotate(
    seq: str | None,
    port: int,
    host: str | None,
    token_file: Path | None,
    public_origin: str,
    read_only: bool,
    no_preview: bool,
    opens: bool,
    data_root: str | None,
    outputs_root: str | None,
) -> int:
    """Serve a page to scribble on, watch, correct and approve sequences with a browser."""
    from tasks.page import server
    from tasks.page.preview import Previewer
    from tasks.page.security import Access, check_public_origin, new_token, read_token
    from tasks.page.sequences import Sequences

    if host and not token_file:
        raise InputError(
            f"found --host {host} without --token-file, expected both: whoever reaches the address may try tokens; or "
            f"leave --host out, and forward the port: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE"
        )
    token = read_token(token_file) if token_file else new_token()
    origin = check_public_origin(public_origin) if public_origin else ""
    access = Access(token, port, host or "", origin, read_only)
    given = {"data_root": data_root, "outputs_root": outputs_root}
    sequences = Sequences({name: given.get(name) or setting(name) for name in _ROOTS})
    if seq:
        sequences.task(seq)
    sockets = server.listen(port, host or "")
    place = (origin or f"http://{host or '127.0.0.1'}:{port}") + "/" + (f"?{urlencode({'seq': seq})}" if seq else "")
    if host:
        may = "look at" if read_only else "look at, and scribble on,"
        _tell(f"whoever reaches {place} and has the token may {may} everything in {sequences.data_root}")
    _tell(f"{place}   (its token: {token_file})" if token_file else f"{place}#{token}")
    if opens:
        webbrowser.open(f"{place}#{token}")
    previewer = Previewer("no preview: `lis annotate` was started with --no-preview" if no_preview else "")
    server.serve(server.page_of(access, sequences, previewer), sockets)
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
