"""The help desk: its queue, the accounts that it looks after, and what people are told of it by mail."""
import json
import shutil
import subprocess
import threading
import time

import ldap
import pytest

from gateway import Gateway
from race import until
from totp import code_of

WHY = {"reason": "forgot where the key is", "ticket": "T-1", "identified_by": "called back at the clinic"}
PDF = b"%PDF-1.4\n1 0 obj << >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
ACTS = ("unlock", "reset", "disable", "enable", "remove", "remove-second-factor")


@pytest.fixture(scope="module")
def gateway(world, mail):
    with Gateway(world, {"http.public_url": "https://scf.example", "sign_in.refusal_ms": 10}, mail=mail) as g:
        yield g


@pytest.fixture(scope="module")
def desk1(gateway):
    return gateway.signed_in("desk1")


@pytest.fixture(scope="module")
def desk2(gateway):
    return gateway.signed_in("desk2")


def account(uid, act=None):
    return f"/v1/helpdesk/accounts/{uid}" + (f"/{act}" if act else "")


def act(desk, uid, name, grounds=None, **more):
    return desk.post(account(uid, name), WHY if grounds is None else grounds, **more)


def attributes(world, dn, *names):
    entry = world.admin().search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", list(names) or ["*", "+"])[0][1]
    return {name: [v.decode(errors="replace") for v in values] for name, values in entry.items()}


def person(world, uid):
    return f"uid={uid},ou=people,{world.suffix}"


_made = iter(range(1000))


@pytest.fixture()
def somebody(world):
    """An account of its own, that signs in with the sample password."""
    uid = f"somebody{next(_made)}"
    sample = attributes(world, person(world, "outsider"), "userPassword")
    world.admin().add_s(person(world, uid), [
        ("objectClass", [b"inetOrgPerson", b"scfPerson"]), ("cn", b"Some Body"), ("sn", b"Body"), ("mail", f"{uid}@people.example".encode()),
        ("scfState", b"active"), ("scfRealm", b"local"), ("userPassword", sample["userPassword"][0].encode())])
    return uid


def when_known(api, uid, seconds=5):
    end = time.monotonic() + seconds
    while True:
        answer = api.get(account(uid))
        if answer.status == 200:
            return answer
        assert time.monotonic() < end, answer
        time.sleep(0.01)


# ---- an account ----


def test_the_desk_sees_an_account_and_no_secret_of_it(gateway, desk1):
    answer = desk1.get(account("chen"))
    assert answer.status == 200 and answer.headers["ETag"] and answer.revision
    seen = answer.json
    assert (seen["username"], seen["state"], seen["realm"], seen["locked"], seen["failures"]) == ("chen", "active", "local", False, 0)
    assert seen["mail"] and seen["name"] and seen["roles"] == [] and seen["second_factor"] is False
    assert [(t["provider"], t["employer"], t["state"]) for t in seen["associations"]] == [("lakeside", "lakeside", "approved")]
    text = json.dumps(seen).lower()
    assert "ssha" not in text and "argon" not in text and "o2024" not in text and "tin" not in seen
    rivera = desk1.get(account("rivera")).json
    assert rivera["authorized_official_of"] == ["lakeside"]
    assert desk1.get(account("desk2")).json["roles"] == ["helpdesk"]
    assert desk1.get(account("patel")).json["realm"] == "nppes"
    line = [entry for entry in gateway.audit_lines() if entry.get("action") == "queue.read" and entry.get("resource") == "chen"][-1]
    assert (line["actor"], line["outcome"]) == ("desk1", "permit")


def test_an_account_is_told_whole_while_its_associations_come_and_go(world, desk1, somebody):
    names, over = [f"{somebody}-{i}" for i in range(40)], threading.Event()
    admin = world.admin()
    for name in names:
        admin.add_s(world.association(name), [
            ("objectClass", [b"scfAssociation"]), ("scfAssociationId", name.encode()), ("scfState", b"ended"),
            ("scfUser", person(world, somebody).encode()), ("scfEmployer", world.organization("lakeside").encode()),
            ("scfProvider", world.organization("lakeside").encode())])

    def come_and_go():
        handle = world.admin()
        while not over.is_set():
            for state in (b"approved", b"ended"):
                for name in names:
                    handle.modify(world.association(name), [(ldap.MOD_REPLACE, "scfState", [state])])
                handle.search_s(world.suffix, ldap.SCOPE_BASE)

    changing = threading.Thread(target=come_and_go)
    changing.start()
    try:
        when_known(desk1, somebody)
        for _ in range(1500):
            seen = desk1.get(account(somebody)).json["associations"]
            assert not [t for t in seen if t["id"] not in names or t["provider"] != "lakeside"]
    finally:
        over.set()
        changing.join()


