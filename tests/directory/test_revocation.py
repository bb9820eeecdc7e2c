"""Revoking an employer's access to a provider: the official asks, the help desk does it, one write closes it."""
import threading
import time

import pytest

from world import World, stamp
from gateway import Gateway
from race import broken, until
from smtp import MailServer

RECORD = "/v1/records/O20240115000001"
GROUNDS = {"ticket": "T-7", "identified_by": "called back at the number on file"}


@pytest.fixture
def world():
    with World() as w:
        yield w


@pytest.fixture
def gateway(world):
    with Gateway(world) as g:
        yield g


def value(world, dn, attribute):
    handle = world.admin()
    try:
        found = handle.search_s(dn, 0, attrlist=[attribute])[0][1].get(attribute, [])
        return [v.decode() for v in found]
    finally:
        handle.unbind_s()


def state(world, dn):
    return value(world, dn, "scfState")[0]


def ask(api, employer="meridian", provider="lakeside", body=None):
    return api.post(f"/v1/organizations/{provider}/employers/{employer}/revocation-requests",
                    {"reason": "we part"} if body is None else body)


def decide(api, what, name, body=None):
    return api.post(f"/v1/revocation-requests/{name}/{what}", GROUNDS if body is None else body)


def add(world, text):
    world.modify_ldif(text.replace("\nobjectClass", "\nchangetype: add\nobjectClass", 1))


def add_association(world, name, user, employer="meridian", provider="lakeside", how="approved"):
    add(world, f"dn: {world.association(name, provider)}\nobjectClass: scfAssociation\nscfAssociationId: {name}\n"
        f"scfUser: {world.person(user)}\nscfEmployer: {world.organization(employer)}\n"
        f"scfProvider: {world.organization(provider)}\nscfState: {how}\n")


def add_consent(world, name, how, employer="meridian", provider="lakeside"):
    add(world, f"dn: {world.consent(name, provider)}\nobjectClass: scfConsent\nscfConsentId: {name}\n"
        f"scfProvider: {world.organization(provider)}\nscfEmployer: {world.organization(employer)}\nscfState: {how}\n")


def add_case(world, name, how="submitted", employer="meridian", decided_by=None):
    add(world, f"dn: scfCaseId={name},ou=cases,{world.suffix}\nobjectClass: scfCase\nscfCaseId: {name}\n"
        f"scfCaseKind: employer_revocation\nscfState: {how}\nscfProvider: {world.organization('lakeside')}\n"
        f"scfEmployer: {world.organization(employer)}\nscfRequestedBy: {world.person('rivera')}\n"
        f"scfRequestedAt: {stamp(time.time())}\n" +
        (f"scfDecidedBy: {world.person(decided_by)}\nscfDecidedAt: {stamp(time.time())}\nscfTicket: T-1\n"
         if decided_by else ""))


def case_dn(world, name):
    return f"scfCaseId={name},ou=cases,{world.suffix}"


