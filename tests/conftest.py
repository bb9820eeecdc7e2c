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


@pytest.fixture(scope="module")
def mail(world):
    """Not of itself what the gateway sends to: that is for a gateway of the test's own."""
    from smtp import MailServer
    with MailServer(world) as server:
        yield server


@pytest.fixture(scope="module")
def admin(world):
    handle = world.admin()
    yield handle
    handle.unbind_s()


class People(dict):
    """A client for each user ID, which signs in when it is asked for."""

    def __init__(self, gateway):
        super().__init__()
        self.gateway = gateway

    def __missing__(self, uid):
        self[uid] = self.gateway.signed_in(uid)
        return self[uid]


@pytest.fixture(scope="module")
def as_(gateway):
    return People(gateway)


@pytest.fixture(scope="module")
def who(as_):
    """The same as a function."""
    return as_.__getitem__
