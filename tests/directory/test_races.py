"""Two decisions at the same moment, a thousand times each: exactly one is made, and the other is told so."""
import calendar
import collections
import hashlib
import secrets
import time

import ldap
import pytest

from gateway import Gateway
from race import ROUNDS, quiet_disk, race
from world import SAMPLE_PASSWORD, World, ssha, stamp

SOON = stamp(time.time() + 86400)
USERS = 25  # share the rounds, so that nobody has thousands of associations


def person(uid):
    return (f"dn: uid={uid},ou=people,@SUFFIX@\nobjectClass: inetOrgPerson\nobjectClass: scfPerson\nuid: {uid}\n"
            f"cn: {uid}\nsn: {uid}\nmail: {uid}@meridian.example\nscfState: active\nscfRealm: local\n"
            f"userPassword: {ssha(SAMPLE_PASSWORD)}\n\n")


def request(name, user, employer="meridian"):
    return (f"dn: scfAssociationId={name},ou=associations,scfOrgId=lakeside,ou=organizations,@SUFFIX@\n"
            f"objectClass: scfAssociation\nscfAssociationId: {name}\nscfUser: uid={user},ou=people,@SUFFIX@\n"
            f"scfEmployer: scfOrgId={employer},ou=organizations,@SUFFIX@\n"
            f"scfProvider: scfOrgId=lakeside,ou=organizations,@SUFFIX@\nscfState: pending\n"
            f"scfRequestedBy: uid={user},ou=people,@SUFFIX@\nscfExpires: {SOON}\n\n")


def requests(letter):
    return "".join(request(f"{letter}-{i}", f"{letter}{i % USERS}") for i in range(ROUNDS))


def signed_in(gateway, letter):
    """Of a round's number: the client of its user."""
    clients = [gateway.signed_in(f"{letter}{i}") for i in range(USERS)]
    return lambda number: clients[number % USERS]


@pytest.fixture(scope="module")
def world():
    people = "".join(person(f"{letter}{i}") for letter in ("cara", "otto", "lea", "twin") for i in range(USERS))
    with World(extra=people + requests("cara") + requests("otto")) as w:
        yield w


@pytest.fixture(scope="module")
def gateway(world):
    with quiet_disk(world) as g:
        yield g


@pytest.fixture
def other(world, gateway):
    """A second gateway on the same directory."""
    with Gateway(world, {"audit.file": str(gateway.settings["audit.file"]) + ".other"}) as g:
        yield g


def act(api, what, name, body=None):
    answer = api.post(f"/v1/associations/{name}/{what}", body or {})
    return answer.status, answer.reason


def state(admin, world, name):
    return admin.search_s(world.association(name), ldap.SCOPE_BASE, attrlist=["scfState"])[0][1]["scfState"][0].decode()


def test_approve_against_cancel(world, gateway, admin):
    rivera, cara = gateway.signed_in("rivera"), signed_in(gateway, "cara")
    won = collections.Counter()

    def check(number, results):
        expected = {(200, None): "approved", (409, "already_decided"): "cancelled"}
        assert sorted(results) == [(200, None), (409, "already_decided")], (number, results)
        assert state(admin, world, f"cara-{number}") == expected[results[0]]
        won[results[0][0]] += 1

    race(ROUNDS, (lambda n: act(rivera, "approve", f"cara-{n}"), lambda n: act(cara(n), "cancel", f"cara-{n}")), check)
    assert len(won) == 2, "one of the two always wins: that is no race"


