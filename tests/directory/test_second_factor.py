"""The second factor: getting one, signing in with it and with recovery codes, losing it, and who must have one."""
import threading
import time

import ldap
import pytest

from api import PASSWORD
from gateway import Gateway
from smtp import MailServer
from totp import code_of, enrolled, forget_step, next_code
from world import World, stamp

QUICK = {"sign_in.refusal_ms": 20}
RECORD = "/v1/records/O20240115000001"


@pytest.fixture(scope="module")
def gateway(world):
    with Gateway(world, QUICK) as g:
        yield g


def failures(world, uid):
    entry = world.admin().search_s(world.person(uid), ldap.SCOPE_BASE, attrlist=["pwdFailureTime"])[0][1]
    return len(entry.get("pwdFailureTime", []))


def test_a_factor_is_got_confirmed_and_asked_for(world, gateway):
    api = gateway.signed_in("chen")
    assert api.get("/v1/me/totp").json == {"enrolled": False, "recovery_codes_left": 0, "used": False}
    assert api.post("/v1/me/totp/confirm", {"code": "123456"}).status == 404, "there is nothing to confirm yet"
    enrolment = api.post("/v1/me/totp")
    assert enrolment.status == 200
    said = enrolment.json
    assert said["uri"] == f"otpauth://totp/scfgate:chen?secret={said['secret']}&issuer=scfgate&algorithm=SHA1&digits=6&period=30"
    assert len({len(line) for line in said["qr"]}) == 1 and set("".join(said["qr"])) <= set("█▄▀ ")
    # Not confirmed: not asked for.
    assert gateway.api().login("chen").status == 200
    wrong = api.post("/v1/me/totp/confirm", {"code": "abcdef"})
    assert wrong.status == 422 and wrong.json["errors"] == [{"pointer": "/code", "rule": "is not the code of this time"}]
    # Another try begins anew, with another secret.
    again = api.post("/v1/me/totp").json["secret"]
    assert again != said["secret"]
    assert api.post("/v1/me/totp/confirm", {"code": code_of(said["secret"])}).status in (422,)
    confirmed = api.post("/v1/me/totp/confirm", {"code": code_of(again)})
    assert confirmed.status == 200 and len(set(confirmed.json["recovery_codes"])) == 10
    assert all(len(c) == 19 for c in confirmed.json["recovery_codes"])
    assert api.get("/v1/me/totp").json == {"enrolled": True, "recovery_codes_left": 10, "used": False}
    assert api.post("/v1/me/totp/confirm", {"code": code_of(again)}).reason == "already_decided"

    assert gateway.api().login("chen").status == 401, "the password alone"
    assert gateway.api().login("chen", otp="000000").status == 401
    right = gateway.api()
    code = next_code(world, "chen", again)
    assert right.login("chen", otp=code).status == 200
    assert right.get("/v1/me/totp").json["used"] is True
    assert gateway.api(source="127.0.0.2").login("chen", otp=code).status == 401, "a code is good once"
    assert right.get(RECORD).status == 200
    events = [(line.get("event", line["class"]), line.get("detail")) for line in gateway.audit_lines() if line.get("actor") == "chen"]
    for event in ("second_factor.enrol", "second_factor.add"):
        assert event in [e for e, _ in events]
    assert ("sign_in", "second factor") in events
    text = gateway.audit.read_text() + gateway.log.read_text()
    assert again not in text and not any(c in text for c in confirmed.json["recovery_codes"])


def test_without_the_code_nothing_is_counted_against_the_account_and_nothing_learnt(world, gateway):
    _, secret, _ = enrolled(gateway, "okafor")
    before = failures(world, "okafor")
    right, wrong = gateway.api(source="127.0.0.3").login("okafor"), gateway.api(source="127.0.0.3").login("okafor", "wrong wrong wrong")
    assert failures(world, "okafor") == before
    unknown = gateway.api(source="127.0.0.3").login("nobody", otp="123456")
    bad_code = gateway.api(source="127.0.0.3").login("okafor", otp="000000")
    assert failures(world, "okafor") == before + 1

    def neutral(a):
        return a.status, {k: v for k, v in a.json.items() if k != "request_id"}, len(a.body)
    assert neutral(right) == neutral(wrong) == neutral(unknown) == neutral(bad_code)
    assert "code" in right.json["detail"]
    assert gateway.api(source="127.0.0.4").login("okafor", otp=next_code(world, "okafor", secret)).status == 200


