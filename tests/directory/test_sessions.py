"""Sign-in and sessions: outcomes of the password policy, rotation, lists, ends, two gateways, time, cookies and CSRF, and the
second directory."""
import time

import ldap
import pytest

from api import PASSWORD
from gateway import Gateway
from world import World, hashed, stamp

RECORD = "/v1/records/O20240115000001"


@pytest.fixture(scope="module")
def twin(world):
    """A second gateway over the same directory."""
    with Gateway(world) as g:
        yield g


def at(gateway, api):
    """The same session, presented to another gateway."""
    other = gateway.api()
    other.token = api.token
    return other


def test_a_session_is_known_to_every_gateway_and_its_end_too(gateway, twin):
    chen = gateway.signed_in("chen")
    there = at(twin, chen)
    deadline = time.monotonic() + 2
    while there.get(RECORD).status != 200:
        assert time.monotonic() < deadline
    assert chen.post("/v1/logout").status == 204
    assert chen.get(RECORD).status == 401
    deadline = time.monotonic() + 2
    while there.get(RECORD).status != 401:
        assert time.monotonic() < deadline


def test_the_directory_keeps_only_digests(world, gateway):
    chen = gateway.signed_in("chen")
    for _, entry in world.admin().search_s(f"ou=sessions,{world.suffix}", ldap.SCOPE_SUBTREE):
        for values in entry.values():
            assert chen.token.encode() not in b"".join(values)


def test_sign_in_rotates_the_session_that_was_there(gateway):
    api = gateway.api()
    assert api.login("chen").status == 200
    old = api.token
    answer = api.post("/v1/login", {"username": "chen", "password": PASSWORD}, token=old)
    assert answer.status == 200 and answer.json["token"] != old
    assert api.get("/v1/me", token=old).status == 401
    assert api.get("/v1/me", token=answer.json["token"]).status == 200


def test_a_session_chosen_by_the_client_is_never_taken(gateway):
    chosen = "A" * 43
    answer = gateway.api().post("/v1/login", {"username": "chen", "password": PASSWORD}, token=chosen)
    assert answer.status == 200 and answer.json["token"] != chosen
    assert gateway.api().get("/v1/me", token=chosen).status == 401


def test_ones_own_sessions_are_listed_and_ended_and_no_others(gateway):
    first, second = gateway.signed_in("okafor"), gateway.signed_in("okafor")
    other = gateway.signed_in("chen")
    listed = first.get("/v1/me/sessions").json["sessions"]
    assert len(listed) == 2 and sum(s["current"] for s in listed) == 1
    assert all(s["address"] == "127.0.0.1" for s in listed)
    elsewhere = next(s["id"] for s in listed if not s["current"])
    assert other.delete(f"/v1/me/sessions/{elsewhere}").status == 404
    assert second.get("/v1/me").status == 200
    assert first.delete(f"/v1/me/sessions/{elsewhere}").status == 204
    assert second.get("/v1/me").status == 401
    assert first.get("/v1/me").status == 200
    assert first.delete(f"/v1/me/sessions/{elsewhere}").status == 404
    assert first.delete("/v1/me/sessions/nonsense").status == 404


def test_idle_and_absolute_end(world):
    with Gateway(world, {"session.idle_seconds": 2, "session.absolute_seconds": 5, "session.touch_seconds": 1}) as g:
        idle, used = g.signed_in("chen"), g.signed_in("chen")
        begun = time.monotonic()
        while time.monotonic() - begun < 4:
            assert used.get("/v1/me").status == 200
            time.sleep(0.5)
        late = idle.get("/v1/me")
        assert late.status == 401 and late.reason == "session_expired"
        while time.monotonic() - begun < 6.2:
            time.sleep(0.2)
            last = used.get("/v1/me")
        assert last.status == 401 and last.reason == "session_expired"


def test_uses_reach_the_directory_so_that_other_gateways_know(world):
    settings = {"session.idle_seconds": 4, "session.touch_seconds": 1}
    with Gateway(world, settings) as one, Gateway(world, settings) as two:
        chen = one.signed_in("chen")
        begun = time.monotonic()
        while time.monotonic() - begun < 6:
            assert chen.get("/v1/me").status == 200
            time.sleep(0.3)
        assert at(two, chen).get("/v1/me").status == 200


def test_cookies_are_locked_down_and_unsafe_calls_need_the_csrf_token(gateway):
    api = gateway.api()
    answer = api.login("chen", cookie=True)
    assert "token" not in answer.json
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-scfgate=")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    held = {"Cookie": cookie.split(";")[0]}
    csrf = answer.json["csrf_token"]
    assert api.get("/v1/me", headers=held, token=None).status == 200
    for headers in (held, {**held, "X-CSRF-Token": "0" * 64}, {**held, "X-CSRF-Token": csrf[:-1]}):
        refused = api.post("/v1/logout", headers=headers, token=None)
        assert refused.status == 403, refused
    both = api.get("/v1/me", headers={**held, "Authorization": "Bearer " + "A" * 43}, token=None)
    assert both.status == 400
    out = api.post("/v1/logout", headers={**held, "X-CSRF-Token": csrf}, token=None)
    assert out.status == 204 and "Max-Age=0" in out.headers["Set-Cookie"]
    assert api.get("/v1/me", headers=held, token=None).status == 401


