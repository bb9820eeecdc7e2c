"""Registering, the profile, and changing the mail address: by people of the sample world and by strangers, with real mail."""

import calendar
import json
import time

import ldap
import pytest

from api import PASSWORD
from gateway import Gateway
from world import stamp

GOOD = "seven grey herons at dusk"
NOBODY = "A" * 43


@pytest.fixture(scope="module")
def gateway(world, mail):
    with Gateway(world, {"sign_in.refusal_ms": 4, "account.mails_per_address": 1000}, mail=mail) as g:
        yield g


@pytest.fixture(scope="module")
def stranger(gateway):
    return gateway.api()


def rules(answer):
    assert answer.status == 422, answer
    return {(e["pointer"], e["rule"].split(",")[0]) for e in answer.json["errors"]}


def person(world, uid):
    return world.admin().search_s(world.person(uid), ldap.SCOPE_BASE, attrlist=["*", "+"])[0][1]


def clock(generalized):
    return calendar.timegm(time.strptime(generalized.decode()[:14], "%Y%m%d%H%M%S"))


def registered(stranger, mail, address, name="Ana Luz", **more):
    count = len(mail.to(address))
    assert stranger.post("/v1/accounts", {"name": name, "mail": address, **more}).status == 202
    return mail.wait(address, count + 1, says="/#/accounts/")


def account(stranger, mail, address, **more):
    letter = registered(stranger, mail, address, **more)
    answer = stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD, "phone": "+1 312 555 0100"})
    assert answer.status == 201, answer
    return answer.json["username"]


def test_a_stranger_proves_his_address_and_has_an_account(world, gateway, stranger, mail):
    letter = registered(stranger, mail, "ana@new.example", username="ana.luz")
    assert f"https://gateway.test/#/accounts/{letter.token}" in letter.text
    made = stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD, "phone": "+1 312 555 0100"})
    assert made.status == 201, made
    uid = made.json["username"]
    assert uid.startswith("ana.luz-") and len(uid) == len("ana.luz-") + 4 and made.json["mail"] == "ana@new.example"
    assert mail.wait("ana@new.example", 2, says=uid)
    api = gateway.api()
    assert api.login(uid, GOOD).status == 200
    profile = api.get("/v1/me/profile")
    assert profile.json == {"username": uid, "name": "Ana Luz", "mail": "ana@new.example", "phone": "+1 312 555 0100",
                            "realm": "local", "npis": [], "second_factor": False}
    entry = person(world, uid)
    assert entry["userPassword"][0].startswith(b"{SSHA}") and entry["scfState"] == [b"active"] and "pwdReset" not in entry
    lines = [line for line in gateway.audit_lines() if line.get("event") == "account.create"]
    assert [line["outcome"] for line in lines[-2:]] == ["permit", "ok"] and lines[-1]["resource"] == uid
    text = gateway.audit.read_text() + gateway.log.read_text()
    assert letter.token not in text and GOOD not in text


def test_the_link_is_good_once(stranger, mail):
    letter = registered(stranger, mail, "once@new.example")
    assert stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD}).status == 201
    again = stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD})
    assert again.status == 404 and again.reason == "not_found"
    for token in (NOBODY, "x", letter.token[:-1], letter.token.swapcase()):
        assert stranger.post(f"/v1/accounts/{token}", {"password": GOOD}).status == 404


def test_a_password_that_is_not_taken_leaves_the_link_good(stranger, mail):
    letter = registered(stranger, mail, "careful@new.example", name="Carl Careful")
    path = f"/v1/accounts/{letter.token}"
    assert ("/password", "must have at least 15 characters") in rules(stranger.post(path, {"password": "short"}))
    assert rules(stranger.post(path, {"password": "careful-new-2026"})) == {
        ("/password", "must not be made of your name")}
    assert rules(stranger.post(path, {"password": GOOD, "phone": "call me"})) == {
        ("/phone", "must have 7 digits at least")}
    assert stranger.post(path, {"password": GOOD, "phone": "312-555-0100", "more": 1}).status == 400
    assert stranger.post(path, {}).status == 400
    assert stranger.post(path, {"password": GOOD}).status == 201


