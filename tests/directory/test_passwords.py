"""New passwords: by whoever knows the old one, by a link that was mailed, and while signing in. With real mail."""

import concurrent.futures
import time

import ldap
import pytest

from api import PASSWORD
from gateway import Gateway
from totp import enrolled, next_code
from world import stamp

RECORD = "/v1/records/O20240115000001"


@pytest.fixture(scope="module")
def gateway(world, mail):
    settings = {"sign_in.refusal_ms": 4, "account.mails_per_address": 1000, "account.mails_per_account": 1000}
    with Gateway(world, settings, mail=mail) as g:
        yield g


@pytest.fixture(autouse=True)
def passwords_as_before(world):
    """Each test finds the sample password everywhere."""
    yield
    for uid in ("chen", "okafor", "silva", "novak", "ito"):
        world.admin().modify_s(world.person(uid), [(ldap.MOD_REPLACE, "userPassword", [PASSWORD.encode()]),
                                                   (ldap.MOD_REPLACE, "pwdReset", None)])


def fresh(count=[0]):
    """A password that nobody has had: the directory remembers the last five."""
    count[0] += 1
    return f"{count[0]} grey herons at dusk"


def rules(answer):
    assert answer.status == 422, answer
    return {e["rule"] for e in answer.json["errors"] if e["pointer"] == "/new_password"}


def change(api, new, old=PASSWORD, **more):
    return api.post("/v1/me/password", {"old_password": old, "new_password": new, **more})


def link(gateway, mail, address, **by):
    count = len(mail.to(address))
    assert gateway.api().post("/v1/password-resets", by or {"mail": address}).status == 202
    return mail.token(address, count)


def lock(world, uid):
    for _ in range(5):
        with pytest.raises(ldap.INVALID_CREDENTIALS):
            world.bind(uid, "not the password at all")


# ---- by whoever knows the old one ----

def test_who_knows_the_old_password_sets_a_new_one_and_other_sessions_end(world, gateway, mail):
    good = fresh()
    other, mine = gateway.signed_in("chen"), gateway.signed_in("chen")
    old_token = mine.token
    answer = change(mine, good)
    assert answer.status == 200 and answer.json["username"] == "chen", answer
    mine.token = answer.json["token"]
    assert mine.get(RECORD).status == 200, "his own session goes on"
    assert other.get(RECORD).status == 401 and gateway.api().get("/v1/me", token=old_token).status == 401
    assert gateway.api().login("chen").status == 401
    again = gateway.api()
    assert again.login("chen", good).status == 200 and again.get(RECORD).status == 200, "at once"
    assert mail.wait("chen@lakeside.example", says="was changed")
    lines = [line for line in gateway.audit_lines() if line.get("event") == "password.change"]
    assert [line["outcome"] for line in lines[-2:]] == ["permit", "ok"] and lines[-1]["actor"] == "chen"
    assert good not in gateway.audit.read_text() + gateway.log.read_text()


def test_a_password_changed_by_another_program_ends_sessions_too(world, gateway):
    good = fresh()
    chen = gateway.signed_in("chen")
    time.sleep(1.1)
    world.bind("chen", uri=world.ldapi).passwd_s(world.person("chen"), PASSWORD, good)
    end = time.monotonic() + 5
    while chen.get("/v1/me").status != 401:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_wrong_old_password_is_a_guess(world, gateway):
    good = fresh()
    novak = gateway.signed_in("novak", source="127.0.0.70")
    for _ in range(2):
        wrong = change(novak, good, old="not the old one at all")
        assert wrong.status == 401 and wrong.reason == "not_authenticated"
    # What is wrong with the new one is for those who know the old one.
    assert change(novak, "x", old="not the old one at all").status == 401
    assert change(novak, good).status == 401, "three failures from this address: held back"
    assert novak.get("/v1/me").status == 200, "the session stays"
    assert gateway.api(source="127.0.0.71").login("novak").status == 200


