"""A client that knows nothing but docs/openapi.yaml walks every call, in one story. Before a call is made for the first time
it is made wrongly, in each way that the document knows; that must change nothing. Every answer is held against the document."""
import json
import re
import time
import urllib.error
import urllib.request

import ldap
import pytest

from api import PASSWORD, SECRET, Answer
from gateway import ROOT, Gateway
from openapi import Document, wrongs
from totp import next_code

PDF = b"%PDF-1.4\n1 0 obj << >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
PASSPHRASE, ANOTHER, THIRD = "seven grey herons at dusk", "eight brown otters at noon", "nine white egrets in rain"
FOURTH, FIFTH = "ten spotted frogs by moonlight", "eleven loud geese over water"
WHY = {"ticket": "EUS-4711", "reason": "papers are in order"}
CALLED = {**WHY, "identified_by": "called back at the number on file"}
RECORD = "O20240115000001"
THROUGH = {"acting_for": "lakeside"}
STALE = {"If-Match": '"19700101000000.000000Z#000000#000#000000"'}
# What takes members that it does not know: AuthZEN says so; the others take a form's document.
OPEN_BODIES = {"evaluate", "updateRecord", "updateSubmission"}
# No parameters are judged: nginx asks about another request, and operators' calls take what a probe sends.
OPEN_QUERIES = {"authorizeForNginx", "evaluate"}


def misfits(schema):
    """Values that the schema of a member does not take."""
    kind = schema.get("type", "string" if "enum" in schema else None)
    yield from ({"boolean": ["yes", 1], "array": ["x", [7], [""]], "object": ["x", []]}.get(kind, [7, None, {}]))
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
    if "maxItems" in schema:
        yield ["x"] * (schema["maxItems"] + 1)
    if "enum" in schema or "pattern" in schema:
        yield "No such word"
    if schema.get("format") == "date-time":
        yield "yesterday"
    yield from ([odd] for odd in misfits(schema["items"])) if kind == "array" else ()