def test_reauthentication_proves_it_again_and_rotates(gateway):
    chen = gateway.signed_in("chen")
    old = chen.token
    assert chen.post("/v1/reauthenticate", {"password": "wrong wrong wrong"}).status == 401
    answer = chen.post("/v1/reauthenticate", {"password": PASSWORD})
    assert answer.status == 200
    assert chen.get("/v1/me", token=old).status == 401
    assert chen.get("/v1/me", token=answer.json["token"]).status == 200


def test_practitioners_sign_in_at_nppes(world, gateway):
    patel = gateway.signed_in("patel")
    assert patel.get("/v1/me").json["realm"] == "nppes"
    assert patel.get("/v1/records/I20230302000007").status == 200
    assert gateway.api(source="127.0.0.81").login("patel", "wrong wrong wrong").status == 401
    world.nppes.sigstop()
    try:
        assert gateway.api(source="127.0.0.82").login("patel").status == 503
        assert gateway.api(source="127.0.0.82").login("chen").status == 200  # the other directory answers
        assert patel.get("/v1/records/I20230302000007").status == 200
    finally:
        world.nppes.sigcont()


POLICY = """dn: cn=short,ou=policies,@SUFFIX@
objectClass: device
objectClass: pwdPolicy
cn: short
pwdAttribute: userPassword
pwdMaxAge: {age}
pwdExpireWarning: {warning}
pwdGraceAuthNLimit: {grace}
"""


def aged(uid, changed, password):
    return f"""dn: uid={uid},ou=people,@SUFFIX@
objectClass: inetOrgPerson
objectClass: scfPerson
uid: {uid}
cn: {uid}
sn: {uid}
scfState: active
scfRealm: local
userPassword: {password}
pwdPolicySubentry: cn=short,ou=policies,@SUFFIX@
pwdChangedTime: {changed}
"""


def test_the_password_policy_speaks_only_to_a_right_password():
    password = hashed(PASSWORD, "{SSHA}")
    day = 86400
    extra = POLICY.format(age=30 * day, warning=10 * day, grace=2) + "\n" + aged("fresh", stamp(time.time() - day), password) + "\n" + \
        aged("soon", stamp(time.time() - 25 * day), password) + "\n" + aged("late", stamp(time.time() - 31 * day), password)
    with World(extra=extra, nppes=False) as w, Gateway(w) as g:
        assert "password_expires" not in g.api().login("fresh").json
        soon = g.api().login("soon").json
        assert 0 < soon["password_expires"] <= 5 * day + 60
        for name in ("soon", "late"):
            wrong = g.api().login(name, "wrong wrong wrong")
            assert wrong.status == 401 and wrong.reason == "not_authenticated"
        first, second, third = (g.api().login("late") for _ in range(3))
        assert first.status == 200 and first.json["grace"] == 1
        assert second.status == 200 and second.json["grace"] == 0
        assert third.status == 403 and third.reason == "password_expired"


def test_production_hashes_work():
    with World(scheme="{ARGON2}") as w, Gateway(w) as g:
        assert w.admin().search_s(w.person("chen"), ldap.SCOPE_BASE, attrlist=["userPassword"])[0][1]["userPassword"][0].startswith(b"{ARGON2}")
        assert g.api().login("chen").status == 200
        assert g.api().login("patel").status == 200
        assert g.api().login("chen", "wrong wrong wrong").status == 401


@pytest.mark.parametrize("way", ["ldap", "ldaps"])
def test_a_gateway_on_another_host_works_over_tls(way):
    """StartTLS and ldaps, where the directory takes a gateway's changes there."""
    with World(gateways="tls") as w, Gateway(w, {"directory.uris": [getattr(w, way)]}) as g:
        chen = g.signed_in("chen")
        got = chen.get(RECORD)
        assert got.status == 200
        assert chen.put(RECORD, got.json["document"], headers={"If-Match": got.headers["ETag"]}).status == 200
        w.set_state(w.consent("c-lakeside-lakeside"), "revoked")
        for _ in range(500):
            if chen.get(RECORD).status == 403:
                return
        raise AssertionError("the revocation did not arrive")


def test_where_it_does_not_nothing_is_written_past_the_listener(world):
    with Gateway(world, {"directory.uris": [world.ldaps]}) as g:
        assert g.api().login("chen").status == 503
