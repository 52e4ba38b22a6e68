"""What all handlers share: the checks before anything is read, errors as a sentence, file work outside the loop."""

import json
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from tornado.http1connection import HTTP1Connection
from tornado.ioloop import IOLoop
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from stages.core.errors import InputError
from stages.formats.json_files import parse_json
from tasks.page.security import HEADERS, Access, WrongTokens
from tasks.page.sequences import NotThereError
from tasks.runtime.mistakes import explain, one_line

logger = logging.getLogger("lis")
MOST_BYTES: Final = 1 << 20
"""Of a request's body, unless a handler takes masks."""
FEW_BYTES: Final = 4096
"""Of a body that says a few words: it is understood on the loop, and a long one would keep all others waiting."""
MOST_BYTES_OF_A_MESSAGE: Final = 64 << 10
"""Of what a WebSocket brings, which is understood there, too."""
THREADS: Final = 4
_READS: Final = ("GET", "HEAD")
_STATUS: Final = {NotThereError: 404, InputError: 400}
T = TypeVar("T")


class Refusal(HTTPError):
    """A request that is not served, with the sentence that says why."""

    def __init__(self, status: int, sentence: str, **more: Any) -> None:
        """`more` stands beside the sentence in the answer."""
        super().__init__(status)
        self.sentence, self.more = sentence, more


class Page(Application):
    """The server's application: handlers, who may talk to them, and the threads that touch files."""

    def __init__(self, handlers: list[Any], access: Access) -> None:
        super().__init__(
            handlers,
            default_handler_class=NotFound,
            log_function=_log,
            websocket_max_message_size=MOST_BYTES_OF_A_MESSAGE,
            websocket_ping_interval=30,
        )
        self.access = access
        self.wrong_tokens = WrongTokens()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self.at_end: list[Callable[[], Awaitable[None]]] = []
        """What ends with the server."""

    def work(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Call a function that touches files, in a thread: who waits for a disk must not keep others waiting."""
        return IOLoop.current().run_in_executor(self.threads, function, *arguments)


class Guarded(RequestHandler):
    """Lets nobody in who may not; says what is wrong in one sentence, as JSON."""

    application: Page
    wants_cookie = True
    wants_origin = False
    """Whether a request must name its origin, also if it only reads."""

    def set_default_headers(self) -> None:
        """Of every answer, errors too."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def check(self) -> None:
        """Refuse who may not talk to the server.

        Raises:
            Refusal: foreign host or origin, no session, or something would change that must not.
        """
        access, request = self.application.access, self.request
        if request.headers.get_list("Host") != [request.host] or request.host not in access.hosts:
            raise Refusal(421, "found a foreign Host, expected the address that `lis annotate` has printed")
        origins = request.headers.get_list("Origin")
        if (origins or self.wants_origin or request.method not in _READS) and (
            len(origins) != 1 or origins[0] not in access.origins
        ):
            raise Refusal(403, "found a foreign Origin, or none, expected the page that this server has served")
        if access.read_only and self.wants_cookie and request.method not in _READS:
            raise Refusal(403, "nothing is changed: `lis annotate` was started with --read-only")
        if self.wants_cookie and not access.admits(self.get_cookie(access.cookie)):
            raise Refusal(401, "found no session, expected one; open the address that `lis annotate` has printed")

    def compute_etag(self) -> None:
        """Handlers that have a tag to say know it beforehand; Tornado would digest every answer."""

    def say(self, value: Any) -> None:
        """Answer with JSON that is short."""
        self.say_text(_as_text(value))

    def say_text(self, text: str) -> None:
        """Answer with what is JSON already."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(text)

    def write_error(self, status_code: int, **more: Any) -> None:
        """One sentence, whatever went wrong."""
        error = more["exc_info"][1] if "exc_info" in more else None
        beside: dict[str, Any] = {}
        if isinstance(error, Refusal):
            sentence, beside = error.sentence, error.more
        elif isinstance(error, HTTPError):
            sentence = f"found a request that is not understood: {self._reason}"
        elif explained := explain(error):
            sentence = one_line(explained)
            self.set_status(next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500))
        else:
            sentence = "a fault of the program; what it was stands where `lis annotate` runs"
        self.say({"error": sentence, **beside})

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Only faults of the program are worth a trace, and it goes to the terminal."""
        if not isinstance(value, HTTPError) and not explain(value):
            logger.error("%s %s", self.request.method, self.request.path, exc_info=(typ, value, tb))


@stream_request_body
class Handler(Guarded):
    """A handler whose body comes in only after the checks, and no more of it than is allowed."""

    most_bytes = MOST_BYTES

    def prepare(self) -> None:
        """Checks, before a byte of the body is read."""
        self.body = bytearray()
        self.check()
        length = self.request.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length[:20]) > self.most_bytes:
            self.set_header("Connection", "close")
            raise Refusal(413, f"found a body of {length[:20]} bytes, expected at most {self.most_bytes:,}")
        connection = self.request.connection
        assert isinstance(connection, HTTP1Connection)
        connection.set_max_body_size(self.most_bytes)

    def data_received(self, chunk: bytes) -> None:
        """Take a piece of the body; Tornado counts."""
        self.body += chunk

    def is_known(self, tag: str, cache: str) -> bool:
        """Say what version this is; whether the browser has it, and is answered so."""
        self.set_header("ETag", f'"{tag}"')
        self.set_header("Cache-Control", cache)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return True
        return False

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """See `Page.work`."""
        return await self.application.work(function, *arguments)

    async def say_found(self, find: Callable[..., Any], *arguments: Any) -> None:
        """Answer with what a function finds that touches files."""
        self.say_text(await self.work(lambda: _as_text(find(*arguments))))


