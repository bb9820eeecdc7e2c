"""Attack classes 5, 6, 8–10 and 18–21 at registering, profiles and password resets. The number in a test's name is the
class's."""
import concurrent.futures
import hashlib
import time
from urllib.parse import quote

import ldap
import pytest

from api import PASSWORD, raw
from gateway import Gateway
from test_sign_in import FILTERS, NAMES, failures, neutral
from timing import assert_alike, times_of

GOOD = "seven grey herons at dusk"


@pytest.fixture(scope="module")
def gateway(world, mail):
    settings = {"sign_in.refusal_ms": 4, "account.mails_per_address": 100000, "account.mails_per_account": 100000}
    with Gateway(world, settings, mail=mail) as g:
        yield g


def link(gateway, mail, address, path="/v1/password-resets", body=None):
    count = len(mail.to(address))
    assert gateway.api().post(path, body or {"mail": address}).status == 202
    return mail.token(address, count)


def registered(gateway, mail, address, name="Ana Luz"):
    token = link(gateway, mail, address, "/v1/accounts", {"name": name, "mail": address})
    answer = gateway.api().post(f"/v1/accounts/{token}", {"password": GOOD})
    assert answer.status == 201, answer
    api = gateway.api()
    assert api.login(answer.json["username"], GOOD).status == 200
    return answer.json["username"], api


def patched(api, body):
    tag = api.get("/v1/me/profile").headers["ETag"]
    return api.request("PATCH", "/v1/me/profile", body, headers={"If-Match": tag})


@pytest.mark.parametrize("name", FILTERS + NAMES)
def test_02_hostile_names_reset_nothing(world, gateway, name):
    calm = neutral(gateway.api().post("/v1/password-resets", {"username": "nobody-such"}))
    assert neutral(gateway.api().post("/v1/password-resets", {"username": name})) == calm
    assert neutral(gateway.api().post("/v1/password-resets", {"mail": name})) == calm
    assert gateway.api().post(f"/v1/password-resets/{quote(name, safe='')}", {"new_password": GOOD}).status in (400, 404)


def test_05_06_names_and_address_of_an_account_share_one_counter(world, mail):
    with Gateway(world, {"sign_in.refusal_ms": 20, "account.mails_per_account": 2}, mail=mail) as g:
        before = len(mail.to("novak@harbor.example"))
        for body in ({"username": "novak"}, {"mail": "novak@harbor.example"}, {"username": "NOVAK"}, {"mail": "Novak@Harbor.example"},
                     {"username": "nOvak"}):
            assert g.api().post("/v1/password-resets", body).status == 202
        for address in ("novak@harbor.example", "NOVAK@harbor.example", "novak@HARBOR.example"):
            assert g.api().post("/v1/accounts", {"name": "Petr Novak", "mail": address}).status == 202
        g.api().post("/v1/password-resets", {"username": "ito"})
        mail.wait("ito@meridian.example")
        letters = mail.to("novak@harbor.example")[before:]
        assert sum("/#/password-resets/" in letter.text for letter in letters) == 2
        assert len(letters) == 4


def test_08_nothing_tells_whether_there_is_an_account(world, gateway):
    world.set_state(world.person("silva"), "disabled")
    resets = [neutral(gateway.api().post("/v1/password-resets", body)) for body in (
        {"mail": "nobody@nowhere.example"}, {"mail": "chen@lakeside.example"}, {"username": "chen"}, {"username": "silva"},
        {"username": "patel"}, {"username": "nobody"})]
    registrations = [neutral(gateway.api().post("/v1/accounts", {"name": "Ana Luz", "mail": address})) for address in (
        "nobody@nowhere.example", "chen@lakeside.example", "silva@dormant.example", "patel@patel-md.example")]
    world.set_state(world.person("silva"), "active")
    assert all(answer == resets[0] for answer in resets) and all(answer == registrations[0] for answer in registrations)
    # Nor does a user ID that somebody wishes for.
    wishes = [neutral(gateway.api().post("/v1/accounts", {"name": "Ana Luz", "mail": "wish@nowhere.example", "username": name}))
              for name in ("chen", "rivera", "marlow")]
    assert wishes[0] == wishes[1] == wishes[2] == registrations[0]


