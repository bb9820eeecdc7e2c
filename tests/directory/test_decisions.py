"""The sample world, every user × record × action: the gateway against docs/rules.md, and against the directory itself."""
import json

import ldap
import pytest
from ldap.controls.simple import ProxyAuthzControl

from api import SECRET

LAKESIDE = ("O20240115000001", "O20240115000002")
PATEL = "I20230302000007"
RECORDS = {**{record: "lakeside" for record in LAKESIDE}, PATEL: "patel-md"}
USERS = "chen okafor novak ito silva rivera patel quinn outsider desk1 desk2 audit1 proc1".split()

# What docs/rules.md says of a record of lakeside; who is not named here is a stranger to it: 404 not_found.
AT_LAKESIDE = {
    "chen": (200, "ok"), "okafor": (200, "ok"), "rivera": (200, "ok"),
    "novak": (403, "no_consent"), "silva": (403, "employer_not_active"),
}
STRANGER = (404, "not_found")


def expected(user, record):
    if record == PATEL:
        return (200, "ok") if user == "patel" else STRANGER
    return AT_LAKESIDE.get(user, STRANGER)


@pytest.fixture(scope="module")
def clients(gateway):
    return {user: gateway.signed_in(user) for user in USERS}


@pytest.fixture(scope="module")
def portal(gateway):
    api = gateway.api()
    api.token = SECRET
    return api


def evaluate(portal, user, action, kind, name, **context):
    answer = portal.post("/access/v1/evaluation", {
        "subject": {"type": "user", "id": user}, "action": {"name": action}, "resource": {"type": kind, "id": name},
        "context": {"explain": True, **context}})
    assert answer.status == 200, answer
    return answer.json["decision"], answer.json["context"]["reason"]


def sees_in_directory(world, user, record, provider):
    """Does the directory itself show the body to this user, asked by proxied authorization over the gateway's listener?"""
    handle = world.gateway()
    control = ProxyAuthzControl(True, ("dn:" + world.person(user)).encode())
    try:
        found = handle.search_ext_s(world.record(record, provider), ldap.SCOPE_BASE, attrlist=["scfDocument"],
                                    serverctrls=[control])
        return bool(found) and "scfDocument" in found[0][1]
    except ldap.NO_SUCH_OBJECT:
        return False
    finally:
        handle.unbind_s()


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("user", USERS)
def test_a_record_is_seen_exactly_by_whom_the_rule_says(gateway, world, clients, portal, user, record):
    status, reason = expected(user, record)
    answer = clients[user].get(f"/v1/records/{record}")
    assert answer.status == status, answer
    if status == 200:
        assert answer.json["id"] == record and answer.json["document"]["legal_business_name"]
    else:
        assert answer.reason == reason
        assert b"legal_business_name" not in answer.body
    # The second wall says the same, asked without the gateway.
    assert sees_in_directory(world, user, record, RECORDS[record]) == (status == 200)
    # And so do the other doors.
    forward = clients[user].get("/auth/nginx", headers={"X-Original-Method": "GET", "X-Original-URI": f"/enrollments/{record}"})
    assert forward.status == (200 if status == 200 else 403)
    decision, _ = evaluate(portal, user, "record.view", "record", record)
    assert decision == (status == 200)


@pytest.mark.parametrize("user", USERS)
def test_lists_hold_what_the_rule_shows(clients, user):
    for provider in ("lakeside", "patel-md"):
        record = LAKESIDE[0] if provider == "lakeside" else PATEL
        status, reason = expected(user, record)
        answer = clients[user].get(f"/v1/records?provider={provider}")
        assert answer.status == status, answer
        if status == 200:
            assert {r["id"] for r in answer.json["records"]} == {r for r, p in RECORDS.items() if p == provider}
        else:
            assert answer.reason == reason


@pytest.mark.parametrize("user", USERS)
def test_a_save_is_taken_exactly_from_whom_the_rule_says(world, clients, user):
    for record, provider in RECORDS.items():
        status, reason = expected(user, record)
        before = world.admin().search_s(world.record(record, provider), ldap.SCOPE_BASE, attrlist=["scfDocument", "entryCSN"])[0][1]
        document = json.loads(before["scfDocument"][0])
        document["contact"]["name"] = f"changed by {user}"
        answer = clients[user].put(f"/v1/records/{record}", document,
                                   headers={"If-Match": f'"{before["entryCSN"][0].decode()}"'})
        assert answer.status == status, answer
        after = world.admin().search_s(world.record(record, provider), ldap.SCOPE_BASE, attrlist=["scfDocument", "entryCSN"])[0][1]
        if status == 200:
            assert json.loads(after["scfDocument"][0]) == document
            assert answer.headers["ETag"] == f'"{after["entryCSN"][0].decode()}"'
        else:
            assert answer.reason == reason
            assert after == before