def test_from_the_request_to_the_closed_door(world, gateway):
    add_association(world, "x-pending", "novak", how="pending")
    add_association(world, "x-elsewhere", "okafor", provider="patel-md")
    add_association(world, "x-other-path", "okafor", employer="lakeside")
    add_consent(world, "x-signed", "signed")
    add_consent(world, "x-prepared", "prepared")
    add_consent(world, "x-elsewhere", "approved", provider="patel-md")
    world.set_state(world.association("a-ito-meridian"), "approved")
    rivera, desk, ito, okafor = (gateway.signed_in(uid) for uid in ("rivera", "desk1", "ito", "okafor"))
    until(lambda: ito.get(RECORD).status == 200)

    asked = ask(rivera)
    assert asked.status == 201, asked
    name = asked.json["id"]
    assert asked.headers["Location"] == f"/v1/revocation-requests/{name}"
    assert asked.json["state"] == "submitted" and asked.json["note"] == "we part"
    assert asked.json["employer_name"] == "Meridian Billing Services, LP"
    again = ask(rivera)
    assert again.status == 200 and again.json["id"] == name
    assert ito.get(RECORD).status == 200  # nothing is closed by asking

    listed = desk.get("/v1/revocation-requests?state=submitted").json["revocation_requests"]
    assert [r["id"] for r in listed] == [name]
    assert decide(desk, "execute", name, {"ticket": "T-7"}).status == 400
    assert decide(desk, "execute", name, {"identified_by": "x"}).status == 400
    done = decide(desk, "execute", name)
    assert done.status == 200, done
    assert done.json["state"] == "executed" and done.json["decided_by"] == "desk1"
    assert done.json["ticket"] == "T-7" and done.json["identified_by"] == GROUNDS["identified_by"]

    assert ito.get(RECORD).status == 404           # with the session that was open
    assert okafor.get(RECORD).status == 200        # his other path stays
    assert gateway.signed_in("novak").get(RECORD).reason == "no_consent"  # harbor is not touched
    assert value(world, world.organization("lakeside"), "scfBarredEmployer") == [world.organization("meridian")]
    after = {n: state(world, world.association(n)) for n in
             ("a-ito-meridian", "a-okafor-meridian", "x-pending", "x-other-path", "a-novak-harbor")}
    assert after == {"a-ito-meridian": "ended", "a-okafor-meridian": "ended", "x-pending": "rejected",
                     "x-other-path": "approved", "a-novak-harbor": "approved"}
    assert state(world, world.association("x-elsewhere", "patel-md")) == "approved"
    forms = {n: state(world, world.consent(n)) for n in
             ("c-lakeside-meridian", "x-signed", "x-prepared", "c-lakeside-lakeside")}
    assert forms == {"c-lakeside-meridian": "revoked", "x-signed": "rejected", "x-prepared": "withdrawn",
                     "c-lakeside-lakeside": "approved"}
    assert state(world, world.consent("x-elsewhere", "patel-md")) == "approved"
    assert state(world, case_dn(world, name)) == "executed"

    late = decide(gateway.signed_in("desk2"), "decline", name)
    assert (late.status, late.reason) == (409, "already_decided")
    assert decide(desk, "execute", name).status == 409
    seen = rivera.get(f"/v1/revocation-requests/{name}").json
    assert seen["state"] == "executed" and "identified_by" not in seen and "ticket" not in seen

    lines = [line for line in gateway.audit_lines() if line.get("actor") == "desk1"]
    events = [line.get("event") for line in lines if line["class"] == "change"]
    assert events.index("case.take") < events.index("employer.revocation.execute") < events.index("association.end")
    assert "consent.revoke" in events and "association.reject" in events
    assert any("identified by: " + GROUNDS["identified_by"] in line.get("detail", "") for line in lines)