def test_nobody_else_sees_or_changes_an_account(gateway, desk1):
    for user in ("chen", "rivera", "audit1", "proc1", "outsider", "patel"):
        api = gateway.signed_in(user)
        there, nowhere = api.get(account("okafor")), api.get(account("nobody-here"))
        assert (there.status, there.reason) == (403, "not_help_desk")
        assert (nowhere.status, nowhere.reason) == (403, "not_help_desk"), "it tells who has an account"
        for name in ACTS:
            for uid in ("okafor", "desk1", "audit1", "nobody-here"):
                refused = act(api, uid, name)
                assert (refused.status, refused.reason) == (403, "not_help_desk"), (user, name, uid, refused)
        assert api.get("/v1/helpdesk/queue").reason == "not_help_desk"
    api = gateway.api()
    assert api.get(account("okafor")).status == 401 and act(api, "okafor", "unlock").status == 401
    assert desk1.get(account("nobody-here")).status == 404
    assert act(desk1, "nobody-here", "unlock").status == 404


@pytest.mark.parametrize("name", ACTS)
def test_every_act_needs_grounds_and_how_the_caller_was_identified(desk1, name):
    for grounds, names in (({}, "identified_by"), ({"identified_by": "x"}, "'reason' or 'ticket'"), ({"reason": "x"}, "'identified_by'"),
                           ({"ticket": "x"}, "'identified_by'"), ({"reason": "", "identified_by": "x"}, "reason"),
                           ({"reason": 7, "identified_by": "x"}, "reason"), ({"reason": " \t\n", "identified_by": "x"}, "'reason'"),
                           ({"ticket": " ", "identified_by": "x"}, "'ticket'"), ({**WHY, "identified_by": "  "}, "'identified_by'"), ({**WHY, "password": "x"}, "password"),
                           ({**WHY, "reason": "x" * 513}, "reason"), ({**WHY, "ticket": "x" * 65}, "ticket"),
                           ({**WHY, "identified_by": "x" * 257}, "identified_by"), ({**WHY, "reason": "a\0b"}, "not JSON")):
        answer = act(desk1, "outsider", name, grounds)
        assert answer.status == 400 and names in answer.json["detail"], (grounds, answer)
    assert desk1.post(account("outsider", name), "{").status in (400, 415)
    assert act(desk1, "outsider", name, {"reason": "\u00e9" * 256, "identified_by": "x"}, headers={"If-Match": '"20200101000000.000000Z#000000#000#000000"'}).status in (409, 412)
    assert desk1.post(account("outsider", name) + "?x=1", WHY).status == 400


@pytest.mark.parametrize("name", ACTS)
def test_an_agent_does_not_act_on_himself_and_may_on_a_colleague(gateway, world, desk1, name):
    """Attack class 19. On himself never; on another agent with grounds, as on anybody: somebody must be able to."""
    before = attributes(world, person(world, "desk1"))
    answer = act(desk1, "desk1", name)
    assert (answer.status, answer.reason) == (403, "conflict_of_interest")
    assert attributes(world, person(world, "desk1")) == before
    assert act(desk1, "DESK1", name).status in (403, 404)
    if name == "unlock":
        assert act(desk1, "desk2", name).status == 200


def test_the_desk_has_no_way_to_the_gateways_identities_and_roles(world, desk1):
    for name in ("gateway", "decoy", "admin", "cn=gateway", "desk2,ou=people", "..", "%2e%2e", "desk2%2Cou%3Dpeople", "*", "helpdesk"):
        for answer in (desk1.get(account(name)), act(desk1, name, "disable"), act(desk1, name, "unlock")):
            assert answer.status in (400, 404), (name, answer)
    assert not any("desk1" in member and "uid=desk1" not in member for member in attributes(
        world, f"cn=helpdesk,ou=roles,{world.suffix}", "member")["member"])


# ---- locked and unlocked ----