def test_what_is_wrong_with_a_registration_is_said(stranger, mail):
    good = {"name": "Ana Luz", "mail": "wrong@new.example"}
    for wrong, pointer in (({"name": " Ana"}, "/name"), ({"name": "A\u0007"}, "/name"), ({"name": "x" * 101}, "/name"),
                           ({"name": "A\u0085"}, "/name"), ({"name": "\u202enehC ieW"}, "/name"), ({"name": "\u00a0\u200b"}, "/name"),
                           ({"mail": "nobody"}, "/mail"), ({"mail": "a@b\r\nBcc: c@d.example"}, "/mail"),
                           ({"mail": "a b@c.example"}, "/mail"), ({"mail": '"a"@c.example'}, "/mail"),
                           ({"username": "x"}, "/username"), ({"username": "Ana"}, "/username"),
                           ({"username": "-ana"}, "/username"), ({"username": "a" * 27}, "/username")):
        assert {p for p, _ in rules(stranger.post("/v1/accounts", {**good, **wrong}))} == {pointer}, wrong
    for body in ({"name": "Ana"}, {"mail": "a@new.example"}, {**good, "role": "helpdesk"}, {**good, "mail": 7}, {**good, "name": ""}):
        assert stranger.post("/v1/accounts", body).status == 400, body
    assert mail.to("wrong@new.example") == []


def test_user_ids_come_of_names(stranger, mail):
    for n, (name, stem) in enumerate((("Élodie  D'Açores", "elodie.d.acores"), ("王伟", "user"), ("Root", "user"), ("Ad-Min", "user"),
                                      ("X", "user"), ("Maximiliane Hohenzollern-Sigmaringen", "maximiliane.hohenzollern.s"))):
        uid = account(stranger, mail, f"name{n}@new.example", name=name)
        assert uid.rpartition("-")[0] == stem, (name, uid)


def test_an_address_that_has_an_account_is_told_and_nobody_else(world, stranger, mail):
    free = stranger.post("/v1/accounts", {"name": "Ana Luz", "mail": "free@new.example"})
    taken = stranger.post("/v1/accounts", {"name": "Ana Luz", "mail": "Chen@Lakeside.example"})
    assert (free.status, free.body) == (taken.status, taken.body) == (202, taken.body)
    letter = mail.wait("chen@lakeside.example")
    assert "chen" in letter.text and "/#/" not in letter.text
    assert mail.wait("free@new.example", says="/#/accounts/")


def test_of_two_links_to_one_address_one_makes_an_account(world, stranger, mail):
    first = registered(stranger, mail, "twice@new.example")
    second = registered(stranger, mail, "twice@new.example", name="Ana Other")
    assert stranger.post(f"/v1/accounts/{first.token}", {"password": GOOD}).status == 201
    late = stranger.post(f"/v1/accounts/{second.token}", {"password": GOOD})
    assert late.status == 409 and late.reason == "mail_taken"


def test_what_a_registration_left_that_died_is_taken_up(world, stranger, mail):
    """Killed after the address was reserved: after a minute it is free. Killed before the password was set: a reset sets it."""
    import hashlib
    name = hashlib.sha256(b"mail:died@new.example").hexdigest()
    dn = f"scfReservationId={name},ou=reservations,{world.suffix}"
    world.admin().add_s(dn, [("objectClass", b"scfReservation"), ("scfReservationId", name.encode()), ("scfPurpose", b"mail"),
                             ("scfOwner", b"nobody-0001"), ("scfRequestedAt", stamp(time.time()).encode())])
    letter = registered(stranger, mail, "died@new.example")
    assert stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD}).status == 409, "somebody is at it"
    world.set_values(dn, "scfRequestedAt", stamp(time.time() - 61))
    uid = account(stranger, mail, "died@new.example")
    world.admin().modify_s(world.person(uid), [(ldap.MOD_DELETE, "userPassword", None)])
    assert stranger.login(uid, GOOD).status == 401
    count = len(mail.to("died@new.example"))
    assert stranger.post("/v1/password-resets", {"mail": "died@new.example"}).status == 202
    token = mail.token("died@new.example", count)
    assert stranger.post(f"/v1/password-resets/{token}", {"new_password": GOOD + " again"}).status == 204
    assert stranger.login(uid, GOOD + " again").status == 200


