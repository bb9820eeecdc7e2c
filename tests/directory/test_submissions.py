"""New applications, from a draft to an enrollment record, by the people of the sample world and the real daemon."""

import json

import pytest

from gateway import QUICK, Gateway

CHEN, OKAFOR, NOVAK, OUTSIDER, PROC, RIVERA, PATEL = "chen", "okafor", "novak", "outsider", "proc1", "rivera", "patel"


@pytest.fixture(scope="module")
def whole(world):
    """A document that satisfies form 855B: that of a sample record."""
    handle = world.admin()
    found = handle.search_s(world.record("O20240115000001"), 0, "(objectClass=*)", ["scfDocument", "scfForm"])[0][1]
    return found["scfForm"][0].decode(), json.loads(found["scfDocument"][0])


def draft(api, whole, provider="lakeside", **more):
    form, document = whole
    answer = api.post(f"/v1/organizations/{provider}/submissions", {"form": form, "document": document, **more})
    assert answer.status == 201, answer.body
    return answer.json


def test_a_draft_becomes_a_record_and_is_under_the_consent_from_then_on(world, gateway, who, whole):
    made = draft(who(NOVAK), whole)
    where = f"/v1/submissions/{made['id']}"
    assert (made["status"], made["author"], made["employer"]) == ("draft", "novak", "harbor")
    seen = who(NOVAK).get(where)
    assert seen.status == 200 and seen.json["document"] == whole[1]

    changed = {**whole[1]}
    put = who(NOVAK).put(where, changed, headers={"If-Match": seen.headers["ETag"]})
    assert put.status == 200 and put.json["problems"] == []
    stale = who(NOVAK).put(where, changed, headers={"If-Match": seen.headers["ETag"]})
    assert stale.status == 412

    assert who(PROC).get(where).status == 404  # a draft is not his business
    submitted = who(NOVAK).post(where + "/submit")
    assert submitted.status == 200 and submitted.json["status"] == "submitted"
    again = who(NOVAK).post(where + "/submit")
    assert (again.status, again.json["reason"]) == (409, "already_decided")
    assert who(NOVAK).put(where, changed, headers={"If-Match": submitted.headers["ETag"]}).status == 409

    assert who(PROC).get(where).json["document"] == whole[1]
    assert made["id"] in [s["id"] for s in who(PROC).get("/v1/submissions").json["submissions"]]
    accepted = who(PROC).post(where + "/accept", {"ticket": "T-1"})
    assert accepted.status == 200 and accepted.json["status"] == "accepted", accepted.body
    assert "document" not in accepted.json
    record = accepted.json["record"]
    assert record[0] in "IO" and len(record) == 15

    # okafor's employer has the consent of lakeside, novak's has not: its author loses it.
    assert who(OKAFOR).get(f"/v1/records/{record}").json["document"] == whole[1]
    refused = who(NOVAK).get(f"/v1/records/{record}")
    assert (refused.status, refused.json["reason"]) == (403, "no_consent")
    refused = who(NOVAK).get(where)
    assert (refused.status, refused.json["reason"]) == (403, "no_consent")
    assert who(PROC).get(where).status in (403, 404)
    assert who(PROC).get(f"/v1/records/{record}").status == 404

    twice = who(PROC).post(where + "/accept", {"ticket": "T-1"})
    assert (twice.status, twice.json["reason"]) == (409, "already_decided")
    changes = [line for line in gateway.audit_lines() if line.get("event") == "submission.accept"]
    assert changes and record in changes[0]["detail"]


def test_what_is_returned_says_why_and_stays(who, whole):
    made = draft(who(CHEN), whole)
    where = f"/v1/submissions/{made['id']}"
    assert who(CHEN).post(where + "/submit").status == 200
    assert who(PROC).post(where + "/return", {"ticket": "T-2"}).status == 400
    assert who(PROC).post(where + "/return", {}).status == 400
    returned = who(PROC).post(where + "/return", {"reason": "the taxonomy code is missing"})
    assert returned.status == 200 and returned.json["status"] == "returned"
    seen = who(CHEN).get(where).json
    assert (seen["status"], seen["reason"]) == ("returned", "the taxonomy code is missing")
    for step, body in (("submit", None), ("accept", {"ticket": "T"}), ("return", {"reason": "again"})):
        answer = (who(CHEN) if step == "submit" else who(PROC)).post(f"{where}/{step}", body)
        assert (answer.status, answer.json["reason"]) == (409, "already_decided")
    assert who(CHEN).delete(where).json["reason"] == "already_decided"