class Walker:
    """Makes calls by the names that the document gives them, and keeps which of them have succeeded."""

    def __init__(self, gateway, document):
        self.gateway, self.document = gateway, document
        self.visited = set()
        self.cookie = None  # of a session whose CSRF token is kept to itself

    def _send(self, api, operation, target, body, kind, headers, token=True):
        if operation.for_operators:
            return self._ask_operations(target)
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = kind
            body = body if isinstance(body, bytes) else json.dumps(body)
        return api.request(operation.method, target, body=body, headers=sent, token=token)

    def _ask_operations(self, target):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.operations_port}{target}", timeout=10) as got:
                return Answer(got.status, got.headers, got.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read())

    def _wrong(self, api, operation, ids, query, body, kind, headers):
        """Every way to ask wrongly that can be told from the document: (what, answer, status, what it must name)."""
        target = operation.target(ids, query)
        if operation.security:
            yield "nobody", self._send(api, operation, target, body, kind, headers, token=None), 401, ""
        if "cookie" in operation.security and operation.method != "GET":
            sent = {**(headers or {}), "Cookie": self.cookie}
            yield "the CSRF token", self._send(api, operation, target, body, kind, sent, token=None), 403, "X-CSRF-Token"
        if operation.id not in OPEN_QUERIES and not operation.for_operators:
            odd = operation.target(ids, {**(query or {}), "colour": "blue"})
            yield "a parameter", self._send(api, operation, odd, body, kind, headers), 400, "colour"
        if kind == "application/json" and operation.id not in OPEN_BODIES:
            odd = {**body, "colour": "blue"}
            yield "a member", self._send(api, operation, target, odd, kind, headers), 400, "colour"
        if body is not None:
            status = 400 if operation.id == "evaluate" else 415
            yield "a type", self._send(api, operation, target, body, "text/csv", headers), status, "Content-Type"
        if ("header", "If-Match") in operation.parameters:
            stale = {**(headers or {}), **STALE}
            yield "an entity tag", self._send(api, operation, target, body, kind, stale), 412, "precondition_failed"
        if ids:
            unknown = operation.target(["nothing-there"] * len(ids), query)
            yield "a name", self._send(api, operation, unknown, body, kind, headers), (403, 404), ""
        if ("header", "Scfgate-At-Least") in operation.parameters and operation.id != "authorizeForNginx":
            no_revision = {**(headers or {}), "Scfgate-At-Least": "yesterday"}
            yield "a revision", self._send(api, operation, target, body, kind, no_revision), 400, "Scfgate-At-Least"

    def _misfits(self, api, operation, ids, query, body, kind, headers):
        """Every member and parameter missing, of another type, too long or no word of its list: (what, answer, naming)."""
        judged = kind == "application/json" and operation.id not in OPEN_BODIES
        schema = operation.bodies[kind]["schema"] if judged else {}
        for name in schema.get("required", ()):
            rest = {member: value for member, value in body.items() if member != name}
            yield f"{name} missing", self._send(api, operation, operation.target(ids, query), rest, kind, headers), name
        for name, of in schema.get("properties", {}).items():
            for odd in misfits(of):
                answer = self._send(api, operation, operation.target(ids, query), {**body, name: odd}, kind, headers)
                yield f"{name} = {str(odd)[:20]}", answer, name
        for (place, name), of in operation.parameters.items():
            if place != "query" or operation.id in OPEN_QUERIES:
                continue
            rest = {parameter: value for parameter, value in (query or {}).items() if parameter != name}
            if of.get("required"):
                answer = self._send(api, operation, operation.target(ids, rest), body, kind, headers)
                yield f"{name} missing", answer, name
            odds = ["", "x" * 257] + (["0", "201"] if name == "limit" else [])
            odds += ["no-such-word"] if "enum" in of["schema"] or name in ("state", "cursor", "limit") else []
            for odd in odds:
                answer = self._send(api, operation, operation.target(ids, {**rest, name: odd}), body, kind, headers)
                yield f"{name} = {odd[:20]}", answer, name

    def __call__(self, api, name, *ids, body=None, kind="application/json", query=None, headers=None, want=None):
        """The answer. want: the status, or any that is a success."""
        operation = self.document.operations[name]
        kind = kind if body is not None else None
        if want is None:
            operation.check_request(query, headers, body, kind)
        if name not in self.visited and want is None:
            for what, answer, status, naming in self._wrong(api, operation, ids, query, body, kind, headers):
                assert answer.status in (status if isinstance(status, tuple) else (status,)), f"{what}: {operation}: {answer}"
                operation.check_answer(answer)
                assert naming in answer.body.decode(), f"{what}: {operation}: {answer}"
            for what, answer, naming in self._misfits(api, operation, ids, query, body, kind, headers):
                assert answer.status in (400, 412, 422), f"{operation} with {what}: {answer}"
                operation.check_answer(answer)
                assert naming in answer.body.decode(), f"{operation} with {what}: {answer}"
        answer = self._send(api, operation, operation.target(ids, query), body, kind, headers)
        assert answer.status == want if want else 200 <= answer.status < 300, f"{operation}: {answer}"
        operation.check_answer(answer)
        if want is None:
            self.visited.add(name)
        return answer


@pytest.fixture(scope="module")
def gateway(world, mail):
    many = {"sign_in.refusal_ms": 10, "account.mails_per_address": 1000, "account.mails_per_account": 100,
            "help.eus_mail": "eus@mail.example", "help.eus_hours": "Monday to Friday"}
    with Gateway(world, many, mail=mail) as g:
        yield g


@pytest.fixture(scope="module")
def document():
    return Document(ROOT / "docs" / "openapi.yaml")


@pytest.fixture(scope="module")
def walk(gateway, document):
    walker = Walker(gateway, document)
    begun = gateway.api().post("/v1/login", {"username": "audit1", "password": PASSWORD, "cookie": True})
    walker.cookie = begun.headers["Set-Cookie"].split(";")[0]
    return walker


@pytest.fixture(scope="module")
def as_(gateway):
    """A signed-in client for each person, by user ID."""
    known = {}

    def api(uid):
        if uid not in known:
            known[uid] = gateway.signed_in(uid)
        return known[uid]

    return api


@pytest.fixture(scope="module")
def story():
    """Ids that later parts of the story need."""
    return {}


def pages(walk, api, name, **query):
    """The first page of one thing, and the one behind it."""
    first = walk(api, name, query={**query, "limit": "1"})
    return walk(api, name, query={**query, "limit": "1", "cursor": first.json["next"]})


def tag(answer):
    return {"If-Match": answer.headers["ETag"]}


def test_the_document_is_whole(document):
    assert len(document.operations) > 80
    assert document.unused() == []
    tags = {tag["name"] for tag in document.tree["tags"]}
    for operation in document.operations.values():
        variables = re.findall(r"\{(\w+)\}", operation.path)
        told = {name: parameter for (place, name), parameter in operation.parameters.items() if place == "path"}
        assert set(variables) == set(told) and all(parameter["required"] for parameter in told.values()), operation
        assert set(operation.security) <= set(document.tree["components"]["securitySchemes"]), operation
        assert set(operation.said["tags"]) <= tags and operation.said["summary"], operation
        assert all(response["description"] for response in operation.responses.values()), operation
        for content in operation.bodies.values():
            assert "example" not in content or wrongs(content["schema"], content["example"]) == [], operation