def test_who_may_ask_decide_and_see(world, gateway):
    users = ("rivera", "desk1", "desk2", "audit1", "okafor", "chen", "quinn", "patel")
    apis = {uid: gateway.signed_in(uid) for uid in users}
    for uid in ("okafor", "chen", "quinn", "patel", "desk1"):
        answer = ask(apis[uid])
        assert (answer.status, answer.reason) == (403, "not_authorized_official"), uid
    assert ask(apis["rivera"], employer="nowhere").reason == "not_found"
    assert ask(apis["rivera"], provider="nowhere").reason == "not_found"
    for body, word in (({}, "reason"), ({"reason": ""}, "reason"), ({"reason": 3}, "reason"),
                       ({"reason": "x", "y": 1}, "y"), ({"reason": "x" * 513}, "reason")):
        answer = ask(apis["rivera"], body=body)
        assert answer.status == 400 and f"'{word}'" in answer.json["detail"]

    name = ask(apis["rivera"], employer="harbor").json["id"]
    for uid in ("okafor", "quinn", "patel"):
        for path in (f"/v1/revocation-requests/{name}", "/v1/revocation-requests/h-nothing"):
            answer = apis[uid].get(path, headers={"X-Request-ID": "same"})
            assert answer.status == 404 and b'"request_id":"same"' in answer.body
        for what in ("execute", "decline"):
            assert decide(apis[uid], what, name).status == 404
        assert apis[uid].get("/v1/revocation-requests?provider=lakeside").reason == "not_authorized_official"
        assert apis[uid].get("/v1/revocation-requests").reason == "not_authorized_official"
    assert decide(apis["rivera"], "execute", name).reason == "not_help_desk"
    for uid, query in (("rivera", "?provider=lakeside"), ("desk1", ""), ("audit1", "")):
        assert [r["id"] for r in apis[uid].get("/v1/revocation-requests" + query).json["revocation_requests"]] == [name]
    assert apis["desk1"].get("/v1/revocation-requests?state=executed").json["revocation_requests"] == []
    assert apis["desk1"].get("/v1/revocation-requests?state=pending").status == 400

    # Who works through that company at the help desk does not decide.
    add_association(world, "x-desk2", "desk2", employer="harbor", provider="patel-md")
    until(lambda: decide(apis["desk2"], "decline", name).reason == "conflict_of_interest")
    assert decide(apis["desk1"], "decline", name, {}).status == 400
    told = decide(apis["desk1"], "decline", name, {"reason": "asked by mistake"})
    assert told.status == 200 and told.json["state"] == "declined" and told.json["reason"] == "asked by mistake"
    assert value(world, world.organization("lakeside"), "scfBarredEmployer") == []
    assert state(world, world.association("a-novak-harbor")) == "approved"
    other = ask(apis["rivera"], employer="harbor")
    assert other.status == 201 and other.json["id"] != name


def reinstate(api, employer="meridian", provider="lakeside", body=None):
    return api.post(f"/v1/organizations/{provider}/employers/{employer}/reinstate", GROUNDS if body is None else body)


def test_the_help_desk_lets_an_employer_in_again_and_nothing_comes_back_to_life(world, gateway):
    add_association(world, "x-desk2", "desk2", employer="meridian", provider="patel-md")
    rivera, desk, okafor = (gateway.signed_in(uid) for uid in ("rivera", "desk1", "okafor"))
    early = reinstate(desk)
    assert (early.status, early.reason) == (409, "already_decided")
    assert decide(desk, "execute", ask(rivera).json["id"]).status == 200
    barred = rivera.get("/v1/organizations/lakeside").json["barred_employers"]
    assert barred == ["meridian"] == desk.get("/v1/organizations/lakeside").json["barred_employers"]
    asked = {"provider": "lakeside", "employer": "meridian"}
    assert okafor.post("/v1/associations", asked).reason == "employer_barred"
    assert rivera.post("/v1/consents", asked).reason == "employer_barred"

    for uid in ("rivera", "okafor", "quinn", "audit1"):
        answer = reinstate(gateway.signed_in(uid))
        assert (answer.status, answer.reason) == (403, "not_help_desk"), uid
    involved = reinstate(gateway.signed_in("desk2"))
    assert (involved.status, involved.reason) == (403, "conflict_of_interest")
    assert reinstate(desk, employer="nowhere").reason == reinstate(desk, provider="nowhere").reason == "not_found"
    assert reinstate(desk, employer="harbor").reason == "already_decided"
    for body, word in (({}, "identified_by"), ({"ticket": "T-8"}, "identified_by"), ({"identified_by": "x"}, "ticket"),
                       ({**GROUNDS, "x": 1}, "x"), ({**GROUNDS, "reason": 7}, "reason")):
        answer = reinstate(desk, body=body)
        assert answer.status == 400 and f"'{word}'" in answer.json["detail"], body
    world.set_state(world.organization("lakeside"), "suspended")
    until(lambda: reinstate(desk).reason == "organization_not_active")
    world.set_state(world.organization("lakeside"), "active")
    until(lambda: rivera.post("/v1/consents", asked).reason == "employer_barred")

    done = reinstate(desk)
    assert done.status == 200, done
    assert (done.json["provider"], done.json["employer"], done.json["decided_by"]) == ("lakeside", "meridian", "desk1")
    assert done.json["ticket"] == "T-7" and done.json["identified_by"] == GROUNDS["identified_by"]
    assert value(world, world.organization("lakeside"), "scfBarredEmployer") == []
    again = reinstate(desk)
    assert (again.status, again.reason) == (409, "already_decided")
    seen = rivera.get("/v1/organizations/lakeside")
    assert "barred_employers" not in seen.json and GROUNDS["identified_by"] not in seen.body.decode()
    assert "T-7" not in seen.body.decode()

    # Nothing was opened; a new request and a new form are needed, and do.
    assert okafor.get(RECORD).status == 404
    assert state(world, world.association("a-okafor-meridian")) == "ended"
    assert state(world, world.consent("c-lakeside-meridian")) == "revoked"
    made = okafor.post("/v1/associations", asked)
    assert made.status == 201, made
    assert rivera.post(f"/v1/associations/{made.json['id']}/approve", {}).status == 200
    assert okafor.get(RECORD).reason == "consent_revoked"
    form = rivera.post("/v1/consents", asked)
    assert form.status == 201, form
    assert rivera.post(f"/v1/consents/{form.json['id']}/sign", {"text_sha256": form.json["text_sha256"]}).status == 200
    assert desk.post(f"/v1/consents/{form.json['id']}/approve", GROUNDS).status == 200
    assert okafor.get(RECORD).status == 200
    lines = [line for line in gateway.audit_lines() if line.get("event") == "employer.reinstate"]
    assert [(line["actor"], line["class"], line["outcome"]) for line in lines] == [
        ("desk1", "change", "permit"), ("desk1", "decision", "ok")]
    assert "identified by: " + GROUNDS["identified_by"] in lines[0]["detail"]


