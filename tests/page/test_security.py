"""Who may talk to the server of the page, and what every answer says."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tornado.httpserver import HTTPServer

from stages.core.errors import InputError
from tasks.page import server
from tasks.page.handlers import Handler, Session, object_of
from tasks.page.security import HEADERS, Access, WrongTokens, check_public_origin, new_token, read_token
from tests.page.asking import TOKEN, PageCase


class Echo(Handler):
    """Says what came in, or fails as it is told."""

    def get(self) -> None:
        self.say({"is": "there"})

    def put(self) -> None:
        self.say(object_of(self.body))

    def delete(self) -> None:
        raise ZeroDivisionError("secret")


class Large(Handler):
    """Takes more than others."""

    most_bytes = 3 << 20

    def put(self) -> None:
        self.say(len(self.body))


class Secured(PageCase):
    def handlers(self) -> list[Any]:
        return [("/api/session", Session), ("/api/echo", Echo), ("/api/large", Large)]


class TestWhoMayTalk(Secured):
    def test_the_page_may(self) -> None:
        assert json.loads(self.ask("/api/echo").body) == {"is": "there"}
        assert json.loads(self.ask("/api/echo", "PUT", {"a": 1}).body) == {"a": 1}
        for name in ("localhost", "[::1]"):
            assert self.ask("/api/echo", Host=f"{name}:{self.get_http_port()}").code == 200

    def test_foreign_hosts_may_not(self) -> None:
        port = self.get_http_port()
        for host in (f"evil.test:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", f"127.0.0.1.evil.test:{port}", ""):
            for path in ("/api/echo", "/api/session", "/nowhere"):
                assert self.ask(path, Host=host).code in (421, 400), host
        self.error_of(self.ask("/api/echo", Host=f"evil.test:{port}"), 421)

    def test_foreign_origins_may_not(self) -> None:
        for origin in ("http://evil.test", "null", f"https://127.0.0.1:{self.get_http_port()}", f"{self.origin}/"):
            for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
                self.error_of(self.ask("/api/echo", method, body, Origin=origin), 403)
            self.error_of(self.ask("/api/session", "POST", {"token": TOKEN}, Origin=origin), 403)

    def test_what_changes_something_names_its_origin(self) -> None:
        self.error_of(self.ask("/api/echo", "PUT", {}, Origin=None), 403)
        self.error_of(self.ask("/api/session", "POST", {"token": TOKEN}, Origin=None), 403)

    def test_without_the_cookie_nothing_is_said(self) -> None:
        other = Access(TOKEN, self.get_http_port() + 1)
        stale = Access(new_token(), self.get_http_port())
        name = self.access.cookie
        wrong = (None, f"{name}=", f"{name}={TOKEN}", f"{other.cookie}={other.session}", f"{name}={stale.session}")
        for cookie in wrong:
            self.error_of(self.ask("/api/echo", Cookie=cookie), 401)
        self.error_of(self.ask("/api/echo", Cookie=f"{name}=\xfc"), 401)

    def test_the_token_gives_the_cookie(self) -> None:
        answer = self.ask("/api/session", "POST", {"token": TOKEN}, Cookie=None)
        (cookie,) = answer.headers.get_list("Set-Cookie")
        assert cookie.startswith(self.cookie) and "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert TOKEN not in cookie and "Secure" not in cookie
        assert "expires" not in cookie.lower(), "it ends with the browser"
        assert self.ask("/api/echo", Cookie=cookie.partition(";")[0]).code == 200

    def test_who_guesses_tokens_has_to_wait(self) -> None:
        for wrong in ["", TOKEN[:-1], "ü", 7, None, [TOKEN], {}, True, TOKEN + " ", "x" * 3000]:
            self.error_of(self.ask("/api/session", "POST", {"token": wrong}), 401)
        self.error_of(self.ask("/api/session", "POST", {"token": TOKEN}), 429)
        assert self.ask("/api/echo").code == 200, "who is in stays in"

    def test_every_answer_forbids_the_browser_what_it_can(self) -> None:
        answers = [self.ask("/api/echo"), self.ask("/api/echo", Cookie=None), self.ask("/nowhere", Cookie=None)]
        answers += [self.ask("/api/echo", "DELETE"), self.ask("/api/echo", "PATCH"), self.ask("/api/echo", Host="evil")]
        for answer in answers:
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
            assert "Server" not in answer.headers

    def test_a_fault_of_the_program_is_a_sentence(self) -> None:
        with self.assertLogs("lis", "ERROR") as logged:
            said = self.error_of(self.ask("/api/echo", "DELETE"), 500)
        assert "secret" not in said and "secret" in logged.output[0]

    def test_bodies_are_what_they_should_be(self) -> None:
        for body in (b"", b"{", b"[]", b"7", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 5000):
            self.error_of(self.ask("/api/echo", "PUT", body), 400)
        self.error_of(self.ask("/api/echo", "PUT", b"{" + b" " * (1 << 20)), 413)
        self.error_of(self.ask("/api/session", "POST", b" " * 5000), 413)

    def test_a_handler_may_take_more_than_others(self) -> None:
        assert json.loads(self.ask("/api/large", "PUT", bytes(2 << 20)).body) == 2 << 20
        self.error_of(self.ask("/api/large", "PUT", bytes((3 << 20) + 1)), 413)

    def test_addresses_that_are_not_served(self) -> None:
        for path in (
            "/",
            "/api",
            "/api/echo/",
            "/api/echo/..",
            "/../etc/passwd",
            "/%2e%2e/x",
            "//evil.test/",
            "/api/ech%00",
        ):
            self.error_of(self.ask(path), 404)
        assert self.ask("/api/echo", "POST", {}).code == 405


class TestOnTheWire(Secured):
    """What no well-behaved client says."""

    def say(self, *pieces: bytes, wait_s: float = 0) -> bytes:
        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", self.get_http_port()), 10) as wire:
                for piece in pieces:
                    wire.sendall(piece)
                    time.sleep(wait_s)
                answer = b""
                while more := wire.recv(65536):
                    answer += more
                return answer

        async def ask() -> bytes:
            return await self.page.work(talk)

        return self.io_loop.run_sync(ask, timeout=20)

    def head(self, method: str, *more: str) -> bytes:
        lines = [f"{method} /api/echo HTTP/1.1", f"Host: 127.0.0.1:{self.get_http_port()}", f"Cookie: {self.cookie}"]
        return "\r\n".join([*lines, f"Origin: {self.origin}", *more, "", ""]).encode()

    def test_a_body_that_is_announced_too_large_is_not_read(self) -> None:
        said = self.say(self.head("PUT", "Content-Length: 99999999999"))
        assert said.startswith(b"HTTP/1.1 413")

    def test_nor_is_one_of_who_may_not_talk(self) -> None:
        foreign = self.head("PUT", "Content-Length: 1000000", "Connection: close").replace(b"lis_", b"sil_")
        assert self.say(foreign).startswith(b"HTTP/1.1 401")

    def test_a_body_that_grows_too_large_is_cut_off(self) -> None:
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            said = self.say(self.head("PUT", "Transfer-Encoding: chunked"), *[chunk] * 17)
        except ConnectionError:  # it was closed while we went on
            said = b""
        assert said in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def test_a_slow_body_ends(self) -> None:
        started = time.monotonic()
        assert self.say(self.head("PUT", "Content-Length: 10"), b"{") == b""
        assert time.monotonic() - started < 10

    def test_two_hosts_are_none(self) -> None:
        twice = self.head("GET", "Host: evil.test", "Connection: close")
        assert self.say(twice)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 421")
        without = b"GET /api/echo HTTP/1.0\r\nCookie: " + self.cookie.encode() + b"\r\n\r\n"
        assert self.say(without)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 421")


class TestCrowds(Secured):
    """Who needs no token, either."""

    def get_http_server(self) -> HTTPServer:
        return server.Server(self._app)

    def test_more_than_can_be_served_are_hung_up_on(self) -> None:
        """Or else descriptors run out, and the loop does nothing but complain of it."""
        address = ("127.0.0.1", self.get_http_port())

        def crowd() -> int:
            wires = [socket.create_connection(address, 10) for _ in range(9)]
            for wire in wires:
                wire.settimeout(0.2)
            gone = sum(has_hung_up(wire) for wire in wires)
            for wire in wires:
                wire.close()
            return gone

        async def come() -> int:
            return await self.page.work(crowd)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server, "MOST_CONNECTIONS", 7)
            assert self.io_loop.run_sync(come, timeout=20) == 2
            assert self.ask("/api/echo").code == 200, "they have gone"


def has_hung_up(wire: socket.socket) -> bool:
    try:
        return wire.recv(1) == b""
    except TimeoutError:
        return False


class TestReadOnly(Secured):
    options: ClassVar[dict[str, Any]] = {"read_only": True}

    def test_nothing_is_changed(self) -> None:
        assert self.ask("/api/echo").code == 200
        assert json.loads(self.ask("/api/session", "POST", {"token": TOKEN}).body) == {"read_only": True}
        for method, body in (("PUT", {}), ("DELETE", None), ("POST", {})):
            assert "--read-only" in self.error_of(self.ask("/api/echo", method, body), 403)


class TestBehindAProxy(Secured):
    options: ClassVar[dict[str, Any]] = {"public_origin": "https://label.example.org"}

    def test_the_public_origin_is_the_only_one(self) -> None:
        public = {"Host": "label.example.org", "Origin": "https://label.example.org"}
        assert self.ask("/api/echo", "PUT", {}, **public).code == 200
        self.error_of(self.ask("/api/echo", "PUT", {}), 403)
        self.error_of(self.ask("/api/echo", Host="example.org"), 421)
        (cookie,) = self.ask("/api/session", "POST", {"token": TOKEN}, **public).headers.get_list("Set-Cookie")
        assert "Secure" in cookie


def test_wrong_tokens_are_forgotten_after_a_minute() -> None:
    now = 0.0
    wrong = WrongTokens(lambda: now)
    for _ in range(9):
        wrong.note()
    assert not wrong.too_many
    wrong.note()
    assert wrong.too_many
    now = 59.9
    assert wrong.too_many
    now = 60.0
    assert not wrong.too_many


def test_a_token_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x" * 32 + "\n")
    path.chmod(0o600)
    assert read_token(path) == "x" * 32
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(InputError, match="chmod 600"):
            read_token(path)
    path.chmod(0o600)
    for text in ("x" * 31, "x" * 2000, "x" * 40 + "\ny", "", "x " * 20):
        path.write_text(text)
        with pytest.raises(InputError, match="expected 32 to"):
            read_token(path)
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(InputError, match="not ASCII"):
        read_token(path)
    with pytest.raises(InputError, match="No such file"):
        read_token(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(InputError, match="expected a file"):
        read_token(tmp_path / "pipe")


def test_an_address_of_the_network_is_a_host_when_it_was_asked_for() -> None:
    assert "192.0.2.7:8765" in Access(TOKEN, 8765, "192.0.2.7").hosts
    assert "[2001:db8::7]:8765" in Access(TOKEN, 8765, "2001:db8::7").hosts
    assert "192.0.2.7:8765" not in Access(TOKEN, 8765).hosts


@pytest.mark.parametrize(
    "origin", ["label.example.org", "https://a/", "https://a/x", "ftp://a", "https://u@a", "HTTPS://A"]
)
def test_a_public_origin_is_one_as_browsers_say_it(origin: str) -> None:
    with pytest.raises(InputError, match="--public-origin"):
        check_public_origin(origin)
    assert check_public_origin("https://label.example.org:8443") == "https://label.example.org:8443"