def test_what_is_incomplete_is_told_and_cannot_be_submitted(who, whole):
    form, _ = whole
    answer = who(CHEN).post("/v1/organizations/lakeside/submissions", {"form": form, "document": {}})
    assert answer.status == 201 and answer.json["problems"]
    where = f"/v1/submissions/{answer.json['id']}"
    refused = who(CHEN).post(where + "/submit")
    assert refused.status == 422 and refused.json["errors"]
    assert who(CHEN).get(where).json["status"] == "draft"
    assert who(CHEN).delete(where, headers={"If-Match": '"20200101000000.000000Z#000000#000#000000"'}).status == 412
    assert who(CHEN).delete(where).status == 204
    assert who(CHEN).get(where).status == 404


@pytest.mark.parametrize("body, field", [
    ({"document": {}}, "form"),
    ({"form": "855B"}, "document"),
    ({"form": "855B", "document": []}, "document"),
    ({"form": "855B", "document": {}, "more": 1}, "more"),
])
def test_a_wrong_draft_is_refused_by_name(who, body, field):
    answer = who(CHEN).post("/v1/organizations/lakeside/submissions", body)
    assert answer.status == 400 and field in answer.json["detail"]


@pytest.mark.parametrize("form", ["855Z", "../855B", "855B.json", "x" * 300])
def test_a_form_that_there_is_not_is_told_at_its_place(who, form):
    answer = who(CHEN).post("/v1/organizations/lakeside/submissions", {"form": form, "document": {}})
    assert answer.status == 422, answer
    assert [(e["pointer"], "no form" in e["rule"]) for e in answer.json["errors"]] == [("/form", True)]


def test_the_same_request_twice_makes_one_draft(who, whole):
    form, document = whole
    key = {"Idempotency-Key": "draft-1"}
    path, body = "/v1/organizations/lakeside/submissions", {"form": form, "document": document}
    first = who(CHEN).post(path, body, headers=key)
    second = who(CHEN).post(path, body, headers=key)
    assert first.status == second.status == 201 and first.json["id"] == second.json["id"]
    other = who(CHEN).post(path, {**body, "document": {}}, headers=key)
    assert other.status in (400, 422) and "Idempotency-Key" in other.json["detail"]
    assert who(OKAFOR).post(path, body, headers=key).json["id"] != first.json["id"]


def test_a_key_that_was_used_for_another_provider_makes_another_draft(world, who, whole):
    world.modify_ldif(f"""dn: {world.association("a-chen-practice", "patel-md")}
changetype: add
objectClass: scfAssociation
scfUser: {world.person("chen")}
scfEmployer: {world.organization("lakeside")}
scfProvider: {world.organization("patel-md")}
scfState: approved
""")
    form, document = whole
    key, made = {"Idempotency-Key": "draft-2"}, {}
    for provider in ("lakeside", "patel-md"):
        answer = who(CHEN).post(f"/v1/organizations/{provider}/submissions", {"form": form, "document": document}, headers=key)
        assert answer.status == 201, answer
        made[provider] = answer.json["id"]
    for provider, id in made.items():
        assert who(CHEN).get(f"/v1/submissions/{id}").json["provider"] == provider
    assert set(made.values()) <= {s["id"] for s in who(CHEN).get("/v1/submissions?limit=200").json["submissions"]}


def test_a_processor_decides_on_what_he_has_seen(who, whole):
    for step, body in (("accept", {"ticket": "T"}), ("return", {"reason": "no"})):
        made = draft(who(CHEN), whole)
        where = f"/v1/submissions/{made['id']}"
        assert who(CHEN).post(where + "/submit").status == 200
        stale = who(PROC).post(f"{where}/{step}", body, headers={"If-Match": f'"{made["revision"]}"'})
        assert stale.status == 412, stale
        seen = who(PROC).get(where)
        assert seen.json["status"] == "submitted" and "record" not in seen.json
        decided = who(PROC).post(f"{where}/{step}", body, headers={"If-Match": seen.headers["ETag"]})
        assert decided.status == 200, decided
        listed = {s["id"]: s for s in who(CHEN).get("/v1/submissions?limit=200").json["submissions"]}[made["id"]]
        assert decided.json["revision"] == listed["revision"] and decided.headers["ETag"] == f'"{listed["revision"]}"'


