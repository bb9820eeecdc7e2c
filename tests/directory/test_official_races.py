"""Two decisions on who speaks for an organization at the same moment, a thousand times each: there is one official, one
organization of a taxpayer number, and whoever was late is told so."""
import collections

import ldap
import pytest

from race import ROUNDS, quiet_disk, race
from world import World

WHY = {"reason": "letter seen"}


def organization(name, tin, provider=True):
    role = "objectClass: scfProviderRole\nscfProviderKind: organization\n" if provider else "objectClass: scfEmployerRole\n"
    return (f"dn: scfOrgId={name},ou=organizations,@SUFFIX@\nobjectClass: scfOrganization\n{role}scfOrgId: {name}\no: {name}\n"
            f"scfState: registered\nscfTin: {tin}\nscfTinKind: ein\n\n")


def claim(name, organization, user):
    where = f"scfOrgId={organization},ou=organizations,@SUFFIX@"
    return (f"dn: ou=claims,{where}\nobjectClass: organizationalUnit\nou: claims\n\n" if name.startswith("a") else "") + (
        f"dn: scfClaimId={name},ou=claims,{where}\nobjectClass: scfClaim\nscfClaimId: {name}\n"
        f"scfUser: uid={user},ou=people,@SUFFIX@\nscfProvider: {where}\nscfState: submitted\nscfDocumentKind: cp575\n\n")


@pytest.fixture(scope="module")
def world():
    entries = []
    for n in range(ROUNDS):
        entries += [organization(f"two-{n}", f"35{n:07d}"), claim(f"a-two-{n}", f"two-{n}", "quinn"),
                    claim(f"b-two-{n}", f"two-{n}", "outsider"),
                    organization(f"back-{n}", f"36{n:07d}"), claim(f"a-back-{n}", f"back-{n}", "quinn"),
                    organization(f"left-{n}", f"37{n:07d}", False), organization(f"right-{n}", f"37{n:07d}", False)]
    with World(extra="".join(entries), nppes=False) as w:
        yield w


@pytest.fixture(scope="module")
def gateway(world):
    with quiet_disk(world) as g:
        yield g


def value(admin, dn, attribute):
    found = admin.search_s(dn, ldap.SCOPE_BASE, attrlist=[attribute])[0][1].get(attribute)
    return found[0].decode() if found else None


def act(api, path, body=None):
    answer = api.post(path, body)
    return answer.status, None if answer.status == 200 else answer.reason


def claim_state(admin, world, name, organization):
    return value(admin, f"scfClaimId={name},ou=claims,{world.organization(organization)}", "scfState")


def test_of_two_approvals_of_different_claims_one_installs_an_official(world, gateway, admin):
    one, two = gateway.signed_in("desk1"), gateway.signed_in("desk2")
    won = collections.Counter()

    def check(number, results):
        assert sorted(results, key=str) == [(200, None), (409, "ao_already_exists")], (number, results)
        first = results[0][0] == 200
        official = value(admin, world.organization(f"two-{number}"), "scfAuthorizedOfficial")
        assert official == world.person("quinn" if first else "outsider")
        states = [claim_state(admin, world, f"{x}-two-{number}", f"two-{number}") for x in "ab"]
        assert states == (["approved", "submitted"] if first else ["submitted", "approved"]), (number, states)
        won[first] += 1

    race(ROUNDS, (lambda n: act(one, f"/v1/claims/a-two-{n}/approve", WHY),
                  lambda n: act(two, f"/v1/claims/b-two-{n}/approve", WHY)), check)
    assert len(won) == 2, "one of the two always wins: that is no race"


def test_a_claim_is_approved_or_withdrawn_and_never_both(world, gateway, admin):
    desk, quinn = gateway.signed_in("desk1"), gateway.signed_in("quinn")
    won = collections.Counter()

    def check(number, results):
        assert sorted(results, key=str) == [(200, None), (409, "already_decided")], (number, results)
        approved = results[0][0] == 200
        official = value(admin, world.organization(f"back-{number}"), "scfAuthorizedOfficial")
        assert official == (world.person("quinn") if approved else None)
        assert claim_state(admin, world, f"a-back-{number}", f"back-{number}") == ("approved" if approved else "withdrawn")
        won[approved] += 1

    race(ROUNDS, (lambda n: act(desk, f"/v1/claims/a-back-{n}/approve", WHY),
                  lambda n: act(quinn, f"/v1/claims/a-back-{n}/withdraw")), check, spread=0.001)
    assert len(won) == 2, "one of the two always wins: that is no race"


def test_of_two_organizations_with_one_taxpayer_number_one_is_established(world, gateway, admin):
    one, two = gateway.signed_in("desk1"), gateway.signed_in("desk2")
    won = collections.Counter()

    def check(number, results):
        assert sorted(results, key=str) == [(200, None), (409, "tin_in_use")], (number, results)
        states = [value(admin, world.organization(f"{x}-{number}"), "scfState") for x in ("left", "right")]
        assert states == (["active", "registered"] if results[0][0] == 200 else ["registered", "active"]), (number, states)
        won[results[0][0]] += 1

    race(ROUNDS, (lambda n: act(one, f"/v1/organizations/left-{n}/verify", WHY),
                  lambda n: act(two, f"/v1/organizations/right-{n}/verify", WHY)), check)
    assert len(won) == 2, "one of the two always wins: that is no race"