def test_09_known_and_unknown_take_as_long(world, mail):
    settings = {"sign_in.refusal_ms": 14, "account.mails_per_address": 100000, "account.mails_per_account": 100000}
    with Gateway(world, settings, mail=mail) as g:
        def accepted(path, body):
            api = g.api()
            return lambda n: pytest.fail("refused") if api.post(path, body(n)).status != 202 else None

        arms = {
            "/v1/password-resets": (lambda n: {"username": "chen"}, lambda n: {"username": f"nobody{n}"}),
            "/v1/accounts": (lambda n: {"name": "Ana", "mail": "chen@lakeside.example"},
                             lambda n: {"name": "Ana", "mail": f"time{n}@new.example"}),
        }

        def pair(path):
            return path, tuple(times_of({body: accepted(path, body) for body in arms[path]}).values())

        def pairs():
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                return dict(pool.map(pair, arms))

        assert_alike(pairs, 2)


def test_10_asking_for_a_reset_does_nothing_to_the_owner(world, gateway):
    rivera = gateway.signed_in("rivera", source="127.0.0.80")
    before = failures(world, "rivera")
    for _ in range(20):
        assert gateway.api(source="127.0.0.81").post("/v1/password-resets", {"username": "rivera"}).status == 202
        assert gateway.api(source="127.0.0.81").post("/v1/password-resets/" + "B" * 43, {"new_password": GOOD}).status == 404
    assert rivera.get("/v1/me").status == 200 and failures(world, "rivera") == before
    assert gateway.api(source="127.0.0.82").login("rivera").status == 200


def test_10_guesses_at_the_old_password_do_not_lock_the_owner_out(world, gateway):
    okafor = gateway.signed_in("okafor", source="127.0.0.83")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda n: gateway.api(source="127.0.0.83").post(
            "/v1/me/password", {"old_password": f"guess number {n}", "new_password": GOOD}, token=okafor.token), range(30)))
    assert failures(world, "okafor") <= 3
    assert gateway.api(source="127.0.0.84").login("okafor").status == 200


@pytest.mark.parametrize("more", [{"uid": "rivera"}, {"username": "rivera"}, {"roles": ["helpdesk"]}, {"state": "active"},
                                  {"realm": "local"}, {"scfState": "active"}, {"userPassword": GOOD}, {"npis": ["1660491329"]}])
def test_18_19_nobody_edits_what_is_not_his(gateway, mail, more):
    chen = gateway.signed_in("chen")
    assert patched(chen, {"name": "Wei Chen", **more}).status == 400
    assert chen.post("/v1/me/password", {"old_password": PASSWORD, "new_password": GOOD, **more}).status == 400
    token = link(gateway, mail, "chen@lakeside.example")
    assert gateway.api().post(f"/v1/password-resets/{token}", {"new_password": GOOD, **more}).status == 400
    if "username" not in more:
        assert gateway.api().post("/v1/accounts", {"name": "Ana", "mail": "a@new.example", **more}).status == 400