def test_of_what_has_changed_since_it_was_read_nothing_is_done(world, gateway):
    rivera, desk = gateway.signed_in("rivera"), gateway.signed_in("desk1")
    name = ask(rivera).json["id"]
    path, lakeside = f"/v1/revocation-requests/{name}", "/v1/organizations/lakeside"
    back = lakeside + "/employers/meridian/reinstate"
    old = {"If-Match": '"20200101000000.000000Z#000000#000#000000"'}
    for what in ("execute", "decline"):
        assert desk.post(f"{path}/{what}", GROUNDS, headers=old).status == 412, what
    assert desk.post(f"{path}/execute", GROUNDS, headers={"If-Match": "x"}).status == 400
    assert desk.get(path).json["state"] == "submitted" and "decided_by" not in desk.get(path).json
    assert value(world, world.organization("lakeside"), "scfBarredEmployer") == []

    tag = {"If-Match": desk.get(path).headers["ETag"]}
    assert desk.post(f"{path}/execute", GROUNDS, headers=tag).status == 200
    assert desk.post(back, GROUNDS, headers=old).status == 412
    assert desk.get(lakeside).json["barred_employers"] == ["meridian"]
    tag = {"If-Match": desk.get(lakeside).headers["ETag"]}
    assert desk.post(back, GROUNDS, headers=tag).status == 200
    assert desk.post(back, GROUNDS, headers=tag).reason == "already_decided"
    name = ask(rivera).json["id"]
    tag = {"If-Match": desk.get(f"/v1/revocation-requests/{name}").headers["ETag"]}
    assert desk.post(f"/v1/revocation-requests/{name}/decline", GROUNDS, headers=tag).status == 200


def test_what_still_stands_under_a_bar_is_ended_before_the_bar_goes(world):
    """An administrator's bar leaves the entries as they are, and so does an execution that was cut short."""
    with MailServer(world) as mail, Gateway(world, mail=mail) as g:
        world.set_values(world.organization("lakeside"), "scfBarredEmployer", world.organization("meridian"),
                         world.organization("harbor"))
        desk, okafor = g.signed_in("desk1"), g.signed_in("okafor")
        until(lambda: okafor.get(RECORD).reason == "employer_barred")
        assert reinstate(desk).status == 200
        assert okafor.get(RECORD).status == 404
        assert state(world, world.association("a-okafor-meridian")) == "ended"
        assert state(world, world.consent("c-lakeside-meridian")) == "revoked"
        assert value(world, world.organization("lakeside"), "scfBarredEmployer") == [world.organization("harbor")]
        letter = mail.wait("rivera@lakeside.example")
        assert letter.subject == "Meridian Billing Services, LP may act for Lakeside Family Clinic, LLC again"