def test_help_for_everybody(walk, gateway):
    topics = walk(gateway.api(), "help").json["topics"]
    walk(gateway.api(), "helpTopic", topics[0]["id"])
    walk(gateway.api(), "helpTopic", "no-such-topic", want=404)


def test_an_account_from_the_first_mail_on(walk, gateway, mail, story, as_):
    nobody = gateway.api()
    walk(nobody, "register", body={"name": "Olga Official", "mail": "olga@brook.example", "username": "olga"})
    token = mail.token("olga@brook.example")
    made = walk(nobody, "finishRegistration", token, body={"password": PASSPHRASE, "phone": "+1 312 555 0111"})
    walk(nobody, "finishRegistration", token, body={"password": PASSPHRASE}, want=404)
    walk(nobody, "finishRegistration", "A" * 43, body={"password": "short"}, want=404)
    uid = story["olga"] = made.json["username"]
    olga = gateway.api()
    walk(olga, "login", body={"username": uid, "password": "not the right passphrase"}, want=401)
    olga.token = walk(olga, "login", body={"username": uid, "password": PASSPHRASE}).json["token"]
    by_cookie = walk(gateway.api(), "login", body={"username": uid, "password": PASSPHRASE, "cookie": True})
    assert "token" not in by_cookie.json and "Set-Cookie" in by_cookie.headers
    walk(olga, "me")
    olga.token = walk(olga, "reauthenticate", body={"password": PASSPHRASE}).json["token"]
    sessions = walk(olga, "listSessions").json["sessions"]
    other = next(s["id"] for s in sessions if not s["current"])
    walk(olga, "endSession", other)
    walk(olga, "endSession", "0" * 64, want=404)
    seen = walk(olga, "viewProfile")
    walk(olga, "changeProfile", body={"name": "Olga Officer"}, want=428)
    seen = walk(olga, "changeProfile", body={"name": "Olga Officer", "mail": "olga@new.example", "phone": "+1 312 555 0112"},
                headers=tag(seen))
    walk(olga, "changeProfile", body={"mail": "nowhere"}, headers=tag(seen), want=422)
    walk(nobody, "confirmMail", mail.token("olga@new.example"))
    walk(olga, "changeProfile", body={"phone": ""}, headers=STALE, want=412)
    practitioner = walk(as_("patel"), "viewProfile")
    walk(as_("patel"), "changeProfile", body={"phone": ""}, headers=tag(practitioner), want=403)
    walk(olga, "changePassword", body={"old_password": PASSPHRASE, "new_password": "short"}, want=422)
    changed = walk(olga, "changePassword", body={"old_password": PASSPHRASE, "new_password": ANOTHER})
    before = len(mail.to("olga@new.example"))
    walk(nobody, "requestPasswordReset", body={"mail": "nobody@elsewhere.example"})
    walk(nobody, "requestPasswordReset", body={"username": uid})
    token = mail.token("olga@new.example", before)
    walk(nobody, "resetPassword", token, body={"new_password": "short"}, want=422)
    walk(nobody, "resetPassword", token, body={"new_password": THIRD})
    olga.token = changed.json["token"]
    walk(olga, "me", want=401)
    story["olga_api"] = olga
    olga.token = walk(olga, "login", body={"username": uid, "password": THIRD}).json["token"]


def test_a_password_that_grows_old(walk, world, gateway, story):
    admin, policy = world.admin(), f"cn=people,ou=policies,{world.suffix}"
    first = {"username": story["olga"], "password": FOURTH}
    walk(gateway.api(), "login", body={**first, "password": THIRD, "new_password": FOURTH, "realm": "local"})
    for age, members in ((1000, {"password_expires"}), (1, {"grace"})):
        admin.modify_s(policy, [(ldap.MOD_REPLACE, name, str(value).encode()) for name, value in
                                (("pwdMaxAge", age), ("pwdExpireWarning", age), ("pwdGraceAuthnLimit", 1))])
        time.sleep(2.1)  # the directory counts whole seconds
        assert members <= set(walk(gateway.api(), "login", body=first).json)
    walk(gateway.api(), "login", body=first, want=403)
    admin.modify_s(policy, [(ldap.MOD_REPLACE, name, value) for name, value in
                            (("pwdMaxAge", b"0"), ("pwdExpireWarning", None), ("pwdGraceAuthnLimit", None))])


