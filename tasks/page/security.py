"""Who may talk to the server: exact hosts and origins, a token, and what every answer forbids the browser to do.

A page of any other site can make a browser send requests to a port of this machine, also under a name of its own that
leads here (DNS rebinding). So `Host` must be one of ours, `Origin` too wherever something changes, and everything but
the shell of the page wants the cookie that only the token gives.
"""

import hmac
import secrets
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from stages.core.errors import InputError

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
SHORTEST_TOKEN: Final = 32
_LONGEST_TOKEN: Final = 1024
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer; those that may be kept say so themselves."""


@dataclass(frozen=True)
class Access:
    """Who may talk to a server."""

    token: str
    port: int
    host: str = ""
    """An address that it listens on besides the loopback; empty: none."""
    public_origin: str = ""
    """What browsers call it behind a reverse proxy, `https://name`; empty: they talk to it themselves."""
    read_only: bool = False

    @cached_property
    def hosts(self) -> frozenset[str]:
        """What `Host` may be."""
        names = [*LOOPBACK, *([f"[{self.host}]" if ":" in self.host else self.host] if self.host else [])]
        public = [urlsplit(self.public_origin).netloc] if self.public_origin else []
        return frozenset([*(f"{name}:{self.port}" for name in names), *public])

    @cached_property
    def origins(self) -> frozenset[str]:
        """What `Origin` may be."""
        return frozenset([self.public_origin] if self.public_origin else (f"http://{host}" for host in self.hosts))

    @property
    def cookie(self) -> str:
        """The cookie's name. Cookies know no ports: two servers would throw each other out."""
        return f"lis_{self.port}"

    @cached_property
    def session(self) -> str:
        """The cookie's value: it comes from the token, so that a server with the same one goes on with its sessions."""
        return hmac.digest(self.token.encode(), self.cookie.encode(), "sha256").hex()

    def admits(self, cookie: str | None) -> bool:
        """Whether a cookie is that of a session."""
        return _equal(cookie or "", self.session)

    def is_token(self, token: str) -> bool:
        """Whether this is the token."""
        return _equal(token, self.token)


class WrongTokens:
    """How many were given lately: who guesses has to wait."""

    MOST: Final = 10
    WITHIN_S: Final = 60.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[float] = deque()

    @property
    def too_many(self) -> bool:
        """Whether nobody is let in for the moment, with the right token neither."""
        while self._seen and self._clock() - self._seen[0] >= self.WITHIN_S:
            self._seen.popleft()
        return len(self._seen) >= self.MOST

    def note(self) -> None:
        """One more."""
        self._seen.append(self._clock())


def new_token() -> str:
    """32 random bytes, as text that an address can hold."""
    return secrets.token_urlsafe(32)


def read_token(path: Path) -> str:
    """The token of a file that nobody else can read.

    Raises:
        InputError: it cannot be read, others can, or it is too short.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise InputError(
                f"--token-file {path}: found the mode {stat.S_IMODE(mode):o}, expected a file that only you can read; "
                f"chmod 600 {path}"
            )
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise InputError(f"--token-file {path}: found no token ({why}), expected a file with one line") from None
    if not SHORTEST_TOKEN <= len(text) <= _LONGEST_TOKEN or not text.isprintable() or " " in text:
        raise InputError(
            f"--token-file {path}: found {len(text)} characters, expected {SHORTEST_TOKEN} to {_LONGEST_TOKEN} on one "
            "line without blanks; `openssl rand -hex 32` makes some"
        )
    return text


def check_public_origin(origin: str) -> str:
    """The same, if browsers would send it like this.

    Raises:
        InputError: it is something else than a scheme and a host.
    """
    parts = urlsplit(origin)
    plain = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or origin != plain.lower():
        raise InputError(f"found --public-origin {origin!r}, expected one like https://label.example.org")
    return origin


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
