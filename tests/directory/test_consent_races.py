"""Two decisions on one Security Consent Form at the same moment, a thousand times: exactly one is made, and the other is told so."""
import collections

import ldap
import pytest

from race import ROUNDS, quiet_disk, race
from world import World


def consents(letter):
    """Of the suspended employer, so that what is approved opens nothing."""
    return "".join(f"dn: scfConsentId={letter}-{i},ou=consents,scfOrgId=lakeside,ou=organizations,@SUFFIX@\n"
                   f"objectClass: scfConsent\nscfConsentId: {letter}-{i}\n"
                   "scfProvider: scfOrgId=lakeside,ou=organizations,@SUFFIX@\n"
                   "scfEmployer: scfOrgId=dormant,ou=organizations,@SUFFIX@\nscfState: signed\n"
                   "scfRequestedBy: uid=rivera,ou=people,@SUFFIX@\n\n" for i in range(ROUNDS))


@pytest.fixture(scope="module")
def world():
    with World(extra=consents("w") + consents("d")) as w:
        yield w


@pytest.fixture(scope="module")
def gateway(world):
    with quiet_disk(world) as g:
        yield g


def consent_state(admin, world, name):
    return admin.search_s(world.consent(name), ldap.SCOPE_BASE, attrlist=["scfState"])[0][1]["scfState"][0].decode()


def decide(api, what, name):
    answer = api.post(f"/v1/consents/{name}/{what}", {"reason": "a race"})
    return answer.status, None if answer.status == 200 else answer.reason


@pytest.mark.parametrize("letter, one, two", [("w", ("desk1", "approve", "approved"), ("rivera", "withdraw", "withdrawn")),
                                              ("d", ("desk1", "approve", "approved"), ("desk2", "reject", "rejected"))])
def test_of_two_decisions_on_a_form_one_is_made(world, gateway, admin, letter, one, two):
    first, second = gateway.signed_in(one[0]), gateway.signed_in(two[0])
    won = collections.Counter()

    def check(number, results):
        assert sorted(results) == [(200, None), (409, "already_decided")], (number, results)
        winner = one if results[0][0] == 200 else two
        assert consent_state(admin, world, f"{letter}-{number}") == winner[2]
        won[winner[0]] += 1

    race(ROUNDS, (lambda n: decide(first, one[1], f"{letter}-{n}"), lambda n: decide(second, two[1], f"{letter}-{n}")), check)
    assert len(won) == 2, "one of the two always wins: that is no race"