def test_a_second_factor(walk, world, story):
    olga, uid = story["olga_api"], story["olga"]
    olga.token = walk(olga, "login", body={"username": uid, "password": FOURTH}).json["token"]
    walk(olga, "secondFactor")
    walk(olga, "confirmSecondFactor", body={"code": "123456"}, want=404)
    secret = walk(olga, "enrolSecondFactor").json["secret"]
    walk(olga, "confirmSecondFactor", body={"code": "not one"}, want=422)
    walk(olga, "confirmSecondFactor", body={"code": next_code(world, uid, secret)})
    walk(olga, "enrolSecondFactor", want=409)
    walk(olga, "newRecoveryCodes", want=403)
    proof = {"password": FOURTH, "otp": next_code(world, uid, secret)}
    olga.token = walk(olga, "reauthenticate", body=proof).json["token"]
    renewal = {"old_password": FOURTH, "new_password": FIFTH, "otp": next_code(world, uid, secret)}
    olga.token = walk(olga, "changePassword", body=renewal).json["token"]
    proof = {"username": uid, "password": FIFTH, "otp": next_code(world, uid, secret)}
    olga.token = walk(olga, "login", body=proof).json["token"]
    walk(olga, "newRecoveryCodes")
    walk(olga, "removeSecondFactor")
    walk(olga, "removeSecondFactor", want=404)


def test_decisions(walk, gateway, as_):
    rivera, portal, stranger = as_("rivera"), gateway.api(), as_("outsider")
    portal.token = SECRET
    asked = {"X-Original-Method": "GET", "X-Original-URI": f"/enrollments/{RECORD}"}
    walk(rivera, "authorizeForNginx", headers=asked)
    walk(stranger, "authorizeForNginx", headers=asked, want=403)
    question = {"subject": {"type": "user", "id": "okafor"}, "action": {"name": "record.view"},
                "resource": {"type": "record", "id": RECORD}}
    fresh = walk(portal, "evaluate", body=question).headers["Scfgate-Revision"]
    through = {"type": "user", "id": "okafor", "properties": {"employer": "meridian"}}
    walk(portal, "evaluate", body={**question, "subject": through, "context": {"at_least_as_fresh": fresh}})
    for subject in ("okafor", "ito", "nobody-here"):
        walk(portal, "evaluate", body={**question, "subject": {"type": "user", "id": subject}, "context": {"explain": True}})
        walk(portal, "explain", body={"subject": subject, "action": "record.view", "resource": question["resource"]})
    walk(as_("audit1"), "explain", body={"subject": "audit1", "action": "audit.read"})
    walk(as_("audit1"), "explain", body={"subject": "ito", "action": "association.approve", "employer": "meridian",
                                         "resource": {"type": "association", "id": "a-ito-meridian"}})
    walk(rivera, "explain", body={"subject": "okafor", "action": "audit.read"}, want=403)


def test_records(walk, as_, story):
    chen = as_("chen")
    first = walk(chen, "listRecords", query={"provider": "lakeside", "limit": "1", **THROUGH})
    walk(chen, "listRecords", query={"provider": "lakeside", "cursor": first.json["next"], **THROUGH})
    seen = walk(chen, "viewRecord", RECORD, query=THROUGH)
    story["form"], story["document"] = seen.json["form"], seen.json["document"]
    walk(chen, "updateRecord", RECORD, body=seen.json["document"], want=428)
    walk(chen, "updateRecord", RECORD, body={"colour": "blue"}, headers=tag(seen), want=422)
    walk(chen, "updateRecord", RECORD, body=seen.json["document"], headers=tag(seen), query=THROUGH)
    walk(chen, "updateRecord", RECORD, body=seen.json["document"], headers=tag(seen), want=412)
    walk(as_("novak"), "viewRecord", RECORD, want=403)
    walk(as_("outsider"), "viewRecord", RECORD, want=404)
    walk(as_("outsider"), "listRecords", query={"provider": "lakeside"}, want=404)