def test_a_processor_s_list_holds_no_other_state_than_was_asked_for(who, whole):
    made = draft(who(CHEN), whole)
    assert who(CHEN).post(f"/v1/submissions/{made['id']}/submit").status == 200
    for state, told in (("submitted", True), ("draft", False), ("accepted", False), ("returned", False)):
        listed = who(PROC).get(f"/v1/submissions?state={state}&limit=200").json["submissions"]
        assert (made["id"] in [s["id"] for s in listed]) == told, state
        assert {s["status"] for s in listed} <= {state}


def test_strangers_find_nothing_and_colleagues_find_their_employer_s(who, whole):
    made = draft(who(OKAFOR), whole)
    where = f"/v1/submissions/{made['id']}"
    unknown = who(OUTSIDER).get("/v1/submissions/aaaaaaaaaaaaaaaaaaaaaaaaaa")
    hidden = who(OUTSIDER).get(where)
    assert unknown.status == hidden.status == 404
    assert {**unknown.json, "request_id": 0} == {**hidden.json, "request_id": 0}
    assert who(CHEN).get(where).json["reason"] == "no_association"  # made through another employer
    assert who(OUTSIDER).get("/v1/submissions?provider=lakeside").json["submissions"] == []
    assert made["id"] in [s["id"] for s in who(OKAFOR).get("/v1/submissions").json["submissions"]]
    assert made["id"] not in [s["id"] for s in who(CHEN).get("/v1/submissions?provider=lakeside").json["submissions"]]
    for step in ("accept", "return"):
        answer = who(OKAFOR).post(f"{where}/{step}", {"reason": "mine"})
        assert (answer.status, answer.json["reason"]) == (403, "not_processor")