def lock(gateway, uid, world):
    for n in range(12):
        gateway.api(source=f"127.0.1.{n + 1}").login(uid, f"wrong wrong {n}")
        if "pwdAccountLockedTime" in attributes(world, person(world, uid), "pwdAccountLockedTime"):
            return
    raise AssertionError("not locked")


def test_unlocking_lets_in_again_whoever_guessed_before(gateway, world, mail, desk1, somebody):
    when_known(desk1, somebody)
    lock(gateway, somebody, world)
    assert gateway.api(source="127.0.2.1").login(somebody).status == 401
    seen = desk1.get(account(somebody)).json
    assert seen["locked"] is True and seen["failures"] >= 5 and seen["last_failure"]
    answer = act(desk1, somebody, "unlock")
    assert answer.status == 200, answer
    assert (answer.json["locked"], answer.json["failures"]) == (False, 0)
    assert (answer.json["decided_by"], answer.json["ticket"], answer.json["identified_by"]) == ("desk1", "T-1", WHY["identified_by"])
    left = attributes(world, person(world, somebody))
    assert "pwdFailureTime" not in left and "pwdAccountLockedTime" not in left
    assert gateway.api(source="127.0.1.1").login(somebody).status == 200, "the book still holds his failures"
    assert mail.wait(f"{somebody}@people.example", 2, says="Your account was unlocked")
    line = [entry for entry in gateway.audit_lines() if entry.get("event") == "account.unlock" and entry["resource"] == somebody][0]
    assert line["actor"] == "desk1"
    assert "T-1" in line["detail"] and "called back at the clinic" in line["detail"] and "forgot" in line["detail"]


def test_unlocking_what_is_not_locked_does_no_harm(desk1, somebody):
    when_known(desk1, somebody)
    assert act(desk1, somebody, "unlock").status == 200
    assert act(desk1, "patel", "unlock").reason == "managed_elsewhere"


# ---- a reset ----


def test_a_reset_mails_a_link_that_only_the_owner_can_use(gateway, world, mail, desk1, somebody):
    when_known(desk1, somebody)
    own = gateway.signed_in(somebody)
    lock(gateway, somebody, world)
    answer = act(desk1, somebody, "reset")
    assert answer.status == 200, answer
    assert own.get("/v1/me").status == 401, "his sessions go on"
    letter = [one for one in (mail.wait(f"{somebody}@people.example", 2), *mail.to(f"{somebody}@people.example"))
              if "https://scf.example/" in one.text][0]
    token = letter.token
    everything = answer.body.decode() + json.dumps(gateway.audit_lines()) + gateway.log.read_text()
    assert token not in everything
    assert (answer.json["locked"], answer.json["failures"]) == (False, 0)
    done = gateway.api().post(f"/v1/password-resets/{token}", {"new_password": "another long passphrase for tests"}, token=None)
    assert done.status in (200, 204), done
    assert gateway.api().login(somebody, "another long passphrase for tests").status == 200
    assert gateway.api(source="127.0.3.3").login(somebody).status == 401


def test_a_reset_that_cannot_be_mailed_changes_nothing(world, gateway, desk1, somebody):
    when_known(desk1, somebody)
    world.admin().modify_s(person(world, somebody), [(ldap.MOD_DELETE, "mail", None)])
    own = gateway.signed_in(somebody)
    answer = act(desk1, somebody, "reset")
    assert answer.status in (400, 422) and "mail" in answer.json["detail"]
    assert own.get("/v1/me").status == 200
    assert act(desk1, "patel", "reset").reason == "managed_elsewhere"
    with Gateway(world) as without:
        answer = act(without.signed_in("desk2"), "outsider", "reset")
        assert answer.status == 503
        assert "scfDecidedBy" not in attributes(world, person(world, "outsider"))


# ---- disabled, enabled, removed ----