def test_submissions(walk, as_, story):
    chen, processor = as_("chen"), as_("proc1")
    whole = {"form": story["form"], "document": story["document"], **THROUGH}

    def draft():
        return walk(chen, "createSubmission", "lakeside", body=whole)

    made = draft()
    walk(chen, "createSubmission", "lakeside", body={**whole, "form": "no-such-form"}, want=422)
    walk(as_("ito"), "createSubmission", "lakeside", body=whole, want=403)
    walk(as_("outsider"), "createSubmission", "no-such-provider", body=whole, want=404)
    draft(), draft()
    first = walk(chen, "listSubmissions", query={"limit": "2"})
    assert len(first.json["submissions"]) == 2
    walk(chen, "listSubmissions", query={"provider": "lakeside", "state": "draft", "cursor": first.json["next"]})
    seen = walk(chen, "viewSubmission", made.json["id"], query=THROUGH)
    walk(chen, "updateSubmission", made.json["id"], body=whole["document"], want=428)
    lacking = {k: v for k, v in whole["document"].items() if k != sorted(whole["document"])[0]}
    seen = walk(chen, "updateSubmission", made.json["id"], body=lacking, headers=tag(seen), query=THROUGH)
    walk(chen, "submitSubmission", made.json["id"], want=422)
    walk(chen, "updateSubmission", made.json["id"], body=whole["document"], headers=tag(made), want=412)
    walk(chen, "deleteSubmission", made.json["id"], headers=tag(seen), query=THROUGH)
    walk(chen, "deleteSubmission", made.json["id"], want=404)
    for act, body in (("acceptSubmission", WHY), ("returnSubmission", WHY)):
        id = draft().json["id"]
        walk(processor, act, id, body=body, want=409)
        walk(chen, "submitSubmission", id, query=THROUGH)
        walk(chen, "submitSubmission", id, want=409)
        walk(chen, "deleteSubmission", id, want=409)
        submitted = walk(processor, "viewSubmission", id)
        walk(processor, act, id, body={}, want=400)
        walk(chen, act, id, body=body, want=403)
        walk(processor, act, id, body=body, headers=tag(submitted))
        walk(processor, act, id, body=body, want=409)
        assert walk(chen, "viewSubmission", id).json["decided_by"] == "proc1"


def claim(walk, api, provider):
    told = {"document_kind": "cp575", "note": "the letter"}
    return walk(api, "submitClaim", provider, body=PDF, kind="application/pdf", query=told)


def employer(walk, api, name, tin):
    told = {"name": name, "tin": tin, "tin_kind": "ein", "roles": ["employer"]}
    return walk(api, "registerOrganization", body=told).json["id"]


def test_organizations_and_who_is_their_official(walk, as_, story):
    olga, desk, quinn = story["olga_api"], as_("desk1"), as_("quinn")
    described = {"name": "Brook Street Clinic, LLC", "tin": "36-9182736", "tin_kind": "ein", "npis": ["1992708929"],
                 "address": ["1 Brook St", "Springfield IL 62701"], "roles": ["provider", "employer"]}
    made = walk(olga, "registerOrganization", body=described, headers={"Idempotency-Key": "brook-1"})
    again = walk(olga, "registerOrganization", body=described, headers={"Idempotency-Key": "brook-1"})
    assert (made.status, again.status) == (201, 200)
    walk(olga, "registerOrganization", body={"name": "No Number"}, want=422)
    walk(olga, "registerOrganization", body=described, want=409)
    brook = story["brook"] = made.json["id"]
    walk(olga, "listOrganizations")
    pages(walk, desk, "listOrganizations", state="active")
    seen = walk(olga, "getOrganization", brook)
    walk(as_("outsider"), "getOrganization", brook, want=404)
    walk(olga, "getOrganization", "no-such-organization", want=404)
    walk(olga, "updateOrganization", brook, body={"address": ["2 Brook St"]}, want=428)
    anew = {name: described[name] for name in ("name", "tin", "tin_kind", "npis")}
    walk(olga, "updateOrganization", brook, body={**anew, "address": ["2 Brook St"]}, headers=tag(seen))
    walk(olga, "updateOrganization", brook, body={"address": ["3 Brook St"]}, headers=tag(seen), want=412)
    first, second, third = claim(walk, olga, brook), claim(walk, quinn, brook), claim(walk, as_("chen"), brook)
    walk(olga, "submitClaim", brook, body=PDF, kind="application/pdf", query={"document_kind": "147c"}, want=409)
    walk(olga, "submitClaim", brook, body=b"words", kind="application/pdf", query={"document_kind": "147c"}, want=415)
    walk(desk, "listClaims", query={"provider": brook, "state": "submitted"})
    walk(olga, "listClaims")
    id = first.json["id"]
    for who in (olga, desk, as_("audit1")):
        walk(who, "getClaim", id)
    walk(as_("outsider"), "getClaim", id, want=404)
    assert walk(desk, "readClaimDocument", id).body == PDF
    walk(desk, "compareClaim", id, body={"name": "BROOK STREET CLINIC LLC", "tin": "369182736"})
    walk(desk, "approveClaim", id, body={}, want=400)
    walk(olga, "approveClaim", id, body=WHY, want=403)
    walk(desk, "approveClaim", id, body=WHY)
    walk(desk, "approveClaim", second.json["id"], body=WHY, want=409)
    walk(quinn, "withdrawClaim", second.json["id"])
    walk(desk, "rejectClaim", third.json["id"], body={"ticket": "EUS-1"}, want=400)
    walk(desk, "rejectClaim", third.json["id"], body=CALLED)
    mill = story["mill"] = employer(walk, quinn, "Paper Mill, Inc.", "361234567")
    walk(desk, "helpDeskQueue", query={"kind": "verification"})
    for step in ("verifyOrganization", "suspendOrganization", "reinstateOrganization"):
        walk(desk, step, mill, body=CALLED)
        walk(desk, step, mill, body=WHY, want=409)
        walk(quinn, step, mill, body=WHY, want=403)
    twin = walk(quinn, "registerOrganization", body={**described, "name": "Brook Street Clinic"})
    seen = walk(desk, "getClaim", claim(walk, quinn, twin.json["id"]).json["id"])
    assert seen.json["organization"]["tin_held_by"] == brook
    pages(walk, desk, "listClaims")
    walk(as_("osei"), "registerOrganization", body={"name": "Kwame Osei, MD", "provider_kind": "individual"})
    walk(desk, "closeOrganization", employer(walk, quinn, "Short Lived, Inc.", "361234568"), body=WHY)