def test_each_rule_is_told_in_its_own_words(gateway):
    good = fresh()
    chen = gateway.signed_in("chen")
    for new, said in (("kestrel", "must have at least 15 characters"), ("x" * 64 + "y" * 65, "must have at most 128 characters"),
                      ("qwertyuiop123456", "must not be a repetition, or made of runs of the alphabet or the keyboard"),
                      ("autosuggestibility", "must not be one of the passwords that are guessed first"),
                      ("Lakeside Clinic 1", "must not be made of your name, user name, mail address or organization, or of this service's"),
                      (" " * 20, "must be UTF-8 text of at most 1024 bytes that is not made of blanks alone")):
        assert said in rules(change(chen, new)), new
    assert rules(change(chen, PASSWORD)) == {"must not be one of your last passwords"}
    told = change(chen, PASSWORD).json["detail"]
    assert told == "new_password must not be one of your last passwords."
    told = change(chen, "kestrelkestrel").json["detail"]
    assert told.startswith("new_password must have at least 15 characters; new_password must not be a repetition"), told
    for body in ({"new_password": good}, {"old_password": PASSWORD}, {"old_password": PASSWORD, "new_password": 1},
                 {"old_password": PASSWORD, "new_password": good, "uid": "rivera"}):
        assert chen.post("/v1/me/password", body).status == 400, body
    assert gateway.api().post("/v1/me/password", {"old_password": PASSWORD, "new_password": good}).status == 401
    assert gateway.api().login("chen").status == 200, "it is the old one still"


def test_one_of_the_last_five_is_not_taken_again(gateway):
    good, better = fresh(), fresh()
    ito = gateway.signed_in("ito")
    answer = change(ito, good)
    ito.token = answer.json["token"]
    answer = change(ito, better, old=good)
    ito.token = answer.json["token"]
    assert rules(change(ito, good, old=better)) == {"must not be one of your last passwords"}


def test_one_password_however_it_is_typed(gateway):
    chen = gateway.signed_in("chen")
    composed, apart = "café crème für zwei à midi", "cafe\u0301 cre\u0300me fu\u0308r zwei a\u0300 midi"
    assert composed != apart
    answer = change(chen, apart)
    assert answer.status == 200
    chen.token = answer.json["token"]
    for typed in (composed, apart):
        assert gateway.api().login("chen", typed).status == 200
    assert gateway.api().login("chen", composed.replace("é", "e")).status == 401


def test_long_passwords_of_many_bytes_are_taken_whole(gateway):
    chen = gateway.signed_in("chen")
    words = "журавль летит над озером, а под ним тихо плывёт серая утка и девять её утят; вечер"
    answer = change(chen, words)
    assert answer.status == 200, answer
    assert gateway.api().login("chen", words).status == 200
    assert gateway.api().login("chen", words[:-1]).status == 401


def test_a_list_that_is_missing_is_found_before_the_start(world):
    with Gateway(world, {"password.blocklists": ["/nowhere/passwords"]}, start=False) as g:
        told = g.run("-n", "-c", g.file)
        assert told.returncode == 1 and "password.blocklists" in told.stderr and "/nowhere/passwords" in told.stderr, told


# ---- while signing in ----

def test_a_password_that_must_be_changed_is_changed_while_signing_in(world, gateway):
    good = fresh()
    world.modify_ldif(f"dn: {world.person('okafor')}\nchangetype: modify\nreplace: pwdReset\npwdReset: TRUE\n")
    api = gateway.api()
    assert api.login("okafor").reason == "password_must_change"
    assert "must have at least 15 characters" in rules(api.login("okafor", new_password="x"))
    assert api.login("okafor", "wrong wrong wrong", new_password="x").status == 401, "who does not know the old one learns no rule"
    assert api.login("okafor", "wrong wrong wrong", new_password=good).status == 401
    done = api.login("okafor", new_password=good)
    assert done.status == 200 and api.get("/v1/me").json["username"] == "okafor", done
    assert gateway.api().login("okafor").status == 401 and gateway.api().login("okafor", good).status == 200


