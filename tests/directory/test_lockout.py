"""Guessing at passwords, over two gateways: how far it gets, whom it disturbs, what it outlives, and what it costs."""
import json
import threading
import time

import ldap
import pytest

from api import PASSWORD
from gateway import Gateway

WRONG = "guess guess guess guess"
QUICK = {"sign_in.refusal_ms": 20, "directory.operation_timeout_ms": 800, "directory.connect_timeout_ms": 400,
         "nppes.operation_timeout_ms": 800, "nppes.connect_timeout_ms": 400}
LEASE = 1.0 + 0.8 + 0.4


@pytest.fixture(scope="module")
def gateways(world):
    with Gateway(world, QUICK) as one, Gateway(world, QUICK) as two:
        yield one, two


def guesses(gateways, uid):
    """How often the directory has looked at a wrong password of this person, as the gateways' audit logs tell."""
    return sum(line.get("actor") == uid and line.get("reason") == "wrong" for g in gateways for line in g.audit_lines())


def attributes(world, uid):
    return world.admin().search_s(world.person(uid), ldap.SCOPE_BASE, attrlist=["pwdFailureTime", "pwdAccountLockedTime"])[0][1]


def leaves(world):
    """The guess book: {uid: document}."""
    found = world.admin().search_s(f"ou=grants,{world.suffix}", ldap.SCOPE_ONELEVEL, "(scfPurpose=guesses)")
    return {e["scfUser"][0].decode().split(",")[0][4:]: json.loads(e["scfDocument"][0]) for _, e in found}


def all_at_once(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)


def guess(gateway, uid, source, password=WRONG):
    return gateway.api(source=source).login(uid, password).status


@pytest.mark.parametrize("uid", ["novak", "silva", "proc1"])
def test_a_hundred_addresses_at_once_get_five_guesses_over_both_gateways(world, gateways, uid):
    statuses = []
    all_at_once([lambda n=n: statuses.append(guess(gateways[n % 2], uid, f"127.1.{n}.1")) for n in range(100)])
    assert set(statuses) == {401}
    assert 1 <= guesses(gateways, uid) <= 5
    # One after another they come to five, and no further: then it is locked, for the right password too.
    for n in range(8):
        assert guess(gateways[n % 2], uid, f"127.2.{n}.1") == 401
    assert guesses(gateways, uid) == 5
    assert len(attributes(world, uid)["pwdFailureTime"]) == 5 and "pwdAccountLockedTime" in attributes(world, uid)
    assert guess(gateways[0], uid, "127.2.9.1", PASSWORD) == 401


def test_one_address_gets_three_over_both_gateways_and_the_owner_comes_in(world, gateways):
    inside = []

    def owner():
        for n in range(4):
            inside.append(guess(gateways[n % 2], "okafor", "127.0.0.77", PASSWORD))

    all_at_once([lambda n=n: guess(gateways[n % 2], "okafor", "127.0.0.66") for n in range(100)] + [owner])
    assert inside == [200] * 4
    # One more for the second gateway, if its first guess was still under way when the first had come to the end.
    assert 3 <= guesses(gateways, "okafor") <= 4
    assert "pwdAccountLockedTime" not in attributes(world, "okafor")
    # The guesser's own right guess comes too late.
    assert [guess(g, "okafor", "127.0.0.66", PASSWORD) for g in gateways] == [401, 401]


def test_failures_outlive_a_restart_and_are_known_to_the_other_gateway(world, gateways):
    source = "127.0.0.55"
    assert [guess(gateways[n % 2], "ito", source) for n in range(3)] == [401] * 3
    gateways[0].stop()
    gateways[0].start()
    assert [guess(g, "ito", source, PASSWORD) for g in gateways] == [401, 401]
    assert [guess(g, "ito", "127.0.0.56", PASSWORD) for g in gateways] == [200, 200]


def test_a_success_forgives_ones_own_address_and_nobody_elses(world, gateways):
    assert [guess(g, "outsider", "127.0.0.45") for g in gateways] == [401, 401]
    assert guess(gateways[0], "outsider", "127.0.0.46") == 401
    assert guess(gateways[1], "outsider", "127.0.0.45", PASSWORD) == 200
    assert [f[0] for f in leaves(world)["outsider"]["failures"]] == ["127.0.0.46"]
    assert guess(gateways[0], "outsider", "127.0.0.46", PASSWORD) == 200
    assert "outsider" not in leaves(world), "an empty leaf stays"