def test_associations(walk, world, as_, story):
    olga, desk, chen, novak = story["olga_api"], as_("desk1"), as_("chen"), as_("novak")
    brook, mill = story["brook"], story["mill"]

    def ask(api, employer):
        return walk(api, "requestAssociation", body={"provider": brook, "employer": employer}).json["id"]

    id = ask(chen, brook)
    walk(chen, "requestAssociation", body={"provider": brook, "employer": brook}, want=409)
    walk(chen, "requestAssociation", body={"provider": "no-such-provider", "employer": brook}, want=404)
    walk(olga, "listAssociations", query={"provider": brook, "state": "pending"})
    pages(walk, desk, "listAssociations", user="chen")
    walk(desk, "listAssociations", query={"employer": "meridian"})
    for who in (chen, olga, desk):
        walk(who, "getAssociation", id)
    walk(as_("outsider"), "getAssociation", id, want=404)
    walk(chen, "approveAssociation", id, body={}, want=403)
    seen = walk(olga, "getAssociation", id)
    walk(olga, "approveAssociation", id, body={}, headers=STALE, want=412)
    walk(olga, "approveAssociation", id, body={}, headers=tag(seen))
    walk(olga, "approveAssociation", id, body={}, want=409)
    walk(olga, "endAssociation", id, body={"reason": "has moved on"})
    id = ask(chen, brook)
    walk(olga, "approveAssociation", id, body={})
    walk(desk, "endAssociation", id, body=CALLED)
    world.set_values(world.association("a-chen-lakeside"), "scfNotAfter", "20990101000000Z")
    walk(as_("rivera"), "listAssociations", query={"provider": "lakeside"})
    rejected = ask(chen, brook)
    walk(olga, "rejectAssociation", rejected, body={}, want=400)
    walk(olga, "rejectAssociation", rejected, body={"reason": "not known here"})
    walk(chen, "cancelAssociation", ask(chen, brook), body={})
    story["chen"], left = ask(chen, mill), ask(novak, mill)
    walk(olga, "approveAssociation", story["chen"], body={})
    walk(olga, "approveAssociation", left, body={})
    assert walk(novak, "leaveEmployer", mill).json["ended"] == [left]
    walk(novak, "leaveEmployer", "no-such-employer", want=404)