def test_a_password_that_has_expired_is_changed_while_grace_lasts(world, gateway):
    good, better = fresh(), fresh()
    policy = f"cn=people,ou=policies,{world.suffix}"
    handle = world.admin()
    try:
        handle.passwd_s(world.person("silva"), None, good)
        handle.modify_s(world.person("silva"), [(ldap.MOD_REPLACE, "pwdReset", None)])
        handle.modify_s(policy, [(ldap.MOD_REPLACE, "pwdMaxAge", b"1"), (ldap.MOD_REPLACE, "pwdGraceAuthnLimit", b"3")])
        time.sleep(2.1)
        first = gateway.api().login("silva", good)
        assert first.status == 200 and first.json["grace"] == 2, first
        api = gateway.api()
        done = api.login("silva", good, new_password=better)
        assert done.status == 200 and "grace" not in done.json, done
    finally:
        handle.modify_s(policy, [(ldap.MOD_REPLACE, "pwdMaxAge", b"0"), (ldap.MOD_REPLACE, "pwdGraceAuthnLimit", None)])


def test_a_password_whose_grace_is_over_is_told_to_have_expired_with_a_new_one_too(world, gateway):
    good, better = fresh(), fresh()
    policy, handle = f"cn=people,ou=policies,{world.suffix}", world.admin()
    try:
        handle.passwd_s(world.person("silva"), None, good)
        handle.modify_s(world.person("silva"), [(ldap.MOD_REPLACE, "pwdReset", None)])
        handle.modify_s(policy, [(ldap.MOD_REPLACE, "pwdMaxAge", b"1")])
        time.sleep(2.1)
        for more in ({}, {"new_password": better}, {"new_password": "x"}):
            over = gateway.api().login("silva", good, **more)
            assert (over.status, over.reason) == (403, "password_expired"), more
        assert gateway.api().login("silva", "wrong wrong wrong", new_password=better).status == 401
    finally:
        handle.modify_s(policy, [(ldap.MOD_REPLACE, "pwdMaxAge", b"0")])


@pytest.mark.parametrize("must_change", [False, True])
def test_who_was_away_too_long_is_disabled_and_keeps_his_password(world, gateway, must_change):
    def entry():
        return world.admin().search_s(world.person("novak"), ldap.SCOPE_BASE, attrlist=["*", "+"])[0][1]

    world.admin().modify_s(world.person("novak"), [(ldap.MOD_REPLACE, "scfSignedInAt", stamp(time.time() - 61 * 86400).encode()),
                                                   (ldap.MOD_REPLACE, "pwdReset", b"TRUE" if must_change else None)])
    time.sleep(0.3)
    before = entry()
    assert gateway.api().login("novak", new_password=fresh()).status == 401
    after = entry()
    assert (after["scfState"], after["userPassword"]) == ([b"disabled"], before["userPassword"])
    world.set_state(world.person("novak"), "active")
    world.set_values(world.person("novak"), "scfSignedInAt", stamp(time.time()))


def test_practitioners_cannot_change_it_here(gateway):
    good = fresh()
    answer = gateway.api().login("patel", new_password=good)
    assert answer.status == 403 and answer.reason == "managed_elsewhere" and answer.json["link"].startswith("https://nppes")


# ---- by a link ----

def test_who_has_forgotten_it_gets_a_link(world, gateway, mail):
    good, better = fresh(), fresh()
    chen, api = gateway.signed_in("chen"), gateway.api()
    lock(world, "chen")
    assert api.login("chen").status == 401
    token = link(gateway, mail, "chen@lakeside.example")
    assert f"https://gateway.test/#/password-resets/{token}" in mail.to("chen@lakeside.example")[-1].text
    path = f"/v1/password-resets/{token}"
    assert "must have at least 15 characters" in rules(api.post(path, {"new_password": "short"}))
    assert rules(api.post(path, {"new_password": PASSWORD})) == {"must not be one of your last passwords"}
    assert api.post(path, {}).status == 400 and api.post(path, {"new_password": good, "uid": "rivera"}).status == 400
    count = len(mail.to("chen@lakeside.example"))
    assert api.post(path, {"new_password": good}).status == 204
    assert chen.get("/v1/me").status == 401, "every session has ended"
    assert api.login("chen", good).status == 200 and api.get("/v1/me").status == 200, "and the lock is gone"
    assert gateway.api().login("chen").status == 401
    assert mail.wait("chen@lakeside.example", count + 1, says="was changed")
    assert api.post(path, {"new_password": better}).status == 404
    lines = [line for line in gateway.audit_lines() if line.get("event") == "password.reset"]
    assert [line["outcome"] for line in lines[-2:]] == ["permit", "ok"] and lines[-1]["resource"] == "chen"
    assert token not in gateway.audit.read_text() + gateway.log.read_text()