def test_once_the_official_has_changed_no_approval_by_the_old_one_is_made(world, gateway, admin):
    rivera = gateway.signed_in("rivera")
    lakeside, won = world.organization("lakeside"), collections.Counter()

    def official(uid):
        admin.modify_s(lakeside, [(ldap.MOD_REPLACE, "scfAuthorizedOfficial", world.person(uid).encode())])

    def change(number):
        official("quinn")
        return state(admin, world, f"otto-{number}")  # when the change is acknowledged

    def check(number, results):
        (status, reason), then = results
        assert (status, reason) in ((200, None), (404, "not_found")), (number, results)
        assert then == ("approved" if status == 200 else "pending"), (number, results)
        assert state(admin, world, f"otto-{number}") == then, (number, results)
        won[status] += 1

    def wait_for_official(number):
        official("rivera")
        reached = admin.search_s(world.suffix, ldap.SCOPE_BASE, attrlist=["contextCSN"])[0][1]["contextCSN"][0]
        assert rivera.get("/v1/associations/otto-0", headers={"Scfgate-At-Least": reached.decode()}).status == 200

    race(ROUNDS, (lambda n: act(rivera, "approve", f"otto-{n}"), change), check, wait_for_official)
    official("rivera")
    assert len(won) == 2, "one of the two always wins: that is no race"


def test_of_two_equal_requests_at_two_gateways_one_is_made(gateway, other):
    one, two = signed_in(gateway, "twin"), signed_in(other, "twin")
    body = {"provider": "lakeside", "employer": "meridian"}

    def check(number, results):
        assert sorted((r.status, r.reason) for r in results) == [(201, None), (409, "already_decided")], results
        made = [r.json["id"] for r in results if r.status == 201][0]
        assert act(one(number), "cancel", made)[0] == 200

    race(ROUNDS, (lambda n: one(n).post("/v1/associations", body),
                  lambda n: two(n).post("/v1/associations", body)), check)


def test_leave_against_approve(world, gateway, admin):
    rivera, lea = gateway.signed_in("rivera"), signed_in(gateway, "lea")
    made, won = {}, collections.Counter()

    def prepare(number):
        answer = lea(number).post("/v1/associations", {"provider": "lakeside", "employer": "harbor"})
        assert answer.status == 201, (number, answer)
        made[number] = answer.json["id"]

    def check(number, results):
        (status, reason), left = results
        assert left.status == 200, (number, left)
        assert (status, reason) in ((200, None), (409, "already_decided")), (number, results)
        assert state(admin, world, made[number]) == ("ended" if status == 200 else "cancelled"), (number, results)
        won[status] += 1

    race(ROUNDS, (lambda n: act(rivera, "approve", made[n]),
                  lambda n: lea(n).post("/v1/me/employers/harbor/leave")), check, prepare)
    assert len(won) == 2, "one of the two always wins: that is no race"


def test_of_two_who_use_a_reset_link_at_two_gateways_one_does(world, gateway, other, admin):
    first, second, token = gateway.api(), other.api(), {}
    new = [None, None]

    def prepare(number):
        uid = f"otto{number % USERS}"
        entry = admin.search_s(world.person(uid), ldap.SCOPE_BASE, attrlist=["pwdChangedTime", "scfSessionsEndAt"])[0][1]

        def seconds(name):
            return calendar.timegm(time.strptime(entry[name][0].decode(), "%Y%m%d%H%M%SZ")) if name in entry else 0
        token["now"], token["uid"] = secrets.token_urlsafe(32), uid
        name = hashlib.sha256(token["now"].encode()).hexdigest()
        admin.add_s(f"scfGrantId={name},ou=grants,{world.suffix}", [
            ("objectClass", [b"scfGrant", b"dynamicObject"]), ("scfGrantId", name.encode()), ("scfState", b"active"),
            ("scfPurpose", b"reset"), ("scfUser", world.person(uid).encode()), ("scfExpires", SOON.encode()),
            ("scfDocument", b'{"as_of":"%d %d"}' % (seconds("pwdChangedTime"), seconds("scfSessionsEndAt")))])
        new[:] = [f"{number} herons flew {way} at dusk" for way in ("east", "west")]

    def use(api, place):
        return lambda number: api.post(f"/v1/password-resets/{token['now']}", {"new_password": new[place]}).status

    def check(number, results):
        assert sorted(results) == [204, 404], (number, results)
        if number % 50 == 0:
            assert gateway.api().login(token["uid"], new[results.index(204)]).status == 200

    race(ROUNDS, [use(first, 0), use(second, 1)], check, prepare)
