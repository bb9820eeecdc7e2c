"""The sample world, every user × record × action: the gateway against docs/rules.md, and against the directory itself."""
import json
import threading
import time

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


def test_a_list_of_records_comes_in_pages_newest_change_first(world, clients):
    names = [f"O202501010{n:05}" for n in range(7)]
    for name in names:
        world.admin().add_s(world.record(name), [
            ("objectClass", [b"scfEnrollment"]), ("scfProvider", world.organization("lakeside").encode()),
            ("scfForm", b"855B"), ("scfEnrollmentStatus", b"approved"), ("scfDocument", b"{}")])
    fresh = world.admin().search_s(world.suffix, ldap.SCOPE_BASE, attrlist=["contextCSN"])[0][1]["contextCSN"][0].decode()
    pages, query = [], ""
    while True:
        answer = clients["chen"].get(f"/v1/records?provider=lakeside&limit=2{query}", headers={"Scfgate-At-Least": fresh})
        assert answer.status == 200, answer
        pages.append(answer.json["records"])
        if "next" not in answer.json:
            break
        query = f"&cursor={answer.json['next']}"
    told = [one["id"] for page in pages for one in page]
    assert all(len(page) == 2 for page in pages[:-1]) and sorted(told) == sorted([*LAKESIDE, *names])
    changed = [one["revision"] for page in pages for one in page]
    assert changed == sorted(changed, reverse=True)
    for wrong in ("limit=0", "limit=201", "cursor=x"):
        answer = clients["chen"].get(f"/v1/records?provider=lakeside&{wrong}")
        assert answer.status == 400 and wrong.split("=")[0] in answer.json["detail"], answer
    assert clients["outsider"].get("/v1/records?provider=lakeside&limit=2").status == 404
    for name in names:
        world.admin().delete_s(world.record(name))


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


def test_an_act_upon_an_employer_is_explained_by_that_employer(world, portal):
    def explained(user, action, employer):
        said = portal.post("/v1/explain", {"subject": user, "action": action, "employer": employer,
                                           "resource": {"type": "provider", "id": "lakeside"}}).json
        assert len(said["paths"]) == 1  # no path is asked for
        return said, {c["name"]: c for c in said["paths"][0]["clauses"]}

    said, clauses = explained("rivera", "consent.prepare", "meridian")
    assert said["decision"] and clauses["employer known"]["dn"] == world.organization("meridian")
    said, clauses = explained("okafor", "association.request", "dormant")
    assert said["reason"] == "employer_not_active"
    assert clauses["employer active"]["dn"] == world.organization("dormant")
    said, clauses = explained("okafor", "association.request", "meridian")
    assert said["reason"] == "already_decided"
    open_one = clauses["no open or approved association"]
    assert open_one["dn"] == world.association("a-okafor-meridian") and open_one["revision"]


@pytest.mark.parametrize("user, action, kind, name, role", [
    ("audit1", "audit.read", None, None, "auditors"), ("desk1", "account.unlock", "user", "chen", "helpdesk"),
    ("chen", "access.review", None, None, "auditors")])
def test_a_role_is_explained_by_its_entry_and_that_one_s_revision(world, portal, user, action, kind, name, role):
    said = portal.post("/v1/explain", {"subject": user, "action": action,
                                       **({"resource": {"type": kind, "id": name}} if kind else {})}).json
    dn = f"cn={role},ou=roles,{world.suffix}"
    entry = world.admin().search_s(dn, ldap.SCOPE_BASE, attrlist=["entryCSN"])[0][1]
    assert [c["revision"] for c in said["paths"][0]["clauses"] if c["dn"] == dn] == [entry["entryCSN"][0].decode()]


