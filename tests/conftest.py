"""Fixtures for all tests in Python: a private directory per test module."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from world import World  # noqa: E402


@pytest.fixture(scope="module")
def world():
    with World() as w:
        yield w


@pytest.fixture(scope="module")
def gateway(world):
    from gateway import Gateway
    with Gateway(world) as g:
        yield g