def test_consent_forms(walk, as_, story, gateway):
    olga, desk, brook, mill = story["olga_api"], as_("desk1"), story["brook"], story["mill"]

    def prepare():
        return walk(olga, "prepareConsent", body={"provider": brook, "employer": mill})

    def sign(form):
        return walk(olga, "signConsent", form.json["id"], body={"text_sha256": form.json["text_sha256"]})

    key = {"Idempotency-Key": "consent-1"}
    asked = {"provider": brook, "employer": mill, "not_after": "2099-01-01T00:00:00Z"}
    form = walk(olga, "prepareConsent", body=asked, headers=key)
    again = walk(olga, "prepareConsent", body=asked, headers=key)
    assert (form.status, again.status) == (201, 200)
    walk(olga, "prepareConsent", body={**asked, "not_after": "2001-01-01T00:00:00Z"}, want=422)
    walk(as_("chen"), "prepareConsent", body={"provider": brook, "employer": mill}, want=403)
    id = form.json["id"]
    walk(olga, "listConsents", query={"provider": brook, "state": "prepared"})
    walk(desk, "listConsents", query={"tracking_id": form.json["tracking_id"]})
    walk(olga, "viewConsent", id)
    for kind in ("text/html", "application/pdf", "text/plain"):
        assert walk(olga, "readConsentForm", id, headers={"Accept": kind}).headers["Content-Type"].startswith(kind)
    walk(olga, "readConsentForm", id, headers={"Accept": "audio/ogg"}, want=406)
    walk(olga, "signConsent", id, body={"text_sha256": "0" * 64}, want=412)
    sign(form)
    walk(desk, "approveConsent", id, body={}, want=400)
    walk(desk, "approveConsent", id, body=WHY)
    walk(desk, "approveConsent", id, body=WHY, want=409)
    walk(desk, "viewConsent", id)
    walk(desk, "revokeConsent", id, body=WHY)
    paper = prepare().json["id"]
    walk(desk, "readConsentScan", paper, want=404)
    walk(desk, "keepConsentScan", paper, body=PDF, kind="application/pdf", query={"ticket": "EUS-2", "reason": "came by post"})
    walk(desk, "keepConsentScan", paper, body=b"words", kind="application/pdf", query={"ticket": "EUS-2"}, want=415)
    assert walk(desk, "readConsentScan", paper).body == PDF
    walk(desk, "receiveConsent", paper, body=CALLED)
    walk(desk, "helpDeskQueue", query={"kind": "consent"})
    walk(desk, "rejectConsent", paper, body=WHY)
    walk(olga, "withdrawConsent", prepare().json["id"], body={})
    begins = {"not_before": "2099-01-01T00:00:00Z", "not_after": "2099-02-01T00:00:00Z"}
    walk(olga, "prepareConsent", body={"provider": brook, "employer": brook, **begins})
    last = prepare()
    pages(walk, desk, "listConsents")
    walk(desk, "listConsents", query={"employer": mill})
    sign(last)
    walk(desk, "approveConsent", last.json["id"], body=WHY)
    story["consent"] = last.json["id"]


def test_another_official_confirms(walk, as_, story):
    quinn, desk, brook = as_("quinn"), as_("desk1"), story["brook"]
    walk(desk, "replaceOfficial", claim(walk, quinn, brook).json["id"], body=WHY)
    assert walk(quinn, "getOrganization", brook).json["official"] == "quinn"
    assert walk(quinn, "confirmConsent", story["consent"], body={}).json["needs_confirmation"] is False
    assert walk(quinn, "confirmAssociation", story["chen"], body={}).json["needs_confirmation"] is False


def test_revoking_an_employers_access(walk, as_, story):
    quinn, desk, brook, mill = as_("quinn"), as_("desk1"), story["brook"], story["mill"]
    asked = walk(quinn, "requestRevocation", brook, mill, body={"reason": "the contract is over"})
    again = walk(quinn, "requestRevocation", brook, mill, body={"reason": "the contract is over"})
    assert (asked.status, again.status) == (201, 200)
    walk(as_("chen"), "requestRevocation", brook, mill, body={"reason": "I do not like them"}, want=403)
    walk(desk, "helpDeskQueue", query={"kind": "revocation", "provider": brook})
    walk(desk, "listRevocations")
    walk(quinn, "listRevocations", query={"provider": brook, "state": "submitted"})
    walk(quinn, "listRevocations", want=403)
    seen = walk(quinn, "getRevocation", asked.json["id"])
    walk(as_("outsider"), "getRevocation", asked.json["id"], want=404)
    walk(desk, "declineRevocation", asked.json["id"], body=WHY, headers=tag(seen))
    asked = walk(quinn, "requestRevocation", brook, mill, body={"reason": "it really is"})
    walk(desk, "executeRevocation", asked.json["id"], body=WHY, want=400)
    walk(desk, "executeRevocation", asked.json["id"], body=CALLED)
    pages(walk, desk, "listRevocations")
    walk(desk, "viewCase", asked.json["id"])
    assert walk(quinn, "getOrganization", brook).json["barred_employers"] == [mill]
    walk(desk, "executeRevocation", asked.json["id"], body=CALLED, want=409)
    walk(quinn, "reinstateEmployer", brook, mill, body=CALLED, want=403)
    walk(desk, "reinstateEmployer", brook, mill, body=CALLED)
    walk(desk, "reinstateEmployer", brook, mill, body=CALLED, want=409)