def test_wrong_codes_lock_like_wrong_passwords(world, gateway):
    enrolled(gateway, "novak")
    for n in range(5):
        assert gateway.api(source=f"127.4.{n}.1").login("novak", otp=("000000", "abcd-efgh-ijkl-mnop")[n % 2]).status == 401
    entry = world.admin().search_s(world.person("novak"), ldap.SCOPE_BASE, attrlist=["pwdAccountLockedTime"])[0][1]
    assert "pwdAccountLockedTime" in entry


def test_a_recovery_code_works_once_under_races_too(world, gateway):
    with Gateway(world, {**QUICK, "sign_in.guesses_per_account": 100}) as twin:
        _, secret, codes = enrolled(twin, "rivera")
        # As people type it, and with a wrong password: that does not use it up.
        assert gateway.api(source="127.0.0.5").login("rivera", "wrong wrong wrong", otp=codes[0]).status == 401
        forget_step(world, "rivera")
        first = gateway.api(source="127.0.0.5")
        assert first.login("rivera", otp=codes[0].upper().replace("-", " ")).status == 200
        assert first.get("/v1/me/totp").json == {"enrolled": True, "recovery_codes_left": 9, "used": True}
        assert gateway.api(source="127.0.0.5").login("rivera", otp=codes[0]).status == 401
        forget_step(world, "rivera")
        won = []
        threads = [threading.Thread(target=lambda n=n: won.append((twin, gateway)[n % 2].api(source=f"127.5.{n}.1").login(
            "rivera", otp=codes[1]).status)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(30)
        assert sorted(won) == [200, 401, 401, 401]
        assert any(line.get("event", line["class"]) == "second_factor.recovery_used" for line in gateway.audit_lines() + twin.audit_lines())


def test_new_recovery_codes_replace_the_old(world, gateway):
    api, secret, codes = enrolled(gateway, "silva")
    assert api.post("/v1/me/totp/recovery-codes").reason == "reauthentication_required", "the session was begun without it"
    answer = api.post("/v1/reauthenticate", {"password": PASSWORD, "otp": next_code(world, "silva", secret)})
    assert answer.status == 200
    api.token = answer.json["token"]
    new = api.post("/v1/me/totp/recovery-codes")
    assert new.status == 200 and not set(new.json["recovery_codes"]) & set(codes)
    assert gateway.api(source="127.0.0.6").login("silva", otp=codes[0]).status == 401
    assert gateway.api(source="127.0.0.7").login("silva", otp=new.json["recovery_codes"][9]).status == 200


def test_a_factor_is_given_up_with_recent_authentication_only(world):
    with Gateway(world, {**QUICK, "session.recent_seconds": 4}) as g:
        api, secret, _ = enrolled(g, "ito")
        assert api.delete("/v1/me/totp").reason == "reauthentication_required"
        assert api.post("/v1/reauthenticate", {"password": PASSWORD}).status == 401
        answer = api.post("/v1/reauthenticate", {"password": PASSWORD, "otp": next_code(world, "ito", secret)})
        api.token = answer.json["token"]
        time.sleep(5.1)
        assert api.delete("/v1/me/totp").reason == "reauthentication_required"
        assert api.get("/v1/me/totp").json["enrolled"] is True
        answer = api.post("/v1/reauthenticate", {"password": PASSWORD, "otp": next_code(world, "ito", secret)})
        api.token = answer.json["token"]
        assert api.post("/v1/me/totp").reason == "already_decided"
        gone = api.delete("/v1/me/totp")
        assert gone.status == 204 and gone.revision
        assert api.get("/v1/me/totp").json == {"enrolled": False, "recovery_codes_left": 0, "used": True}
        assert api.delete("/v1/me/totp").status == 404
        assert g.api().login("ito").status == 200
        entry = world.admin().search_s(world.person("ito"), ldap.SCOPE_BASE, attrlist=["*", "+"])[0][1]
        assert not [a for a in entry if a.startswith("oath") or a == "scfRecoveryDigest"]


def test_the_audit_log_tells_what_came_of_a_change_of_the_factor(world):
    with Gateway(world, {**QUICK, "directory.operation_timeout_ms": 300, "directory.connect_timeout_ms": 300,
                         "replica.max_staleness_ms": 20000}) as g:
        def outcomes(event):
            return [line["outcome"] for line in g.audit_lines() if line.get("event") == event and line["resource"] == "proc1"]

        api, secret, codes = enrolled(g, "proc1")
        assert outcomes("second_factor.enrol") == outcomes("second_factor.add") == ["permit", "ok"]
        forget_step(world, "proc1")
        assert api.login("proc1", otp=codes[0]).status == 200
        assert outcomes("second_factor.recovery_used") == ["permit", "ok"]
        world.sigstop()
        try:
            assert api.delete("/v1/me/totp").status == 503
        finally:
            world.sigcont()
        assert outcomes("second_factor.remove") == ["permit", "failed"]
        g.wait_ready()
        end = time.monotonic() + 10
        while (status := api.delete("/v1/me/totp").status) == 503 and time.monotonic() < end:
            time.sleep(0.05)
        assert status in (204, 404), "404: the directory did it after all"
        assert api.post("/v1/me/totp/recovery-codes").status == 404 and outcomes("second_factor.recovery_codes") == []


@pytest.mark.parametrize("body", [None, {}, {"code": 123456}, {"code": ""}, {"code": "123456", "more": 1}])
def test_a_confirmation_that_is_no_request_is_told_why(gateway, body):
    answer = gateway.signed_in("desk2").post("/v1/me/totp/confirm", body)
    assert answer.status in (400, 415), answer


def test_practitioners_have_theirs_at_nppes(gateway):
    api = gateway.signed_in("patel")
    for answer in (api.post("/v1/me/totp"), api.delete("/v1/me/totp"), api.post("/v1/me/totp/recovery-codes")):
        assert answer.status == 403 and answer.reason == "managed_elsewhere"


def test_who_must_have_a_factor_can_do_nothing_but_get_one(world):
    with Gateway(world, {**QUICK, "sign_in.second_factor_for": ["helpdesk", "officials"]}) as g:
        # An employee is not concerned; neither is a practitioner, who is the official of his own practice.
        assert g.signed_in("outsider").get("/v1/me").status == 200
        assert g.signed_in("patel").get("/v1/records?provider=patel-md").status == 200
        desk = g.api()
        answer = desk.login("desk1")
        assert answer.status == 200 and answer.json["mfa_required"] is True
        refused = desk.get(RECORD)
        assert refused.status == 403 and refused.reason == "mfa_required"
        assert desk.get("/v1/me").json["mfa_required"] is True and "mfa_required" not in g.signed_in("outsider").get("/v1/me").json
        assert desk.get("/v1/me").status == desk.get("/v1/me/sessions").status == desk.get("/v1/me/totp").status == 200
        asked = {"X-Original-Method": "GET", "X-Original-URI": "/enrollments/O20240115000001"}
        assert desk.get("/auth/nginx", headers=asked).status == 403
        secret = desk.post("/v1/me/totp").json["secret"]
        assert desk.post("/v1/me/totp/confirm", {"code": code_of(secret)}).status == 200
        assert desk.get(RECORD).reason == "mfa_required", "this session was begun without it"
        done = desk.post("/v1/reauthenticate", {"password": PASSWORD, "otp": next_code(world, "desk1", secret)})
        assert done.status == 200 and "mfa_required" not in done.json
        desk.token = done.json["token"]
        assert "mfa_required" not in desk.get("/v1/me").json
        assert desk.get(RECORD).status == 404
        # Whoever becomes an official is one with the next request.
        quinn = g.signed_in("quinn")
        assert quinn.get("/v1/records?provider=lakeside").reason != "mfa_required"
        world.modify_ldif(f"dn: {world.organization('northgate')}\nchangetype: modify\nreplace: scfAuthorizedOfficial\n"
                          f"scfAuthorizedOfficial: {world.person('quinn')}\n")
        deadline = time.monotonic() + 3
        while quinn.get("/v1/records?provider=lakeside").reason != "mfa_required":
            assert time.monotonic() < deadline
        world.modify_ldif(f"dn: {world.organization('northgate')}\nchangetype: modify\nreplace: scfAuthorizedOfficial\n")
        deadline = time.monotonic() + 3
        while quinn.get("/v1/records?provider=lakeside").reason == "mfa_required":
            assert time.monotonic() < deadline


def test_the_owner_is_told_of_his_factor_its_recovery_codes_and_a_lock():
    with World() as w, MailServer(w) as mail, Gateway(w, QUICK, mail=mail) as g:
        def told(words):
            deadline = time.monotonic() + 10
            while not (found := [letter for letter in mail.letters if words in letter.subject]):
                assert time.monotonic() < deadline, [letter.subject for letter in mail.letters]
                time.sleep(0.05)
            assert "chen" in found[0].text and found[0].to == "chen@lakeside.example"
            return found

        api, secret, codes = enrolled(g, "chen")
        told("was added")
        api = g.api()
        assert api.login("chen", otp=codes[0]).status == 200
        assert "left: 9" in told("recovery code")[0].text
        assert api.delete("/v1/me/totp").status == 204
        told("was removed")
        for n in range(8):
            assert g.api(source=f"127.6.{n}.1").login("chen", "wrong wrong wrong").status == 401
        told("locked")
        time.sleep(1)
        assert len(told("locked")) == 1, "once for each lock"
        text = "".join(letter.data.decode() for letter in mail.letters)
        assert secret not in text and not any(code in text for code in codes)


def test_a_word_that_names_nobody_is_refused_at_the_start(world):
    with Gateway(world, {"sign_in.second_factor_for": ["everybody"]}, start=False) as g:
        g.write()
        told = g.run("-n", "-c", str(g.file))
        assert told.returncode == 1 and "sign_in.second_factor_for" in told.stderr


def test_an_account_that_was_away_too_long_is_disabled_by_its_next_sign_in(world, gateway):
    def set_day(uid, days):
        world.set_values(world.person(uid), "scfSignedInAt", stamp(time.time() - days * 86400))
        time.sleep(0.3)

    set_day("audit1", 59)
    assert gateway.api(source="127.0.0.8").login("audit1").status == 200
    entry = world.admin().search_s(world.person("audit1"), ldap.SCOPE_BASE)[0][1]
    assert entry["scfSignedInAt"][0].decode() >= stamp(time.time() - 60), "the day is noted"
    set_day("audit1", 61)
    assert gateway.api(source="127.0.0.8").login("audit1", "wrong wrong wrong").status == 401
    entry = world.admin().search_s(world.person("audit1"), ldap.SCOPE_BASE)[0][1]
    assert entry["scfState"] == [b"active"], "a wrong password disables nobody"
    wrong = gateway.api(source="127.0.0.9").login("audit1", "wrong wrong wrong")
    away = gateway.api(source="127.0.0.9").login("audit1")
    assert {**away.json, "request_id": ""} == {**wrong.json, "request_id": ""} and away.status == wrong.status == 401
    entry = world.admin().search_s(world.person("audit1"), ldap.SCOPE_BASE)[0][1]
    assert entry["scfState"] == [b"disabled"] and entry["scfReason"] == [b"inactivity"]
    lines = [(line.get("event", line["class"]), line.get("reason"), line.get("detail")) for line in gateway.audit_lines()]
    assert ("account.disable", None, "inactivity") in lines and ("sign_in", "inactive", None) in lines
    # The help desk enables it and sets the day; with inactivity switched off it is not asked about.
    world.set_state(world.person("audit1"), "active")
    with Gateway(world, {**QUICK, "account.inactive_days": 0}) as g:
        assert g.api().login("audit1").status == 200


def test_a_short_password_is_changed_by_whoever_has_no_second_factor_any_more(world, gateway):
    """It was long enough with one."""
    short, new = "r7 otter q", "seven grey herons at dusk"
    api, secret, _ = enrolled(gateway, "outsider")
    api.token = api.post("/v1/reauthenticate", {"password": PASSWORD, "otp": next_code(world, "outsider", secret)}).json["token"]
    changed = api.post("/v1/me/password", {"old_password": PASSWORD, "new_password": short,
                                           "otp": next_code(world, "outsider", secret)})
    assert changed.status == 200, changed
    assert api.login("outsider", short, otp=next_code(world, "outsider", secret)).status == 200
    assert api.delete("/v1/me/totp").status == 204
    refused = gateway.api().login("outsider", short)
    assert (refused.status, refused.reason) == (403, "password_must_change") and "token" not in refused.json
    assert ("sign_in", "failed", "too_short") in [(line.get("event", line["class"]), line["outcome"], line.get("reason"))
                                                  for line in gateway.audit_lines()]
    assert gateway.api().login("outsider", "r8 otter q").status == 401  # a guesser is told what he always is
    refused = gateway.api().login("outsider", short, new_password="also short")
    assert refused.status == 422 and "15 characters" in refused.json["errors"][0]["rule"]
    assert gateway.api().login("outsider", short, new_password=new).status == 200
    assert gateway.api().login("outsider", new).status == 200