def test_a_link_does_not_open_what_an_administrator_has_locked(world, gateway, mail):
    """000001010000Z is for good: only an administrator takes it back, here the help desk."""
    good = fresh()

    def lock_for_good():
        world.admin().modify_s(world.person("okafor"), [(ldap.MOD_REPLACE, "pwdAccountLockedTime", b"000001010000Z")])

    token = link(gateway, mail, "okafor@meridian.example")
    lock_for_good()
    count = len(mail.to("okafor@meridian.example"))
    assert gateway.api().post(f"/v1/password-resets/{token}", {"new_password": good}).status == 404
    for body in ({"mail": "okafor@meridian.example"}, {"username": "okafor"}):
        assert gateway.api().post("/v1/password-resets", body).status == 202
    link(gateway, mail, "ito@meridian.example")
    assert len(mail.to("okafor@meridian.example")) == count
    assert "pwdAccountLockedTime" in world.admin().search_s(world.person("okafor"), ldap.SCOPE_BASE, attrlist=["+"])[0][1]
    grounds = {"reason": "he called", "identified_by": "call back"}
    assert gateway.signed_in("desk1").post("/v1/helpdesk/accounts/okafor/reset", grounds).status == 200
    token = mail.token("okafor@meridian.example", count)
    assert gateway.api().post(f"/v1/password-resets/{token}", {"new_password": good}).status == 204
    assert gateway.api().login("okafor", good).status == 200


def test_it_is_asked_for_by_user_id_as_well(gateway, mail):
    good = fresh()
    token = link(gateway, mail, "okafor@meridian.example", username="OKAFOR")
    assert gateway.api().post(f"/v1/password-resets/{token}", {"new_password": good}).status == 204
    assert gateway.api().login("okafor", good).status == 200


def test_one_change_makes_all_links_void(gateway, mail):
    good, better = fresh(), fresh()
    time.sleep(1.1)  # the directory tells changes of a password apart by the second
    first, second = link(gateway, mail, "ito@meridian.example"), link(gateway, mail, "ito@meridian.example")
    assert gateway.api().post(f"/v1/password-resets/{second}", {"new_password": good}).status == 204
    assert gateway.api().post(f"/v1/password-resets/{first}", {"new_password": better}).status == 404
    third = link(gateway, mail, "ito@meridian.example")
    time.sleep(1.1)
    ito = gateway.api()
    assert ito.login("ito", good).status == 200 and change(ito, better, old=good).status == 200
    assert gateway.api().post(f"/v1/password-resets/{third}", {"new_password": good + " again"}).status == 404


def test_everybody_who_asks_is_answered_alike(world, gateway, mail):
    world.set_state(world.person("silva"), "disabled")
    answers = [gateway.api().post("/v1/password-resets", body) for body in (
        {"mail": "nobody@nowhere.example"}, {"mail": "novak@harbor.example"}, {"username": "nobody"}, {"username": "novak"},
        {"username": "silva"}, {"mail": "silva@dormant.example"}, {"username": "patel"}, {"username": "*)(uid=*"}, {"mail": "*"})]
    world.set_state(world.person("silva"), "active")
    assert {(a.status, a.body) for a in answers} == {(202, answers[0].body)}
    assert mail.wait("patel@patel-md.example", says="NPPES")
    assert [letter for letter in mail.to("silva@dormant.example") if "/#/" in letter.text] == []
    for body in ({}, {"mail": "a@b.example", "username": "chen"}, {"mail": 1}, {"user": "chen"}):
        assert gateway.api().post("/v1/password-resets", body).status == 400, body