@pytest.mark.parametrize("user", USERS)
def test_an_association_alone_opens_new_submissions(world, clients, user):
    """Two gates, never merged: novak has no consent form to lean on, and may still begin a new application."""
    allowed = {"chen": "lakeside", "okafor": "meridian", "novak": "harbor", "rivera": "lakeside"}
    document = {"legal_business_name": "Lakeside Family Clinic, LLC"}
    answer = clients[user].post("/v1/organizations/lakeside/submissions", {"form": "855B", "document": document})
    if user in allowed:
        assert answer.status == 201, answer
        entry = world.admin().search_s(f"scfSubmissionId={answer.json['id']},ou=submissions,{world.organization('lakeside')}",
                                       ldap.SCOPE_BASE)[0][1]
        assert entry["scfEmployer"] == [world.organization(allowed[user]).encode()]
        assert entry["scfUser"] == [world.person(user).encode()]
        assert entry["scfState"] == [b"draft"]
        assert json.loads(entry["scfDocument"][0]) == document
    else:
        # That lakeside exists is no secret, only what it holds: a stranger is told what he lacks.
        assert answer.status == 403, answer
        assert answer.reason == {"silva": "employer_not_active", "ito": "association_pending"}.get(user, "no_association")


def test_every_role_is_asked_for_by_name(portal):
    """Roles open what is theirs and nothing else."""
    for user in USERS:
        assert evaluate(portal, user, "access.review", "provider", "lakeside")[0] == (user == "audit1")
        assert evaluate(portal, user, "audit.read", "provider", "lakeside")[0] == (user == "audit1")
        assert evaluate(portal, user, "association.approve", "association", "a-ito-meridian")[0] == (user == "rivera")
        assert evaluate(portal, user, "consent.revoke", "consent", "c-lakeside-meridian")[0] == (user in ("desk1", "desk2"))
        assert evaluate(portal, user, "account.unlock", "user", "outsider")[0] == (user in ("desk1", "desk2"))


def test_acting_for_an_employer_narrows_to_its_path(clients, portal):
    answer = portal.post("/access/v1/evaluation", {
        "subject": {"type": "user", "id": "chen", "properties": {"employer": "meridian"}}, "action": {"name": "record.view"},
        "resource": {"type": "record", "id": LAKESIDE[0]}})
    assert answer.status == 200 and answer.json["decision"] is False
    answer = clients["chen"].get(f"/v1/records/{LAKESIDE[0]}?acting_for=lakeside")
    assert answer.status == 200


def test_explain_names_every_entry_that_a_decision_rests_on(world, portal):
    answer = portal.post("/v1/explain", {"subject": "novak", "action": "record.view",
                                         "resource": {"type": "record", "id": LAKESIDE[0]}})
    assert answer.status == 200, answer
    said = answer.json
    assert said["decision"] is False and said["reason"] == "no_consent"
    clauses = {c["name"]: c for path in said["paths"] for c in path["clauses"]}
    tie = clauses["association approved"]
    assert tie["holds"] and tie["dn"] == world.association("a-novak-harbor")
    entry = world.admin().search_s(tie["dn"], ldap.SCOPE_BASE, attrlist=["entryCSN"])[0][1]
    assert tie["revision"] == entry["entryCSN"][0].decode()
    assert clauses["account active"]["dn"] == world.person("novak")
    assert clauses["provider active"]["dn"] == world.organization("lakeside")
    assert clauses["employer active"]["dn"] == world.organization("harbor")
    assert not clauses["consent in force"]["holds"]


def test_unknown_things_are_denied_and_not_told_apart(clients, portal):
    for user, record in (("outsider", LAKESIDE[0]), ("chen", "O20240115999999"), ("nobody-such", LAKESIDE[0])):
        assert evaluate(portal, user, "record.view", "record", record)[0] is False
    known = clients["outsider"].get(f"/v1/records/{LAKESIDE[0]}")
    unknown = clients["outsider"].get("/v1/records/O20240115999999")
    same = [{k: v for k, v in a.json.items() if k != "request_id"} for a in (known, unknown)]
    assert known.status == unknown.status == 404 and same[0] == same[1]
    assert {k.lower() for k in known.headers} == {k.lower() for k in unknown.headers}
    assert len(known.body) == len(unknown.body)