def test_19_the_directory_lets_nobody_write_another_account_either(world):
    """The second wall: in the gateway's own way of asking (proxied), and with a client of one's own."""
    from ldap.controls.simple import ProxyAuthzControl
    handle = world.gateway()
    for uid, other in (("chen", "rivera"), ("rivera", "chen"), ("chen", "desk1")):
        as_him = [ProxyAuthzControl(True, f"dn:{world.person(uid)}".encode())]
        for change in ([(ldap.MOD_REPLACE, "cn", b"X")], [(ldap.MOD_REPLACE, "mail", b"x@y.example")], [(ldap.MOD_REPLACE, "userPassword", b"quite another password")]):
            with pytest.raises((ldap.INSUFFICIENT_ACCESS, ldap.NO_SUCH_OBJECT)):
                handle.modify_ext_s(world.person(other), change, serverctrls=as_him)
    as_chen = [ProxyAuthzControl(True, f"dn:{world.person('chen')}".encode())]
    for attribute, value in (("mail", b"rivera@lakeside.example"), ("scfState", b"active"), ("scfRealm", b"nppes"), ("scfNpi", b"1660491329"),
                             ("scfSessionsEndAt", b"20200101000000Z"), ("pwdReset", b"FALSE")):
        with pytest.raises((ldap.INSUFFICIENT_ACCESS, ldap.NO_SUCH_OBJECT, ldap.CONSTRAINT_VIOLATION)):
            handle.modify_ext_s(world.person("chen"), [(ldap.MOD_REPLACE, attribute, value)], serverctrls=as_chen)


@pytest.mark.parametrize("wish", ["root", "admin", "ad.min", "admin-1", "helpdesk", "help-desk", "eus", "scfgate", "gateway", "nobody",
                                  "00", "1.2", "postmaster", "cms", "medicare", "_x"])
def test_20_reserved_names_are_not_given_away(gateway, wish):
    answer = gateway.api().post("/v1/accounts", {"name": "Ana Luz", "mail": "res@new.example", "username": wish})
    assert answer.status == 422 and answer.json["errors"][0]["pointer"] == "/username", answer


def test_20_one_address_is_one_account_under_races(world, gateway, mail):
    tokens = [link(gateway, mail, "race@new.example", "/v1/accounts", {"name": f"Racer {n}", "mail": "race@new.example"}) for n in range(6)]
    assert len(set(tokens)) == 6
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda t: gateway.api().post(f"/v1/accounts/{t}", {"password": GOOD}).status, tokens))
    assert sorted(answers) == [201] + [409] * 5, answers
    found = world.admin().search_s(f"ou=people,{world.suffix}", ldap.SCOPE_ONELEVEL, "(mail=race@new.example)", ["uid"])
    assert len(found) == 1


def test_20_an_address_is_taken_by_one_of_two_who_want_it(world, gateway, mail):
    """One registers it, another wants to move to it: whoever is first has it."""
    _, mover = registered(gateway, mail, "mover@new.example", "Mia Mover")
    assert patched(mover, {"mail": "wanted@new.example"}).status == 200
    moving = mail.token("wanted@new.example")
    registering = link(gateway, mail, "wanted@new.example", "/v1/accounts", {"name": "Ana", "mail": "wanted@new.example"})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one = pool.submit(lambda: gateway.api().post(f"/v1/mail-confirmations/{moving}").status)
        two = pool.submit(lambda: gateway.api().post(f"/v1/accounts/{registering}", {"password": GOOD}).status)
    assert (one.result(), two.result()) in ((204, 409), (409, 201))
    found = world.admin().search_s(f"ou=people,{world.suffix}", ldap.SCOPE_ONELEVEL, "(mail=wanted@new.example)", ["uid"])
    assert len(found) == 1


def test_20_a_stolen_session_does_not_give_the_account_away(world, gateway, mail):
    """Whoever has a session but no password cannot move the mail address, which resets go to; and a change that was asked
    for before the owner changed his password is void."""
    uid, api = registered(gateway, mail, "owner@new.example", "Olga Owner")
    time.sleep(1.1)  # the directory tells changes of a password apart by the second
    assert patched(api, {"mail": "thief@evil.example"}).status == 200
    token = mail.token("thief@evil.example")
    assert api.post("/v1/me/password", {"old_password": GOOD, "new_password": GOOD + " again"}).status == 200
    assert gateway.api().post(f"/v1/mail-confirmations/{token}").status == 404
    assert gateway.api().post("/v1/password-resets", {"mail": "thief@evil.example"}).status == 202
    assert [letter for letter in mail.to("thief@evil.example") if "password-resets" in letter.text] == []


