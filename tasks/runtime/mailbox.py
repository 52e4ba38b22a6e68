"""What tasks tell the scheduling process, through nothing that a killed task could keep locked.

Luigi's own way is a `multiprocessing.Queue`, whose writers share a lock: a task that is killed while it holds it (by
the kernel, for want of memory) makes every later task, and so the run, wait for ever. Here a message is one datagram:
it is sent as a whole, or not at all.
"""

import os
import pickle
import queue
import select
import socket
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from stages.formats import files

_MOST_BYTES: Final = 64 << 10
"""Of a datagram; what is longer goes by a file."""


class Mailbox:
    """As much of a `multiprocessing.Queue` as Luigi uses; read by the process that made it."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._owner = os.getpid()
        self._own: deque[Any] = deque()

    def put(self, message: Any) -> None:
        """Tell something; returns when it is told."""
        if os.getpid() == self._owner:
            self._own.append(message)  # who reads must not wait for a reader
            return
        packed = pickle.dumps(message)
        if len(packed) > _MOST_BYTES:
            descriptor, name = tempfile.mkstemp(prefix="lis-message-")
            os.close(descriptor)
            files.write(Path(name), packed)
            packed = pickle.dumps(Path(name))
        self._writer.send(packed)

    def get(self, timeout: float) -> Any:
        """The next that was told.

        Raises:
            queue.Empty: nothing was, for so many seconds.
        """
        if self._own:
            return self._own.popleft()
        readable, _, _ = select.select([self._reader], [], [], timeout)
        if not readable:
            raise queue.Empty
        message = pickle.loads(self._reader.recv(2 * _MOST_BYTES))
        if isinstance(message, Path):
            path, message = message, pickle.loads(message.read_bytes())
            with suppress(OSError):
                files.delete(path)
        return message

    def close(self) -> None:
        """Nobody reads it any more."""
        self._reader.close()
        self._writer.close()
