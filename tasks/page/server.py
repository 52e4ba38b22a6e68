"""The server: what it listens on, what it serves, and how it ends."""

import asyncio
import errno
import signal
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from stages.core.errors import InputError
from tasks.page import drawing, events, handlers, previewing, reading, reviewing, running, shell
from tasks.page.events import EventfulPage
from tasks.page.handlers import MOST_BYTES
from tasks.page.preview import Previewer
from tasks.page.runs import PROGRAM, Runs
from tasks.page.security import Access
from tasks.page.sequences import Sequences

LIMITS: Final[Mapping[str, Any]] = {
    "max_body_size": MOST_BYTES,  # handlers that take more say so once they know who asks
    "max_header_size": 32 << 10,
    "body_timeout": 60,
    "idle_connection_timeout": 300,
}
"""Of every connection."""
MOST_CONNECTIONS: Final = 400
"""Of a browser, each tab has seven. Descriptors are few, and files want some: who runs out of them accepts nobody."""
_OWN: Final = ("127.0.0.1", "::1")


class Server(HTTPServer):
    """Hangs up on whoever comes when there are too many, who need no token to do so."""

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve it, or not."""
        if len(self._connections) < MOST_CONNECTIONS:
            super().handle_stream(stream, address)
        else:
            stream.close()


def page_of(
    access: Access, sequences: Sequences, previewer: Previewer, program: Iterable[str] = PROGRAM
) -> EventfulPage:
    """The application with all its handlers; `program` is what it runs."""
    served: list[Any] = [("/api/session", handlers.Session), *previewing.handlers(previewer)]
    for part in (shell, reading, drawing, reviewing, events, running):
        served += part.HANDLERS
    page = EventfulPage(served, access, sequences, Runs(program))
    page.at_end.append(previewer.end)
    return page


def listen(port: int, host: str = "") -> list[socket.socket]:
    """Sockets on the loopback, in both families as far as the machine has them, or on one address.

    Raises:
        InputError: somebody else listens there, or there is no such address.
    """
    found: list[socket.socket] = []
    for address in [host] if host else _OWN:
        try:
            family, *_, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            found.append(socket.create_server(where[:2], family=family, backlog=128))
            found[-1].setblocking(False)
        except OSError as error:
            if found and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # no IPv6 here
            for each in found:
                each.close()
            raise InputError(
                f"{address}, port {port}: {error.strerror or error}; end the other `lis annotate`, or give another "
                "--port (what a browser keeps of strokes that are not saved belongs to the port)"
            ) from None
    return found


def serve(page: EventfulPage, sockets: list[socket.socket]) -> None:
    """Serve until the process is asked to end."""
    asyncio.run(_serve(page, sockets))


async def _serve(page: EventfulPage, sockets: list[socket.socket]) -> None:
    server = Server(page, **LIMITS)
    server.add_sockets(sockets)
    ended = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    await ended.wait()
    server.stop()
    await server.close_all_connections()
    for end in page.at_end:
        await end()
    page.threads.shutdown()