def test_the_path_that_is_told_is_the_one_that_the_reason_is_about(world, portal):
    """Both of novak's paths lack a consent: one of them has a form that waits for its signature."""
    handle = world.admin()
    tie, form = world.association("a-novak-second"), world.consent("c-novak-waits")
    handle.add_s(tie, [("objectClass", [b"scfAssociation"]), ("scfState", [b"approved"]),
                       ("scfUser", world.person("novak").encode()), ("scfProvider", world.organization("lakeside").encode()),
                       ("scfEmployer", world.organization("northgate").encode())])
    handle.modify_s(world.organization("northgate"), [(ldap.MOD_REPLACE, "scfState", [b"active"])])
    try:
        for employer in ("harbor", "northgate"):
            handle.add_s(form, [("objectClass", [b"scfConsent"]), ("scfState", [b"signed"]),
                                ("scfProvider", world.organization("lakeside").encode()),
                                ("scfEmployer", world.organization(employer).encode())])
            fresh = handle.search_s(world.suffix, ldap.SCOPE_BASE, attrlist=["contextCSN"])[0][1]["contextCSN"][0].decode()
            context = portal.post("/access/v1/evaluation", {
                "subject": {"type": "user", "id": "novak"}, "action": {"name": "record.view"},
                "resource": {"type": "record", "id": LAKESIDE[0]},
                "context": {"explain": True, "at_least_as_fresh": fresh}}).json["context"]
            assert (context["reason"], context["path"]["employer"]) == ("consent_pending", employer)
            assert [c["otherwise"] for c in context["clauses"] if not c["holds"]] == ["consent_pending"]
            handle.delete_s(form)
    finally:
        handle.modify_s(world.organization("northgate"), [(ldap.MOD_REPLACE, "scfState", [b"registered"])])
        handle.delete_s(tie)


def test_of_two_revisions_that_are_asked_for_the_later_one_counts(portal):
    question = {"subject": {"type": "user", "id": "chen"}, "action": {"name": "record.view"},
                "resource": {"type": "record", "id": LAKESIDE[0]}}
    past = "20200101000000.000000Z#000000#000#000000"
    future = time.strftime("%Y%m%d%H%M%S.000000Z#000000#000#000000", time.gmtime(time.time() + 60))
    for header, context, status in ((past, past, 200), (future, past, 503), (past, future, 503)):
        answer = portal.post("/access/v1/evaluation", {**question, "context": {"at_least_as_fresh": context}},
                             headers={"Scfgate-At-Least": header})
        assert answer.status == status, (header, context, answer)


def test_who_waits_for_an_explanation_is_asked_for_his_role_once(gateway, world):
    """Its revision is written while it waits."""
    audit1, soon = gateway.signed_in("audit1"), time.time() + 0.3
    revision = time.strftime("%Y%m%d%H%M%S", time.gmtime(soon)) + f"{soon % 1:.6f}Z#000000#000#000000"[1:]
    writer = threading.Timer(0.5, world.set_values, (world.person("quinn"), "telephoneNumber", "1"))
    writer.start()
    answer = audit1.post("/v1/explain", {"subject": "novak", "action": "record.view", "resource": {"type": "record", "id": LAKESIDE[0]}},
                         headers={"Scfgate-At-Least": revision})
    writer.join()
    assert answer.status == 200 and answer.revision >= revision, answer
    lines = [line for line in gateway.audit_lines() if line.get("request_id") == answer.headers["X-Request-ID"]]
    assert sorted(line["action"] for line in lines) == ["access.review", "record.view"], lines
    assert all(line["revision"] >= revision for line in lines)


@pytest.mark.parametrize("question", [("user", "record.burn", "record"), ("robot", "record.view", "record"), ("user", "record.view", "user")])
def test_what_no_rule_knows_is_denied_at_a_revision_too(gateway, portal, question):
    subject, action, resource = question
    ask = {"subject": {"type": subject, "id": "chen"}, "action": {"name": action}, "resource": {"type": resource, "id": LAKESIDE[0]}}
    plain, told = (portal.post("/access/v1/evaluation", {**ask, "context": {"explain": explain}}) for explain in (False, True))
    assert plain.json == {"decision": False} and told.json["decision"] is False
    assert plain.revision and told.revision == told.json["context"]["revision"]
    line, = [line for line in gateway.audit_lines() if line.get("request_id") == plain.headers["X-Request-ID"]]
    assert line["revision"] == plain.revision and line["outcome"] == "deny"


def test_unknown_things_are_denied_and_not_told_apart(clients, portal):
    for user, record in (("outsider", LAKESIDE[0]), ("chen", "O20240115999999"), ("nobody-such", LAKESIDE[0])):
        assert evaluate(portal, user, "record.view", "record", record)[0] is False
    known = clients["outsider"].get(f"/v1/records/{LAKESIDE[0]}")
    unknown = clients["outsider"].get("/v1/records/O20240115999999")
    same = [{k: v for k, v in a.json.items() if k != "request_id"} for a in (known, unknown)]
    assert known.status == unknown.status == 404 and same[0] == same[1]
    assert {k.lower() for k in known.headers} == {k.lower() for k in unknown.headers}
    assert len(known.body) == len(unknown.body)