def test_a_password_that_the_directory_alone_refuses_leaves_no_account_behind(world, gateway, stranger, mail):
    letter = registered(stranger, mail, "strict@new.example")
    policy = f"cn=people,ou=policies,{world.suffix}"
    world.admin().modify_s(policy, [(ldap.MOD_REPLACE, "pwdMinLength", b"40")])
    try:
        assert rules(stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD})) == {
            ("/password", "is too short for the directory")}
    finally:
        world.admin().modify_s(policy, [(ldap.MOD_REPLACE, "pwdMinLength", b"8")])
    left = world.admin().search_s(f"ou=people,{world.suffix}", ldap.SCOPE_ONELEVEL, "(mail=strict@new.example)")
    assert [e["scfState"] for _, e in left] == [[b"removed"]]
    outcomes = [line["outcome"] for line in gateway.audit_lines() if line.get("event") == "account.create"]
    assert outcomes[-2:] == ["permit", "failed"]
    assert stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD}).status == 201
    mail.wait("strict@new.example", 2)
    assert len(mail.to("strict@new.example")) == 2, "told of an account that he had not"


def test_who_registers_and_never_comes_is_away_from_then_on(world, gateway, stranger, mail):
    uid = account(stranger, mail, "never@new.example")
    assert abs(time.time() - clock(person(world, uid)["scfSignedInAt"][0])) < 60
    world.set_values(world.person(uid), "scfSignedInAt", stamp(time.time() - 61 * 86400))
    time.sleep(0.3)
    assert stranger.login(uid, GOOD).status == 401
    assert person(world, uid)["scfState"] == [b"disabled"]


def test_mails_are_not_sent_without_end(world, mail):
    with Gateway(world, {"sign_in.refusal_ms": 4, "account.mails_per_address": 8, "account.mails_per_account": 2}, mail=mail) as g:
        api = g.api(source="127.0.0.60")
        body = {"name": "Ana Luz", "mail": "often@new.example"}
        answers = [api.post("/v1/accounts", body) for _ in range(4)]
        assert {(a.status, a.body) for a in answers} == {(202, answers[0].body)}
        assert g.api(source="127.0.0.61").post("/v1/accounts", body).status == 202
        for n in range(4):
            api.post("/v1/accounts", {**body, "mail": f"often{n}@new.example"})
        over = api.post("/v1/accounts", {**body, "mail": "often9@new.example"})
        assert over.status == 429 and int(over.headers["Retry-After"]) > 0
        mail.wait("often3@new.example")
        assert len(mail.to("often@new.example")) == 2


def test_without_mail_nobody_registers(world):
    with Gateway(world) as g:
        for path, body in (("/v1/accounts", {"name": "Ana Luz", "mail": "a@new.example"}), ("/v1/password-resets", {"username": "chen"})):
            assert g.api().post(path, body).status == 503


# ---- profile ----

def test_name_and_phone_change_at_once(world, gateway):
    okafor = gateway.signed_in("okafor")
    before = okafor.get("/v1/me/profile")
    tag = {"If-Match": before.headers["ETag"]}
    after = okafor.request("PATCH", "/v1/me/profile", {"name": "Ngozi Okafor-Bell", "phone": "(630) 555-0199"}, headers=tag)
    assert after.status == 200, after
    assert after.json == {**before.json, "name": "Ngozi Okafor-Bell", "phone": "(630) 555-0199"}
    assert after.headers["ETag"] != before.headers["ETag"] and after.revision
    assert person(world, "okafor")["cn"] == ["Ngozi Okafor-Bell".encode()]
    stale = okafor.request("PATCH", "/v1/me/profile", {"name": "Other"}, headers=tag)
    assert stale.status == 412
    without = okafor.request("PATCH", "/v1/me/profile", {"phone": ""}, headers={"If-Match": after.headers["ETag"]})
    assert without.status == 200 and "phone" not in without.json
    lines = [line for line in gateway.audit_lines() if line.get("event") == "profile.update"]
    assert {line["actor"] for line in lines} == {"okafor"} and "Ngozi" not in json.dumps(lines)