def test_disabling_ends_every_session_and_enabling_begins_none(gateway, world, mail, desk1, desk2, somebody):
    when_known(desk1, somebody)
    own = gateway.signed_in(somebody)
    assert own.get("/v1/me").status == 200
    answer = act(desk1, somebody, "disable")
    assert (answer.status, answer.json["state"], answer.json["sessions"]) == (200, "disabled", 0)
    gone = own.get("/v1/me")
    assert (gone.status, gone.reason) == (401, "account_not_active")
    assert gateway.api().login(somebody).status == 401
    again = act(desk2, somebody, "disable")
    assert (again.status, again.reason) == (409, "already_decided")
    answer = act(desk2, somebody, "enable", {"ticket": "T-2", "identified_by": "in person"})
    assert (answer.status, answer.json["state"], answer.json["decided_by"]) == (200, "active", "desk2")
    assert "reason" not in answer.json, "of the act before"
    assert answer.json["last_sign_in"], "the days without a sign-in count from now on"
    assert (own.get("/v1/me").status, own.get("/v1/me").reason) == (401, "session_expired")
    time.sleep(1.1)
    assert gateway.api().login(somebody).status == 200
    assert act(desk1, somebody, "enable").reason == "already_decided"
    mail.wait(f"{somebody}@people.example", 2)
    subjects = [letter.subject for letter in mail.to(f"{somebody}@people.example")]
    assert sorted(subjects) == ["Your account was disabled", "Your account was enabled"]
    assert not any("T-1" in letter.text or "forgot" in letter.text for letter in mail.to(f"{somebody}@people.example"))
    events = [line["event"] for line in gateway.audit_lines() if line.get("resource") == somebody and line.get("event", "").startswith("account.")]
    assert events[0] == "account.disable" and events[-1] == "account.enable"


def test_what_was_removed_keeps_its_history_and_its_name(gateway, world, desk1, desk2, somebody):
    when_known(desk1, somebody)
    early = act(desk1, somebody, "remove")
    assert (early.status, early.reason) == (409, "already_decided"), "disable comes first"
    act(desk1, somebody, "disable")
    answer = act(desk2, somebody, "remove")
    assert (answer.status, answer.json["state"]) == (200, "removed")
    for name in ACTS:
        assert (act(desk1, somebody, name).status, act(desk1, somebody, name).reason) == (409, "already_decided"), name
    assert gateway.api().login(somebody).status == 401
    assert attributes(world, person(world, somebody), "scfState", "cn", "mail")["scfState"] == ["removed"]
    assert desk1.get(account(somebody)).json["state"] == "removed"


def test_a_stale_page_changes_nothing(desk1, desk2, somebody):
    tag = when_known(desk1, somebody).headers["ETag"]
    assert act(desk2, somebody, "unlock").status == 200
    late = act(desk1, somebody, "disable", headers={"If-Match": tag})
    assert late.status == 412 and desk1.get(account(somebody)).json["state"] == "active"
    assert act(desk1, somebody, "disable", headers={"If-Match": "x"}).status == 400
    assert act(desk1, somebody, "disable", headers={"If-Match": desk1.get(account(somebody)).headers["ETag"]}).status == 200