class NotFound(Handler):
    """Every address that is not served."""

    wants_cookie = False

    def prepare(self) -> None:
        """After the checks."""
        super().prepare()
        raise Refusal(404, "found no such address")


class Session(Handler):
    """`/api/session`: the token for the cookie, and whether that is good still."""

    most_bytes = FEW_BYTES

    @property
    def wants_cookie(self) -> bool:  # type: ignore[override]
        """Who brings the token has no cookie yet."""
        return self.request.method != "POST"

    def get(self) -> None:
        """What the server allows."""
        self.say({"read_only": self.application.access.read_only})

    def post(self) -> None:
        """`{"token": "..."}`."""
        access, wrong = self.application.access, self.application.wrong_tokens
        token = object_of(self.body).get("token")
        if wrong.too_many:
            raise Refusal(429, f"found {wrong.MOST} wrong tokens within a minute; wait a minute")
        if not isinstance(token, str) or not access.is_token(token):
            wrong.note()
            raise Refusal(401, "found a wrong token, expected that of the address that `lis annotate` has printed")
        secure = access.public_origin.startswith("https:")
        self.set_cookie(access.cookie, access.session, httponly=True, samesite="Strict", path="/", secure=secure)
        self.say({"read_only": access.read_only})


def object_of(body: bytes | bytearray, known: Collection[str] | None = None) -> dict[str, Any]:
    """A body that must be a JSON object, with no keys but those that are known; None: any.

    Raises:
        InputError: it is something else.
    """
    try:
        found = parse_json(text_of(body))
    except ValueError as error:
        raise InputError(f"found a body that is no JSON ({str(error)[:200]}), expected an object") from None
    if not isinstance(found, dict):
        raise InputError(f"found a body that is a {type(found).__name__}, expected an object")
    if known is not None and (unknown := sorted(found.keys() - {*known})):
        expected = ", ".join(sorted(known)) or "an empty object"
        raise InputError(f"found the key {unknown[0][:40]!r}, expected {expected}")
    return found


def text_of(body: bytes | bytearray) -> str:
    """A body that must be text.

    Raises:
        InputError: it is none.
    """
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InputError("found a body that is no UTF-8, expected JSON") from None


def _as_text(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _log(handler: RequestHandler) -> None:
    """Requests are no news; faults have said what they are."""