def test_what_is_wrong_with_a_profile_is_said(gateway):
    chen = gateway.signed_in("chen")
    tag = {"If-Match": chen.get("/v1/me/profile").headers["ETag"]}
    assert chen.request("PATCH", "/v1/me/profile", {"name": "Chen"}).status == 428
    assert {p for p, _ in rules(chen.request("PATCH", "/v1/me/profile", {"name": " ", "phone": "1", "mail": "x"}, headers=tag))} == {
        "/name", "/phone", "/mail"}
    for body in ({"username": "root"}, {"state": "active"}, {"realm": "nppes"}, {"npis": ["1"]}, {"roles": ["helpdesk"]}):
        assert chen.request("PATCH", "/v1/me/profile", body, headers=tag).status == 400, body
    assert gateway.api().get("/v1/me/profile").status == 401


def test_an_address_counts_once_it_is_confirmed(world, gateway, mail, stranger):
    uid = account(stranger, mail, "mover@new.example", name="Mia Mover")
    api = gateway.api()
    assert api.login(uid, GOOD).status == 200
    tag = api.get("/v1/me/profile").headers["ETag"]
    asked = api.request("PATCH", "/v1/me/profile", {"mail": "Mover@Next.example"}, headers={"If-Match": tag})
    assert asked.status == 200 and asked.json["mail_to_confirm"] == "mover@next.example", asked
    assert asked.json["mail"] == "mover@new.example"
    letter = mail.wait("mover@next.example")
    assert f"https://gateway.test/#/mail-confirmations/{letter.token}" in letter.text
    assert stranger.post(f"/v1/accounts/{letter.token}", {"password": GOOD}).status == 404, "it is for something else"
    assert stranger.post(f"/v1/mail-confirmations/{letter.token}").status == 204
    assert api.get("/v1/me/profile").json["mail"] == "mover@next.example"
    assert mail.wait("mover@new.example", 3, says="another mail address")
    assert stranger.post(f"/v1/mail-confirmations/{letter.token}").status == 404
    # The old address is free again.
    assert account(stranger, mail, "mover@new.example", name="Max Mover") != uid


def test_nobody_gets_the_address_of_another(world, gateway, mail, stranger):
    uid = account(stranger, mail, "thief@new.example", name="Tom Thief")
    api = gateway.api()
    api.login(uid, GOOD)
    tag = api.get("/v1/me/profile").headers["ETag"]
    known = len(mail.to("rivera@lakeside.example"))
    taken = api.request("PATCH", "/v1/me/profile", {"mail": "rivera@lakeside.example"}, headers={"If-Match": tag})
    free = api.request("PATCH", "/v1/me/profile", {"mail": "thief@next.example"}, headers={"If-Match": tag})
    assert taken.status == free.status == 200
    assert {k: v for k, v in taken.json.items() if k != "mail_to_confirm"} == {k: v for k, v in free.json.items() if k != "mail_to_confirm"}
    assert "/#/" not in mail.wait("rivera@lakeside.example", known + 1).text
    # Somebody else registers the address between asking and confirming.
    letter = mail.wait("thief@next.example")
    account(stranger, mail, "thief@next.example", name="Nora Next")
    late = stranger.post(f"/v1/mail-confirmations/{letter.token}")
    assert late.status == 409 and late.reason == "mail_taken"