def test_two_agents_at_once_end_it_once(world, gateway):
    rivera, one, two = (gateway.signed_in(uid) for uid in ("rivera", "desk1", "desk2"))
    for i in range(5):
        employer = f"e{i}"
        add(world, f"dn: {world.organization(employer)}\nobjectClass: scfOrganization\nobjectClass: scfEmployerRole\n"
            f"scfOrgId: {employer}\no: Number {i}\nscfState: active\n")
        add_association(world, f"x-{i}", "okafor", employer=employer)
        until(lambda: ask(rivera, employer=employer).status == 200)
        name = ask(rivera, employer=employer).json["id"]
        told = {}
        threads = [threading.Thread(target=lambda api=api: told.__setitem__(api, decide(api, "execute", name)))
                   for api in (one, two)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert sorted(a.status for a in told.values()) == [200, 409], told
        assert state(world, world.association(f"x-{i}")) == "ended"
        assert state(world, case_dn(world, name)) == "executed"


def test_what_an_agent_has_taken_on_no_other_declines(world, gateway):
    """Else a request is told as declined, and the employer barred all the same."""
    desk2, lakeside = gateway.signed_in("desk2"), world.organization("lakeside")
    add_case(world, "taken", decided_by="desk1")
    assert decide(desk2, "decline", "taken").reason == "already_decided"
    world.set_values(case_dn(world, "taken"), "scfDecidedAt", stamp(time.time() - 61))
    world.set_values(lakeside, "scfBarredEmployer", world.organization("meridian"))
    assert decide(desk2, "decline", "taken").reason == "already_decided"
    assert state(world, case_dn(world, "taken")) != "declined"
    add_case(world, "left", employer="harbor", decided_by="desk1")
    world.set_values(case_dn(world, "left"), "scfDecidedAt", stamp(time.time() - 61))
    assert decide(desk2, "decline", "left").status == 200, "who took it on died before he set the bar"
    for i in range(20):
        world.set_values(lakeside, "scfBarredEmployer")
        add_case(world, f"race-{i}")
        until(lambda: desk2.get(f"/v1/revocation-requests/race-{i}").status == 200)
        both = [threading.Thread(target=decide, args=(gateway.signed_in(uid), what, f"race-{i}"))
                for uid, what in (("desk1", "execute"), ("desk2", "decline"))]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        barred = value(world, lakeside, "scfBarredEmployer")
        assert state(world, case_dn(world, f"race-{i}")) == ("executed" if barred else "declined"), i


def test_those_concerned_are_told_by_mail(world):
    with MailServer(world) as mail, Gateway(world, mail=mail) as g:
        rivera, outsider, desk = g.signed_in("rivera"), g.signed_in("outsider"), g.signed_in("desk1")
        name = outsider.post("/v1/associations", {"provider": "lakeside", "employer": "meridian"}).json["id"]
        letter = mail.wait("rivera@lakeside.example")
        assert "Olu Outsider asks for access" in letter.text and "Meridian Billing Services, LP" in letter.text
        assert rivera.post(f"/v1/associations/{name}/approve", {}).status == 200
        letter = mail.wait("outsider@elsewhere.example")
        assert letter.subject == "Your request was approved" and "Lakeside Family Clinic, LLC" in letter.text
        other = outsider.post("/v1/associations", {"provider": "lakeside", "employer": "harbor"}).json["id"]
        assert rivera.post(f"/v1/associations/{other}/reject", {"reason": "not known"}).status == 200
        letter = mail.wait("outsider@elsewhere.example", 2)
        assert "Reason: not known" in letter.text and "Lakeside Family Clinic" not in letter.text

        asked = ask(rivera).json["id"]
        assert mail.wait("eus@mail.example", says="rivera asks that the access of meridian to lakeside be revoked")
        assert decide(desk, "execute", asked).status == 200
        for address, number in (("okafor@meridian.example", 1), ("outsider@elsewhere.example", 3),
                                ("rivera@lakeside.example", 3)):
            assert mail.wait(address, number, says="The access of Meridian Billing Services, LP")
        assert not mail.to("ito@meridian.example")  # his request was only pending
        assert rivera.post("/v1/me/employers/lakeside/leave").status == 200
        assert mail.wait("eus@mail.example", 2, says="rivera has left lakeside")
        for letter in mail.letters:
            assert "361827459" not in letter.text and "204517386" not in letter.text


# ---- a gateway that dies in the middle ----

def test_what_an_agent_has_begun_is_finished_at_the_start_and_what_an_administrator_did_is_not(world):
    add_case(world, "h-begun", decided_by="desk1")
    add_case(world, "h-open", employer="harbor")
    add_case(world, "h-taken", employer="lakeside", decided_by="desk1")  # died before the bar: nothing happened
    lakeside = world.organization("lakeside")
    world.set_values(lakeside, "scfBarredEmployer", world.organization("meridian"), world.organization("harbor"))
    with Gateway(world, start=False) as g:
        g.start(wait=False)
        assert state(world, case_dn(world, "h-begun")) == "executed"
        assert state(world, world.association("a-okafor-meridian")) == "ended"
        assert state(world, world.association("a-ito-meridian")) == "rejected"
        assert state(world, world.consent("c-lakeside-meridian")) == "revoked"
        # Barred by hand, and asked for but not decided: that is not ours to finish.
        assert state(world, case_dn(world, "h-open")) == "submitted"
        assert state(world, world.association("a-novak-harbor")) == "approved"
        assert state(world, case_dn(world, "h-taken")) == "submitted"
        assert state(world, world.association("a-chen-lakeside")) == "approved"
        seen = g.signed_in("desk2").get("/v1/revocation-requests/h-begun").json
        assert seen["decided_by"] == "desk1" and seen["ticket"] == "T-1"
        lines = [line for line in g.audit_lines() if line.get("actor") == "desk1"]
        assert any(line.get("event") == "employer.revocation.execute" for line in lines)
        world.set_values(lakeside, "scfBarredEmployer")


def test_a_gateway_that_is_killed_while_it_closes_leaves_the_door_closed(world):
    many = [f"k-{i}" for i in range(60)]
    for name in many:
        add_association(world, name, "okafor")
    with Gateway(world) as other:
        okafor = other.signed_in("okafor")
        for attempt in range(3):
            world.set_state(world.consent("c-lakeside-meridian"), "approved")
            world.set_values(world.organization("lakeside"), "scfBarredEmployer")
            for name in many:
                world.set_state(world.association(name), "approved")
            until(lambda: okafor.get(RECORD).status == 200)
            with Gateway(world) as dying:
                name = ask(dying.signed_in("rivera")).json["id"]
                desk, handle = dying.signed_in("desk1"), world.admin()
                execute = threading.Thread(target=lambda: broken(lambda: decide(desk, "execute", name)))
                execute.start()
                lakeside = world.organization("lakeside")
                until(lambda: handle.search_s(lakeside, 0, attrlist=["scfBarredEmployer"])[0][1], pause=0)
                dying.kill9()
                execute.join()
                handle.unbind_s()
                unfinished = state(world, case_dn(world, name)) == "submitted"
                assert okafor.get(RECORD).status in (403, 404)  # is told why as long as it is his association
                dying.start(wait=False)
                assert state(world, case_dn(world, name)) == "executed"
                assert {state(world, world.association(n)) for n in many} == {"ended"}
                assert state(world, world.consent("c-lakeside-meridian")) == "revoked"
            if unfinished:
                return
    raise AssertionError("it was never killed in the middle")