def test_lists_are_paged(who, whole):
    made = {draft(who(CHEN), whole)["id"] for _ in range(3)}
    found, cursor = [], ""
    while cursor is not None:
        page = who(CHEN).get("/v1/submissions?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
        assert len(page["submissions"]) <= 2
        found += [s["id"] for s in page["submissions"]]
        cursor = page.get("next")
    assert len(found) == len(set(found)) and made <= set(found)
    for query in ("limit=0", "limit=201", "limit=x", "cursor=nothing", "state=lost"):
        assert who(CHEN).get("/v1/submissions?" + query).status == 400, query


def crash_left(world, whole, number, **attributes):
    """A submission of chen's as a crash between two writes leaves it."""
    form, document = whole
    dn = f"scfSubmissionId=half-{number},ou=submissions,{world.organization('lakeside')}"
    values = {
        "objectClass": ["scfSubmission"], "scfSubmissionId": [f"half-{number}"], "scfProvider": [world.organization("lakeside")],
        "scfEmployer": [world.organization("lakeside")], "scfUser": [world.person("chen")], "scfForm": [form],
        "scfDocument": [json.dumps(document)], "scfRequestedAt": ["20261101000000Z"], **attributes}
    world.admin().add_s(dn, [(name, [v.encode() for v in value]) for name, value in values.items()])
    return dn


def test_an_acceptance_that_a_crash_cut_is_finished_at_the_start(world, whole):
    decided = {"scfState": ["submitted"], "scfEnrollmentId": ["O20261101000077"], "scfDecidedBy": [world.person("proc1")],
               "scfDecidedAt": ["20261101000000Z"]}
    dn = crash_left(world, whole, 1, **decided)
    orphan = crash_left(world, whole, 2, **{**decided, "scfEnrollmentId": ["O20261101000078"],
                                            "scfDecidedBy": [world.person("outsider")]})
    with Gateway(world, QUICK) as g:
        okafor = g.signed_in(OKAFOR)
        assert okafor.get("/v1/records/O20261101000077").json["document"] == whole[1]
        found = world.admin().search_s(dn, 0, "(objectClass=*)", ["scfState"])[0][1]
        assert found["scfState"] == [b"accepted"]
        # Whoever decided that one may not process any more: it is as if he had not.
        found = world.admin().search_s(orphan, 0, "(objectClass=*)")[0][1]
        assert found["scfState"] == [b"submitted"] and "scfEnrollmentId" not in found
        assert okafor.get("/v1/records/O20261101000078").status == 404


def test_two_processors_decide_and_one_of_them_does(who, whole, gateway):
    import threading
    for _ in range(20):
        made = draft(who(CHEN), whole)
        where = f"/v1/submissions/{made['id']}"
        assert who(CHEN).post(where + "/submit").status == 200
        one, other = gateway.signed_in(PROC), gateway.signed_in(PROC)
        results = {}

        def decide(name, api, step, body):
            results[name] = api.post(f"{where}/{step}", body)

        threads = [threading.Thread(target=decide, args=("accept", one, "accept", {"ticket": "T"})),
                   threading.Thread(target=decide, args=("return", other, "return", {"reason": "no"}))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(r.status for r in results.values()) in ([200, 409], [200, 412]), results
        status = who(CHEN).get(where).json["status"]
        assert status == ("accepted" if results["accept"].status == 200 else "returned")


NO_DOCUMENTS = {"": "is empty; a JSON object is needed", "[]": "must be a JSON object", '{"a":1,"a":2}': "is not JSON: line 1 ",
                "\xff": "is not UTF-8", '{"a":' * 33: "is nested more than 32 levels deep"}


@pytest.mark.parametrize("body", NO_DOCUMENTS)
def test_what_is_no_document_is_told_in_a_sentence(who, whole, body):
    """Of records and drafts the document is the body; of others the body holds it."""
    json_type = {"Content-Type": "application/json"}
    where = f"/v1/submissions/{draft(who(CHEN), whole)['id']}"
    for path in ("/v1/records/O20240115000001", where):
        tag = {"If-Match": who(CHEN).get(path).headers["ETag"]}
        answer = who(CHEN).put(path, body.encode("latin-1"), headers={**json_type, **tag})
        assert answer.status == 422 and answer.json["detail"].startswith("The document " + NO_DOCUMENTS[body]), answer
        assert [e["pointer"] for e in answer.json["errors"]] == [""]
    for path in ("/v1/organizations/lakeside/submissions", "/v1/explain", "/v1/login", "/v1/cases"):
        api = who("audit1" if path == "/v1/explain" else CHEN)
        answer = api.post(path, body.encode("latin-1"), headers=json_type, token=path != "/v1/login")
        assert answer.status == 400 and answer.json["detail"].startswith("The body " + NO_DOCUMENTS[body]), (path, answer)
    assert who(CHEN).delete(where).status == 204


def test_a_member_without_a_name_is_told_as_one(who, whole):
    tag = {"If-Match": who(CHEN).get("/v1/records/O20240115000001").headers["ETag"]}
    answer = who(CHEN).put("/v1/records/O20240115000001", {**whole[1], "": 1}, headers=tag)
    assert (answer.status, answer.json["detail"]) == (422, "'' is not a member of this form."), answer
    assert [e["pointer"] for e in answer.json["errors"]] == ["/"]


def test_numbers_are_written_as_short_as_they_were(world, who, whole):
    numbers = [0.1, 0.3, 2.5, -1e-7, 1e300, 3.0, 0.1 + 0.2, 5e-324, 2 ** 53 + 2.0, 7]
    form, _ = whole
    path = "/v1/organizations/lakeside/submissions"
    made = who(CHEN).post(path, {"form": form, "document": {"a": 0.1, "b": {"c": [2.5]}}})
    assert made.status == 201 and b'{"a":0.1,"b":{"c":[2.5]}}' in made.body, made
    exact = who(CHEN).post(path, {"form": form, "document": {"a": numbers}})
    assert exact.json["document"]["a"] == numbers
    for one in (made, exact):
        assert who(CHEN).delete(f"/v1/submissions/{one.json['id']}").status == 204