def test_a_sign_in_without_failures_writes_its_session_and_nothing_else(world, gateways):
    assert guess(gateways[0], "desk1", "127.0.0.35", PASSWORD) == 200  # the first of the day is noted

    def written():
        return len(world.admin().search_s("cn=log", ldap.SCOPE_ONELEVEL, "(objectClass=auditWriteObject)", ["reqType"]))

    before = written()
    assert guess(gateways[0], "desk1", "127.0.0.35", PASSWORD) == 200
    assert written() == before + 1
    assert "desk1" not in leaves(world)


def hold(world, uid, holder="somebodyelse"):
    """As a gateway leaves it that dies in the middle of a guess."""
    found = world.admin().search_s(f"ou=grants,{world.suffix}", ldap.SCOPE_ONELEVEL, f"(scfUser={world.person(uid)})")
    document = {**json.loads(found[0][1]["scfDocument"][0]), "holder": holder}
    world.admin().modify_s(found[0][0], [(ldap.MOD_REPLACE, "scfDocument", json.dumps(document).encode())])


def test_a_leaf_that_a_dead_gateway_holds_is_taken_over_after_its_lease(world, gateways):
    assert guess(gateways[0], "chen", "127.0.0.25") == 401
    hold(world, "chen")
    begun = time.monotonic()
    assert guess(gateways[1], "chen", "127.0.0.26", PASSWORD) == 200
    took = time.monotonic() - begun
    assert LEASE - 0.1 < took < LEASE + 1.5, took
    assert leaves(world)["chen"]["holder"] == ""
    begun = time.monotonic()
    assert guess(gateways[0], "chen", "127.0.0.26", PASSWORD) == 200
    assert time.monotonic() - begun < 1


def test_a_gateway_that_is_killed_while_guessing_keeps_nobody_out(world, gateways):
    with Gateway(world, QUICK) as third:
        assert guess(third, "quinn", "127.0.0.15") == 401  # there is a leaf
        stop = threading.Event()

        def hammer(n):
            while not stop.is_set():
                try:
                    guess(third, "quinn", f"127.0.3.{n}", PASSWORD)
                except OSError:
                    return

        threads = [threading.Thread(target=hammer, args=(n,)) for n in range(1, 5)]
        for t in threads:
            t.start()
        time.sleep(0.2)
        third.kill9()
        stop.set()
        for t in threads:
            t.join(10)
    begun = time.monotonic()
    assert guess(gateways[0], "quinn", "127.0.0.16", PASSWORD) == 200
    assert time.monotonic() - begun < LEASE + 1.5


def test_an_outage_counts_nowhere(world, gateways):
    assert guess(gateways[0], "rivera", "127.0.0.19") == 401  # there is a leaf, which must be given back
    before = len(attributes(world, "rivera")["pwdFailureTime"])
    world.sigstop()
    try:
        assert [guess(g, "rivera", "127.0.0.18") for g in gateways] == [503, 503]
    finally:
        world.sigcont()
    for g in gateways:
        g.wait_ready()
    assert guess(gateways[0], "rivera", "127.0.0.18", PASSWORD) == 200
    assert guesses(gateways, "rivera") == 1 == before
    assert [f[0] for f in leaves(world)["rivera"]["failures"]] == ["127.0.0.19"]


def test_a_leaf_that_somebody_has_spoilt_is_an_empty_one(world, gateways):
    assert guess(gateways[0], "audit1", "127.0.0.5") == 401
    found = world.admin().search_s(f"ou=grants,{world.suffix}", ldap.SCOPE_ONELEVEL, f"(scfUser={world.person('audit1')})")
    for nonsense in (b"{", b"[]", b'{"failures": 7, "holder": {}}'):
        world.admin().modify_s(found[0][0], [(ldap.MOD_REPLACE, "scfDocument", nonsense)])
        assert guess(gateways[1], "audit1", "127.0.0.5") == 401
    assert guess(gateways[1], "audit1", "127.0.0.6", PASSWORD) == 200
