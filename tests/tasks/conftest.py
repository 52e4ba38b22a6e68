"""What tests of tasks have in common."""

from collections.abc import Iterator

import luigi
import pytest
from luigi.configuration import get_config

import tasks  # noqa: F401 - it says what the machine has


@pytest.fixture
def settings() -> Iterator[luigi.configuration.LuigiConfigParser]:
    """Luigi's; what a run may take is afterwards as it was."""
    parser = get_config()
    before = dict(parser.items("resources"))
    yield parser
    for name, value in before.items():
        parser.set("resources", name, value)