def test_20_the_mail_that_nppes_tells_of_a_practitioner_takes_nobodys_reset(world, gateway, mail):
    n = world.nppes
    n.admin().modify_s(n.person("patel"), [(ldap.MOD_REPLACE, "mail", b"outsider@elsewhere.example")])
    gateway.signed_in("patel")
    people = world.admin().search_s(f"ou=people,{world.suffix}", ldap.SCOPE_ONELEVEL, "(mail=outsider@elsewhere.example)", ["uid"])
    assert [e["uid"] for _, e in people] == [[b"patel"], [b"outsider"]], "the practitioner is found first"
    token = link(gateway, mail, "outsider@elsewhere.example")
    assert gateway.api().post(f"/v1/password-resets/{token}", {"new_password": GOOD}).status == 204
    assert gateway.api().login("outsider", GOOD).status == 200

def test_21_steps_cannot_be_skipped_nor_tokens_exchanged(gateway, mail):
    api = gateway.api()
    for path in ("/v1/password-resets", "/v1/accounts"):
        assert api.post(path, {"new_password": GOOD, "username": "chen"}).status == 400
    reset = link(gateway, mail, "chen@lakeside.example")
    registration = link(gateway, mail, "steps@new.example", "/v1/accounts", {"name": "Ana Luz", "mail": "steps@new.example"})
    assert api.post(f"/v1/accounts/{reset}", {"password": GOOD}).status == 404
    assert api.post(f"/v1/mail-confirmations/{reset}").status == 404
    assert api.post(f"/v1/password-resets/{registration}", {"new_password": GOOD}).status == 404
    for token in (reset[:-1], reset + "A", reset.swapcase(), hashlib.sha256(reset.encode()).hexdigest(), "A" * 43, "%00", "-"):
        assert api.post(f"/v1/password-resets/{token}", {"new_password": GOOD}).status in (400, 404), token
    assert api.get("/v1/me", token=reset).status == 401, "no session"
    assert api.get(f"/v1/password-resets/{reset}").status == 405, "looking at it does not use it up"
    assert api.post(f"/v1/password-resets/{reset}", {"new_password": GOOD + " 21"}).status == 204
    assert api.post(f"/v1/password-resets/{reset}", {"new_password": GOOD + " 22"}).status == 404, "replayed"
    assert api.login("chen", GOOD + " 21").status == 200
    assert gateway.api().login("rivera").status == 200, "another's token does nothing to him"


def test_21_links_do_not_come_from_the_request(gateway, mail):
    before = len(mail.to("ito@meridian.example"))
    body = b'{"username": "ito"}'
    for headers in (b"Host: evil.example\r\n", b"Host: localhost\r\nX-Forwarded-Host: evil.example\r\n",
                    b"Host: localhost\r\nForwarded: host=evil.example\r\n", b"Host: localhost\r\nOrigin: https://evil.example\r\n"):
        answer = raw(gateway.port, gateway.ca, b"POST /v1/password-resets HTTP/1.1\r\n" + headers +
                     b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        assert answer.startswith(b"HTTP/1.1 202"), answer
    mail.wait("ito@meridian.example", before + 4)
    for letter in mail.to("ito@meridian.example")[before:]:
        assert "evil" not in letter.data.decode() and "https://gateway.test/#/password-resets/" in letter.text


def test_35_nothing_gets_into_the_mail_but_what_belongs_there(gateway, mail):
    name = "Ana\u2028Bcc: x@evil.example {{token}} =?utf-8?q?x?="
    answer = gateway.api().post("/v1/accounts", {"name": name, "mail": "inject@new.example"})
    assert answer.status == 202, answer
    letter = mail.wait("inject@new.example")
    assert letter.message.get_all("To") == ["inject@new.example"] and letter.message["Bcc"] is None
    assert "{{token}}" in letter.text, "a name is no template"