def test_a_link_for_another_address_ends_with_what_the_help_desk_ends(world, gateway, mail):
    """Else whoever got into an account could take it over after the help desk has thrown him out."""
    desk, grounds = gateway.signed_in("desk1"), {"reason": "stolen", "identified_by": "call back"}
    for acts in (("disable", "enable"), ("reset",)):
        thief, address = gateway.signed_in("outsider"), f"{acts[0]}@next.example"
        asked = thief.request("PATCH", "/v1/me/profile", {"mail": address},
                              headers={"If-Match": thief.get("/v1/me/profile").headers["ETag"]})
        assert asked.status == 200, asked
        token = mail.wait(address).token
        for act in acts:
            assert desk.post(f"/v1/helpdesk/accounts/outsider/{act}", grounds).status == 200, act
        late = gateway.api().post(f"/v1/mail-confirmations/{token}")
        assert late.status == 404 and person(world, "outsider")["mail"] != [address.encode()], acts


def test_sessions_of_an_account_that_was_disabled_by_ldif_do_not_come_back_with_it(world, gateway):
    quinn = gateway.signed_in("quinn")
    world.set_state(world.person("quinn"), "disabled")
    end = time.monotonic() + 3
    while quinn.get("/v1/me").reason != "account_not_active":
        assert time.monotonic() < end
    answer = gateway.signed_in("desk1").post("/v1/helpdesk/accounts/quinn/enable", {"reason": "asked for", "identified_by": "call back"})
    assert answer.status == 200, answer
    assert (quinn.get("/v1/me").status, quinn.get("/v1/me").reason) == (401, "session_expired")
    assert gateway.signed_in("quinn").get("/v1/me").status == 200


def test_a_profile_that_is_refused_for_its_mails_is_not_changed_by_half(world, mail):
    with Gateway(world, {"sign_in.refusal_ms": 4, "account.mails_per_account": 1}, mail=mail) as g:
        audit1 = g.signed_in("audit1")

        def change(**body):
            return audit1.request("PATCH", "/v1/me/profile", body, headers={"If-Match": audit1.get("/v1/me/profile").headers["ETag"]})

        assert change(mail="audit1@next.example").status == 200
        assert change(mail="audit1@other.example", name="Another Name").status == 429
        assert audit1.get("/v1/me/profile").json["name"] != "Another Name"


def test_another_address_needs_the_password_once_more(world, mail):
    with Gateway(world, {"session.recent_seconds": 1, "sign_in.refusal_ms": 4}, mail=mail) as g:
        ito = g.signed_in("ito")
        tag = ito.get("/v1/me/profile").headers["ETag"]
        time.sleep(2.1)
        refused = ito.request("PATCH", "/v1/me/profile", {"mail": "ito@next.example"}, headers={"If-Match": tag})
        assert refused.status == 403 and refused.reason == "reauthentication_required"
        same = ito.request("PATCH", "/v1/me/profile", {"mail": "ITO@meridian.example"}, headers={"If-Match": tag})
        assert same.status == 200 and "mail_to_confirm" not in same.json


def test_practitioners_are_managed_elsewhere(gateway):
    patel = gateway.signed_in("patel")
    profile = patel.get("/v1/me/profile")
    assert profile.status == 200 and profile.json["managed_at"] == "https://nppes.cms.hhs.gov/" and profile.json["npis"] == ["1660491329"]
    for answer in (patel.request("PATCH", "/v1/me/profile", {"name": "A"}, headers={"If-Match": profile.headers["ETag"]}),
                   patel.post("/v1/me/password", {"old_password": PASSWORD, "new_password": GOOD})):
        assert answer.status == 403 and answer.reason == "managed_elsewhere", answer
        assert answer.json["link"] == "https://nppes.cms.hhs.gov/"
    desk = gateway.signed_in("desk1").post("/v1/helpdesk/accounts/patel/reset", {"reason": "forgot it", "identified_by": "call back"})
    assert (desk.status, desk.reason, desk.json["link"]) == (403, "managed_elsewhere", "https://nppes.cms.hhs.gov/")