def test_an_account_is_not_flooded_by_whatever_name(world, mail):
    with Gateway(world, {"sign_in.refusal_ms": 4, "account.mails_per_account": 2}, mail=mail) as g:
        count = len(mail.to("novak@harbor.example"))
        for body in ({"mail": "novak@harbor.example"}, {"username": "novak"}, {"mail": "NOVAK@harbor.example"}, {"username": "Novak"}):
            assert g.api().post("/v1/password-resets", body).status == 202
        assert g.api().post("/v1/password-resets", {"username": "ito"}).status == 202
        mail.wait("ito@meridian.example", len(mail.to("ito@meridian.example")))
        time.sleep(0.5)
        assert len(mail.to("novak@harbor.example")) == count + 2


def test_a_link_is_over_after_its_time(world, gateway, mail):
    good = fresh()
    token = link(gateway, mail, "novak@harbor.example")
    import hashlib
    dn = f"scfGrantId={hashlib.sha256(token.encode()).hexdigest()},ou=grants,{world.suffix}"
    entry = world.admin().search_s(dn, ldap.SCOPE_BASE)[0][1]
    assert token.encode() not in b"".join(b"".join(values) for values in entry.values())
    world.set_values(dn, "scfExpires", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() - 1)))
    assert gateway.api().post(f"/v1/password-resets/{token}", {"new_password": good}).status == 404


def test_of_many_who_use_a_link_at_once_one_does(gateway, mail):
    for round_ in range(5):
        token = link(gateway, mail, "silva@dormant.example")
        new = [f"{n} herons and {round_} mittens at dusk" for n in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda p: gateway.api().post(f"/v1/password-resets/{token}", {"new_password": p}).status, new))
        assert sorted(answers) == [204] + [404] * 7, answers
        assert gateway.api().login("silva", new[answers.index(204)]).status == 200


def test_who_changes_a_password_at_the_moment_that_its_owner_resets_it_does_not_stay(world, gateway, mail):
    """Times of the directory are seconds: both changes and the thief's session fall into one."""
    both = 0
    with Gateway(world, {"sign_in.refusal_ms": 1}, mail=mail) as other:
        for n in range(60):
            world.admin().modify_s(world.person("ito"), [(ldap.MOD_REPLACE, "userPassword", [PASSWORD.encode()]), (ldap.MOD_REPLACE, "pwdReset", None)])
            token = link(gateway, mail, "ito@meridian.example")
            thief, owner, mine = gateway.api(), other.api(), fresh()
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                changed = pool.submit(thief.login, "ito", PASSWORD, new_password=fresh())
                time.sleep(0.001 * (n % 16))
                reset = pool.submit(owner.post, f"/v1/password-resets/{token}", {"new_password": mine})
            if reset.result().status == 204:
                assert thief.token is None or thief.get("/v1/me").status == 401, n
                assert gateway.api().login("ito", mine).status == 200, "and the owner comes in"
                both += changed.result().status == 200
    assert both > 0, "they did not meet"


# ---- with a second factor ----

def test_with_a_second_factor_eight_characters_are_enough_and_the_code_is_needed(world, gateway, mail):
    api, secret, recovery = enrolled(gateway, "novak", source="127.0.0.72")
    short = "kx7 Pq!z"
    assert change(api, short).status == 401, "no code"
    answer = change(api, short, otp=next_code(world, "novak", secret))
    assert answer.status == 200, answer
    api.token = answer.json["token"]
    assert "must have at least 8 characters" in rules(change(api, "kx7 Pq!", old=short, otp=next_code(world, "novak", secret)))
    # A link gives a new password, and not the second factor with it.
    token = link(gateway, mail, "novak@harbor.example")
    assert gateway.api().post(f"/v1/password-resets/{token}", {"new_password": "ox mitts"}).status == 204
    other = gateway.api(source="127.0.0.73")
    assert other.login("novak", "ox mitts").status == 401
    assert other.login("novak", "ox mitts", otp=next_code(world, "novak", secret)).status == 200
    # While signing in, and by a recovery code.
    assert other.login("novak", "ox mitts", otp=recovery[0], new_password="ox bells").status == 200
    assert other.delete("/v1/me/totp").status == 204
    assert rules(change(other, "ox boots", old="ox bells")) == {"must have at least 15 characters"}
