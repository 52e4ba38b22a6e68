"""`lis annotate`: where it listens, and with whom it talks."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.core.errors import InputError
from tasks.cli import lis
from tasks.page.server import listen
from tests.conftest import Project


def refused(*words: str) -> str:
    error = CliRunner().invoke(lis, ["annotate", *words]).exception
    assert isinstance(error, InputError), error
    return str(error)


def test_an_address_of_the_network_wants_a_token_of_ones_own() -> None:
    assert "expected both" in refused("--host", "0.0.0.0")


def test_mistakes_are_told_before_anybody_is_served(project: Project, tmp_path: Path) -> None:
    roots = ("--data-root", str(project.folder / "data"), "--outputs-root", str(project.folder / "outputs"))
    assert "did you mean toy" in refused(*roots, "--seq", "tyo")
    (tmp_path / "token").write_text("short")
    (tmp_path / "token").chmod(0o600)
    assert "5 characters" in refused(*roots, "--token-file", str(tmp_path / "token"))
    assert "--public-origin" in refused(*roots, "--public-origin", "label.example.org")


def test_a_busy_port_is_an_error_and_not_another_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}.*another --port"):
            listen(port)


def test_it_listens_on_the_machine_itself_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sockets = listen(port)
    assert {each.getsockname()[0] for each in sockets} <= {"127.0.0.1", "::1"}
    for each in sockets:
        each.close()
    with pytest.raises(InputError, match=r"192\.0\.2\.7"):
        listen(port, "192.0.2.7")