def test_of_two_who_disable_at_once_one_does(gateway, somebody, desk1, desk2):
    when_known(desk1, somebody)
    for round_ in range(15):
        name = ("disable", "enable")[round_ % 2]
        answers = []
        threads = [threading.Thread(target=lambda d=d: answers.append(act(d, somebody, name))) for d in (desk1, desk2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(a.status for a in answers) == [200, 409], answers
        assert [a.reason for a in answers if a.status == 409] == ["already_decided"]


def test_a_second_factor_is_taken_away_only_by_the_desk_with_grounds(gateway, world, mail, desk1, somebody):
    when_known(desk1, somebody)
    none = act(desk1, somebody, "remove-second-factor")
    assert (none.status, none.json["second_factor"]) == (200, False)
    own = gateway.signed_in(somebody)
    secret = own.post("/v1/me/totp")
    assert secret.status in (200, 201), secret
    confirmed = own.post("/v1/me/totp/confirm", {"code": code_of(secret.json["secret"])})
    assert confirmed.status == 200, confirmed
    assert desk1.get(account(somebody)).json["second_factor"] is True
    answer = act(desk1, somebody, "remove-second-factor")
    assert (answer.status, answer.json["second_factor"]) == (200, False)
    assert gateway.api().login(somebody).status == 200
    assert mail.wait(f"{somebody}@people.example", 2, says="The second factor of your account was removed")


# ---- cases ----


def test_one_asks_for_help_once_and_is_told_when_it_is_closed(gateway, mail, desk1, desk2, somebody):
    when_known(desk1, somebody)
    own = gateway.signed_in(somebody)
    for body, names in (({}, "note"), ({"note": ""}, "note"), ({"note": 7}, "note"), ({"note": " \n\t "}, "'note' says nothing"),
                        ({"note": "x", "user": "chen"}, "user"), ({"note": "x" * 513}, "note")):
        assert names in own.post("/v1/cases", body).json["detail"]
    opened = own.post("/v1/cases", {"note": "My name has changed, <b>please</b>\nhelp"})
    assert opened.status == 201, opened
    case = opened.headers["Location"]
    assert (opened.json["kind"], opened.json["state"], opened.json["user"]) == ("account", "submitted", somebody)
    again = own.post("/v1/cases", {"note": "hello?"})
    assert (again.status, again.json["id"]) == (200, opened.json["id"]) and "changed" in again.json["note"]
    assert mail.wait("eus@mail.example").text.startswith(f"{somebody} asks for help")
    assert "changed" not in mail.wait("eus@mail.example").text
    assert own.get(case).status == 200 and desk1.get(case).status == 200
    for other in ("chen", "rivera", "proc1"):
        seen, nothing = gateway.signed_in(other).get(case), gateway.signed_in(other).get("/v1/cases/h-" + "0" * 24)
        assert seen.status == nothing.status == 404
        refused = gateway.signed_in(other).post(case + "/close", WHY)
        assert (refused.status, refused.reason) == (404, "not_found")
    refused = own.post(case + "/close", WHY)
    assert (refused.status, refused.reason) == (403, "not_help_desk")  # he sees it, and does not decide it
    assert desk1.post(case + "/close", {}).status == 400
    closed = desk1.post(case + "/close", {"reason": "The name is corrected.", "ticket": "T-9"})
    assert (closed.status, closed.json["state"], closed.json["decided_by"], closed.json["ticket"]) == (200, "executed", "desk1", "T-9")
    late = desk2.post(case + "/close", WHY)
    assert (late.status, late.reason) == (409, "already_decided")
    letter = mail.wait(f"{somebody}@people.example")
    assert letter.subject == "Your request for help was closed" and "The name is corrected." in letter.text and "T-9" not in letter.text
    told = own.get(case).json
    assert told["reason"] == "The name is corrected." and "ticket" not in told and "identified_by" not in told
    second = own.post("/v1/cases", {"note": "once more"})
    assert second.status == 201 and second.json["id"] != opened.json["id"]
    assert desk2.post(second.headers["Location"] + "/close", WHY).status == 200


def test_of_two_cases_at_once_one_is_made(gateway, desk1, somebody):
    when_known(desk1, somebody)
    apis = [gateway.signed_in(somebody) for _ in range(2)]
    for _ in range(10):
        answers = []
        threads = [threading.Thread(target=lambda api=api: answers.append(api.post("/v1/cases", {"note": "x"}))) for api in apis]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(a.status for a in answers) == [200, 201], answers
        assert len({a.json["id"] for a in answers}) == 1
        assert desk1.post(answers[0].headers["Location"] + "/close", WHY).status == 200


def test_an_agent_does_not_close_his_own_case(gateway, desk1, desk2):
    case = desk1.post("/v1/cases", {"note": "my own"}).headers["Location"]
    refused = desk1.post(case + "/close", WHY)
    assert (refused.status, refused.reason) == (403, "conflict_of_interest")
    assert desk2.post(case + "/close", WHY).status == 200


# ---- the queue ----


def queue(desk, **parameters):
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    answer = desk.get("/v1/helpdesk/queue" + ("?" + query if query else ""))
    assert answer.status == 200, answer
    return answer.json


def test_what_waits_is_in_the_queue_once_newest_first(gateway, world, desk1, desk2):
    items = queue(desk1)["items"]
    kinds = {item["kind"] for item in items}
    assert {"claim", "no_official"} <= kinds
    claim = [item for item in items if item["kind"] == "claim"][0]
    assert (claim["provider"], claim["user"]) == ("northgate", "quinn")
    lonely = [item["id"] for item in items if item["kind"] == "no_official"]
    assert "northgate" in lonely and "lakeside" not in lonely and "meridian" not in lonely
    revisions = [item["revision"] for item in items]
    assert revisions == sorted(revisions, reverse=True)
    case = gateway.signed_in("ito").post("/v1/cases", {"note": "help me"})
    first = queue(desk1)["items"][0]
    assert (first["kind"], first["id"], first["user"], first["note"]) == ("account", case.json["id"], "ito", "help me")
    assert queue(desk1, kind="account")["items"] == [first]
    assert {item["kind"] for item in queue(desk1, kind="claim")["items"]} == {"claim"}
    assert all(item["provider"] == "northgate" for item in queue(desk1, provider="northgate")["items"])
    assert {item["kind"] for item in queue(desk1, provider="northgate")["items"]} == {"claim", "no_official"}
    assert queue(desk1, provider="nowhere")["items"] == []
    assert desk2.post(f"/v1/cases/{case.json['id']}/close", WHY).status == 200
    assert queue(desk1, kind="account")["items"] == []


def test_the_queue_comes_in_pages_without_gaps(gateway, desk1, desk2):
    cases = [gateway.signed_in(user).post("/v1/cases", {"note": user}).headers["Location"] for user in ("chen", "okafor", "novak")]
    whole = [(item["kind"], item["id"]) for item in queue(desk1)["items"]]
    paged, cursor = [], None
    for _ in range(len(whole) + 1):
        page = queue(desk1, limit=2, **({"cursor": cursor} if cursor else {}))
        paged += [(item["kind"], item["id"]) for item in page["items"]]
        cursor = page.get("next")
        if cursor is None:
            break
    assert paged == whole and len(set(whole)) == len(whole)
    for case in cases:
        assert desk2.post(case + "/close", WHY).status == 200
    for query in ("kind=password", "limit=0", "limit=201", "limit=x", "cursor=x", "state=submitted", "kind=claim&kind=claim"):
        assert desk1.get("/v1/helpdesk/queue?" + query).status == 400, query


def test_what_an_official_asks_for_himself_waits_for_the_desk(gateway, mail, desk1, somebody):
    """Nobody decides his own request: his goes to the help desk, which must come to know of it."""
    rivera, asked = gateway.signed_in("rivera"), {"provider": "lakeside", "employer": "meridian"}
    made = rivera.post("/v1/associations", asked).json
    assert rivera.post(f"/v1/associations/{made['id']}/approve", {}).reason == "own_request"
    item, = queue(desk1, kind="association")["items"]
    assert (item["id"], item["user"], item["provider"], item["employer"]) == (made["id"], "rivera", "lakeside", "meridian")
    assert item["since"] == made["requested_at"] and item in queue(desk1)["items"]
    assert desk1.post(f"/v1/associations/{made['id']}/reject", WHY).status == 200
    assert queue(desk1, kind="association")["items"] == []
    assert "rejected by External User Services." in mail.wait("rivera@lakeside.example", says="Your request was rejected").text


def test_who_asked_is_told_who_has_decided(gateway, mail, desk1, somebody):
    when_known(desk1, somebody)
    asked = gateway.signed_in(somebody).post("/v1/associations", {"provider": "lakeside", "employer": "meridian"})
    where = f"/v1/associations/{asked.json['id']}"
    assert gateway.signed_in("rivera").post(where + "/approve", {}).status == 200
    letter = mail.wait(f"{somebody}@people.example", says="Your request was approved")
    assert "approved by its Authorized Official." in letter.text
    assert desk1.post(where + "/end", WHY).status == 200
    letter = mail.wait(f"{somebody}@people.example", says="Your request was ended")
    assert "ended by External User Services." in letter.text


def test_what_nobody_may_decide_on_now_is_not_in_the_queue(gateway, world, desk1):
    """Of a provider that is not active no form and no request is decided on, of a closed one no revocation either."""
    rivera, pair = gateway.signed_in("rivera"), {"provider": "lakeside", "employer": "meridian"}
    lakeside = world.organization("lakeside")
    form = rivera.post("/v1/consents", pair).json
    assert rivera.post(f"/v1/consents/{form['id']}/sign", {"text_sha256": form["text_sha256"]}).status == 200
    tie = rivera.post("/v1/associations", pair).json
    case = rivera.post("/v1/organizations/lakeside/employers/harbor/revocation-requests", {"reason": "we part"}).json
    claim = gateway.signed_in("ito").post("/v1/organizations/lakeside/claims?document_kind=cp575", PDF,
                                          headers={"Content-Type": "application/pdf"}).json

    def waiting():
        return {item["id"] for item in queue(desk1, provider="lakeside")["items"]}

    def in_state(state, *those):
        world.set_state(lakeside, state)
        until(lambda: desk1.get("/v1/organizations/lakeside").json["state"] == state)
        until(lambda: waiting() == {one["id"] for one in those}, what=waiting())

    try:
        in_state("active", form, tie, case, claim)
        in_state("suspended", case, claim)
        assert desk1.post(f"/v1/consents/{form['id']}/reject", WHY).reason == "organization_not_active"
        in_state("closed", claim)
        assert desk1.post(f"/v1/revocation-requests/{case['id']}/decline", WHY).reason == "organization_not_active"
        assert desk1.get(f"/v1/consents/{form['id']}").json["state"] == "signed", "it is to be seen all the same"
        in_state("active", form, tie, case, claim)
    finally:
        world.set_state(lakeside, "active")
    for path in (f"consents/{form['id']}/reject", f"associations/{tie['id']}/reject",
                 f"revocation-requests/{case['id']}/decline", f"claims/{claim['id']}/reject"):
        until(lambda: desk1.post("/v1/" + path, WHY).status == 200, what=path)
    assert waiting() == set()


def test_a_new_employer_waits_for_verification_and_a_provider_whose_official_was_removed_for_another(gateway, world, desk1, desk2, somebody):
    when_known(desk1, somebody)
    admin, at = world.admin(), f"ou=organizations,{world.suffix}"
    admin.add_s(f"scfOrgId=newcomer,{at}", [("objectClass", [b"scfOrganization", b"scfEmployerRole"]), ("scfOrgId", b"newcomer"),
                ("o", b"Newcomer LLC"), ("scfState", b"registered"), ("scfRequestedBy", person(world, somebody).encode())])
    admin.add_s(f"scfOrgId=orphan,{at}", [("objectClass", [b"scfOrganization", b"scfProviderRole"]), ("scfOrgId", b"orphan"), ("o", b"Orphan"),
                ("scfState", b"active"), ("scfProviderKind", b"organization"), ("scfAuthorizedOfficial", person(world, somebody).encode())])
    end = time.monotonic() + 5
    while not (found := [i for i in queue(desk1, kind="verification")["items"] if i["id"] == "newcomer"]):
        assert time.monotonic() < end
    assert (found[0]["name"], found[0]["user"]) == ("Newcomer LLC", somebody)
    assert "orphan" not in [i["id"] for i in queue(desk1, kind="no_official")["items"]]
    act(desk1, somebody, "disable")
    assert act(desk2, somebody, "remove").status == 200
    assert "orphan" in [i["id"] for i in queue(desk1, kind="no_official")["items"]]
    admin.delete_s(f"scfOrgId=newcomer,{at}")
    admin.delete_s(f"scfOrgId=orphan,{at}")


# ---- the second wall ----


def test_an_agent_who_lost_his_role_a_moment_ago_is_stopped_by_the_directory(gateway, world, somebody, desk1):
    """What the gateway reads and writes for him it does in his name: the directory asks by itself. Whoever of the two knows it
    first says no; the directory's no is that it shows nothing."""
    when_known(desk1, somebody)
    role = f"cn=helpdesk,ou=roles,{world.suffix}"
    member = person(world, "desk2").encode()
    desk2 = gateway.signed_in("desk2")
    world.admin().modify_s(role, [(ldap.MOD_DELETE, "member", member)])
    try:
        refused = act(desk2, somebody, "disable")
        assert (refused.status, refused.reason) in ((403, "not_help_desk"), (404, "not_found")), refused
        assert desk1.get(account(somebody)).json["state"] == "active"
    finally:
        world.admin().modify_s(role, [(ldap.MOD_ADD, "member", member)])


def test_mail_that_cannot_be_sent_keeps_nothing_from_happening(gateway, world, mail, desk1, somebody):
    when_known(desk1, somebody)
    mail.stop()
    try:
        assert act(desk1, somebody, "disable").status == 200
        assert act(desk1, somebody, "enable").status == 200
    finally:
        mail.start()
    mail.wait(f"{somebody}@people.example", 2)


def test_operators_see_how_mail_goes(gateway):
    end = time.monotonic() + 10
    while True:
        status, text = gateway.operations("/metrics")
        health = json.loads(gateway.operations("/health/ready")[1])["checks"]["mail"]["status"]
        if "\nscfgate_mail_waiting 0\n" in text and health == "pass":
            break
        assert time.monotonic() < end, (health, text)
        time.sleep(0.05)
    assert status == 200 and "scfgate_mail_sent_total" in text and "scfgate_mail_failed_total 0" in text


def test_n_says_what_is_wrong_with_mail(world, mail, gateway, tmp_path):
    texts = tmp_path / "texts"
    shutil.copytree(gateway.settings["mail.templates"], texts)
    for change, says in (({"mail.url": "http://mail.example"}, "mail.url"), ({"mail.from": None}, "mail.from"),
                         ({"mail.from": "us"}, "mail.from"), ({"mail.help_desk": "the desk"}, "mail.help_desk"),
                         ({"mail.plain": True, "mail.url": "smtp://mail.example"}, "mail.plain"),
                         ({"mail.user": None}, "mail.password_file"), ({"mail.retry_seconds": 9}, "mail.retry_seconds"),
                         ({"mail.templates": tmp_path / "nothing"}, "nothing"), ({"mail.templates": texts}, None)):
        g = Gateway(world, {"http.public_url": "https://scf.example", **change}, folder=tmp_path / "gw", mail=mail, start=False)
        done = g.run("-n", "-c", g.file)
        assert (done.returncode, says is None or says in done.stderr) == (0 if says is None else 1, True), (change, done)
    (texts / "account-locked.txt").write_text("Subject: x\n\n{{tin}}\n")
    done = g.run("-n", "-c", g.file)
    assert done.returncode == 1 and "account-locked.txt" in done.stderr and "{{tin}}" in done.stderr
    with open(g.log, "ab") as out:
        assert subprocess.run([g.program, "-d", "-c", g.file], stdout=out, stderr=out, timeout=30).returncode == 1


def test_of_the_grounds_people_are_told_the_reason_of_what_they_asked_for_and_nothing_of_their_account(gateway, world, desk1, somebody):
    when_known(desk1, somebody)
    why = {"reason": "the papers differ", "ticket": "EUS-90210", "identified_by": "mother's maiden name"}
    for name in ("unlock", "disable", "enable"):
        assert act(desk1, somebody, name, why).status == 200
    own, rivera = gateway.api(), gateway.signed_in("rivera")
    assert own.login(somebody).status == 200

    def made(api, path, body, **more):
        answer = api.post(path, body, **more)
        assert answer.status in (200, 201), answer
        return answer.json

    tie = made(own, "/v1/associations", {"provider": "lakeside", "employer": "lakeside"})["id"]
    made(rivera, f"/v1/associations/{tie}/approve", {})
    made(desk1, f"/v1/associations/{tie}/end", why)
    case = made(own, "/v1/cases", {"note": "help"})["id"]
    made(desk1, f"/v1/cases/{case}/close", why)
    pdf = b"%PDF-1.4\n1 0 obj << >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
    claim = made(own, "/v1/organizations/northgate/claims?document_kind=cp575", pdf,
                 headers={"Content-Type": "application/pdf"})["id"]
    made(desk1, f"/v1/claims/{claim}/reject", {"reason": why["reason"], "ticket": why["ticket"]})
    company = made(own, "/v1/organizations", {"name": "Somebody Billing", "tin": "36-1112223", "tin_kind": "ein",
                                              "roles": ["employer"]})["id"]
    made(desk1, f"/v1/organizations/{company}/verify", {"reason": why["reason"], "ticket": why["ticket"]})
    form = made(rivera, "/v1/consents", {"provider": "lakeside", "employer": "harbor"})
    made(rivera, f"/v1/consents/{form['id']}/sign", {"text_sha256": form["text_sha256"]})
    made(desk1, f"/v1/consents/{form['id']}/reject", why)
    for api, path, reason in (
            (own, "/v1/me", False), (own, "/v1/me/profile", False), (own, "/v1/me/sessions", False), (own, "/v1/me/totp", False),
            (own, f"/v1/associations/{tie}", True), (own, "/v1/associations", True), (rivera, f"/v1/associations/{tie}", True),
            (own, f"/v1/cases/{case}", True), (own, f"/v1/claims/{claim}", True), (own, "/v1/claims", True),
            (own, f"/v1/organizations/{company}", True), (own, "/v1/organizations", True),
            (rivera, f"/v1/consents/{form['id']}", True), (rivera, "/v1/consents?provider=lakeside", True)):
        answer = api.get(path)
        assert answer.status == 200, (path, answer)
        body = answer.body.decode()
        assert why["ticket"] not in body and why["identified_by"] not in body, path
        assert (why["reason"] in body) == reason, (path, body)
    seen = desk1.get(f"/v1/associations/{tie}").json
    assert (seen["ticket"], seen["identified_by"]) == (why["ticket"], why["identified_by"])