def test_the_help_desk_and_accounts(walk, gateway, as_, story):
    desk, novak = as_("desk1"), as_("novak")
    opened = walk(novak, "openCase", body={"note": "I have lost my telephone"})
    again = walk(novak, "openCase", body={"note": "I have lost my telephone"})
    assert (opened.status, again.status) == (201, 200)
    for who in (novak, desk):
        walk(who, "viewCase", opened.json["id"])
    walk(as_("outsider"), "viewCase", opened.json["id"], want=404)
    pages(walk, desk, "helpDeskQueue")
    walk(novak, "helpDeskQueue", want=403)
    walk(desk, "closeCase", opened.json["id"], body={}, want=400)
    walk(desk, "closeCase", opened.json["id"], body=CALLED)
    walk(desk, "closeCase", opened.json["id"], body=WHY, want=409)
    gateway.api().login("okafor", "not the right passphrase")
    for uid in ("okafor", "patel", story["olga"]):
        walk(desk, "helpDeskAccount", uid)
    walk(desk, "helpDeskAccount", "nobody-here", want=404)
    walk(novak, "helpDeskAccount", "okafor", want=403)
    walk(desk, "unlockAccount", "okafor", body=WHY, want=400)
    walk(desk, "unlockAccount", "desk1", body=CALLED, want=403)
    walk(desk, "unlockAccount", "patel", body=CALLED, want=403)
    walk(desk, "enableAccount", "okafor", body=CALLED, want=409)
    for act in ("unlockAccount", "resetAccount", "removeAccountSecondFactor", "disableAccount", "enableAccount",
                "disableAccount", "removeAccount"):
        walk(desk, act, "okafor", body=CALLED)
    walk(desk, "reportFraud", "quinn", body={}, want=400)
    assert story["brook"] in walk(desk, "reportFraud", "quinn", body=CALLED).json["suspended"]
    walk(desk, "helpDeskAccount", "quinn")


def test_operators_and_signing_out(walk, as_, story):
    for call in ("live", "ready", "metrics"):
        walk(None, call)
    walk(story["olga_api"], "logout")
    walk(story["olga_api"], "logout", want=401)


def test_every_call_of_the_document_has_been_walked(walk, document):
    assert sorted(set(document.operations) - walk.visited) == []


def test_whoever_must_get_a_second_factor_is_told_so_as_documented(world, document):
    """A session that can do nothing but enrol: 403, with a reason, from every call but those of enrolling itself."""
    with Gateway(world, {"sign_in.second_factor_for": ["helpdesk"], "sign_in.refusal_ms": 10}) as strict:
        walk = Walker(strict, document)
        desk = strict.api()
        begun = walk(desk, "login", body={"username": "desk2", "password": PASSWORD}, want=200)
        assert begun.json["mfa_required"] is True
        desk.token = begun.json["token"]
        assert walk(desk, "me", want=200).json["mfa_required"] is True
        answers = {}
        for operation in document.operations.values():
            if operation.security[:1] == ["session"] and operation.id not in ("authorizeForNginx", "logout"):
                ids = ["nothing"] * operation.path.count("{")
                kind = next(iter(operation.bodies), None)
                body = {} if kind == "application/json" else b"" if kind else None
                answer = walk._send(desk, operation, operation.target(ids), body, kind, {})
                if answer.status == 403 and answer.reason == "mfa_required":
                    operation.check_answer(answer)
                answers[operation.id] = answer.reason if answer.status == 403 else answer.status
        free = {"me", "reauthenticate", "listSessions", "endSession", "secondFactor", "enrolSecondFactor", "confirmSecondFactor",
                "newRecoveryCodes", "removeSecondFactor"}
        assert {id for id, told in answers.items() if told != "mfa_required"} == free, answers


def test_every_member_of_every_answer_has_been_seen(document):
    """What is documented and never comes is as wrong as what comes undocumented."""
    told = set().union(*(operation.told() for operation in document.operations.values()))
    seen = set().union(*(operation.seen for operation in document.operations.values()))
    assert len(told) > 150
    assert sorted(told - seen) == []


def test_every_parameter_and_member_of_every_request_has_been_used(document):
    takes = set().union(*(operation.takes() for operation in document.operations.values()))
    sent = set().union(*(operation.sent for operation in document.operations.values()))
    assert len(takes) > 80
    assert sorted(takes - sent) == []
