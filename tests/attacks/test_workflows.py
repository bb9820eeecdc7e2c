"""Attack classes 8, 9, 18–20 and 46 at everything that people ask of each other: acting on what belongs to another organization,
learning what there is from refusals, raising oneself, and getting at enrollment data past the consent. The number in a
test's name is the class's."""
import json
import re
import statistics
import threading
import time

import ldap
import pytest

from api import PASSWORD, SECRET
from gateway import ROOT
from race import SANITIZED
from test_consent import RECORD, doors, put, take, until
from test_sign_in import neutral
from timing import times_of
from world import World, ssha

PDF = b"%PDF-1.4\n1 0 obj << >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
WHY = {"reason": "looked into it", "ticket": "T-7", "identified_by": "called back"}
CANARY = "canary-4711-of-enrollment"
OLD = '"20250101000000.000000Z#000000#000#000000"'
DOCUMENT = json.dumps({"legal_business_name": CANARY})
HILL = "scfOrgId=hillcrest,ou=organizations,@SUFFIX@"
LAKE = "scfOrgId=lakeside,ou=organizations,@SUFFIX@"


def entry(dn, kind, **values):
    lines = [f"dn: {dn}", *(f"objectClass: {name}" for name in kind.split())]
    for name, value in values.items():
        lines += [f"{name}: {one}" for one in ([value] if isinstance(value, str) else value)]
    return "\n".join(lines) + "\n\n"


def person(uid):
    return entry(f"uid={uid},ou=people,@SUFFIX@", "inetOrgPerson scfPerson", cn=f"Person {uid}", sn=uid, scfState="active", scfRealm="local",
                 mail=f"{uid}@hill.example", userPassword=ssha(PASSWORD))


def tie(name, user, employer, provider, state):
    return entry(f"scfAssociationId={name},ou=associations,scfOrgId={provider},ou=organizations,@SUFFIX@", "scfAssociation",
                 scfUser=f"uid={user},ou=people,@SUFFIX@", scfEmployer=f"scfOrgId={employer},ou=organizations,@SUFFIX@",
                 scfProvider=f"scfOrgId={provider},ou=organizations,@SUFFIX@", scfState=state)


def form(name, employer, provider, state):
    return entry(f"scfConsentId={name},ou=consents,scfOrgId={provider},ou=organizations,@SUFFIX@", "scfConsent",
                 scfEmployer=f"scfOrgId={employer},ou=organizations,@SUFFIX@", scfProvider=f"scfOrgId={provider},ou=organizations,@SUFFIX@",
                 scfState=state)


def claim(name, user, provider):
    return entry(f"scfClaimId={name},ou=claims,scfOrgId={provider},ou=organizations,@SUFFIX@", "scfClaim", scfUser=f"uid={user},ou=people,@SUFFIX@",
                 scfProvider=f"scfOrgId={provider},ou=organizations,@SUFFIX@", scfState="submitted", scfDocumentKind="cp575")


def submission(name, user, employer, state):
    return entry(f"scfSubmissionId={name},ou=submissions,{LAKE}", "scfSubmission", scfUser=f"uid={user},ou=people,@SUFFIX@", scfProvider=LAKE,
                 scfEmployer=f"scfOrgId={employer},ou=organizations,@SUFFIX@", scfState=state, scfForm="855B", scfDocument=DOCUMENT)


def revocation(name, official, provider, employer):
    return entry(f"scfCaseId={name},ou=cases,@SUFFIX@", "scfCase", scfCaseKind="employer_revocation", scfState="submitted",
                 scfProvider=f"scfOrgId={provider},ou=organizations,@SUFFIX@", scfEmployer=f"scfOrgId={employer},ou=organizations,@SUFFIX@",
                 scfRequestedBy=f"uid={official},ou=people,@SUFFIX@")


# A second provider with its own people, who have nothing to do with lakeside; and something of every kind at both.
EXTRA = (
    entry(HILL, "scfOrganization scfProviderRole", o="Hillcrest", scfState="active", scfProviderKind="organization",
          scfAuthorizedOfficial="uid=hill,ou=people,@SUFFIX@")
    + "".join(entry(f"ou={folder},{HILL}", "organizationalUnit") for folder in ("associations", "consents", "records", "submissions", "claims"))
    + entry("scfOrgId=hillbill,ou=organizations,@SUFFIX@", "scfOrganization scfEmployerRole", o="Hill Billing", scfState="active")
    + tie("a-hal", "hal", "hillbill", "hillcrest", "approved") + tie("a-desk", "desk2", "hillcrest", "hillcrest", "approved")
    + form("f-hal", "hillbill", "hillcrest", "approved")
    + form("f-hill-prepared", "harbor", "hillcrest", "prepared") + form("f-hill-signed", "harbor", "hillcrest", "signed")
    + claim("k-hill", "outsider", "hillcrest") + revocation("h-hill", "hill", "hillcrest", "hillbill")
    + form("f-prepared", "dormant", "lakeside", "prepared") + form("f-signed", "dormant", "lakeside", "signed")
    + claim("k-lake", "ito", "lakeside") + revocation("h-lake", "rivera", "lakeside", "meridian")
    + entry("scfCaseId=h-own,ou=cases,@SUFFIX@", "scfCase", scfCaseKind="account", scfState="submitted", scfUser="uid=okafor,ou=people,@SUFFIX@",
            scfRequestedBy="uid=okafor,ou=people,@SUFFIX@")
    + submission("s-draft", "chen", "lakeside", "draft") + submission("s-sent", "chen", "lakeside", "submitted")
    + submission("s-accepted", "novak", "harbor", "accepted").replace("\n\n", "\nscfEnrollmentId: O20260101000099\n\n")
    + entry(f"scfEnrollmentId=O20260101000099,ou=records,{LAKE}", "scfEnrollment", scfProvider=LAKE, scfForm="855B",
            scfEnrollmentStatus="approved", scfDocument=DOCUMENT))

# What of lakeside's, or of its people's, stands in a path.
THEIRS = {
    "/v1/records/{id}": ["O20240115000001"], "/v1/submissions/{id}": ["s-draft", "s-sent", "s-accepted"],
    "/v1/associations/{id}": ["a-ito-meridian", "a-chen-lakeside"], "/v1/consents/{id}": ["f-prepared", "f-signed", "c-lakeside-meridian"],
    "/v1/claims/{id}": ["k-lake"], "/v1/revocation-requests/{id}": ["h-lake"], "/v1/cases/{id}": ["h-own", "h-lake"],
    "/v1/organizations/{id}": ["lakeside", "northgate", "meridian"], "/v1/helpdesk/accounts/{id}": ["chen", "rivera", "desk1"],
}
# That there is an organization of an id is no secret from who is signed in: he may ask it for an association. All else is.
TOLD = re.compile(r"/v1/organizations/[^/]+/(submissions|employers/.*|verify|suspend|reinstate|close)$")
# Asked of anybody, by rule: a claim, that one leaves an employer; or no matter of ids: tokens, help, one's sessions.
FREE = {"POST /v1/organizations/{id}/claims", "POST /v1/me/employers/{id}/leave", "POST /v1/accounts/{token}",
        "POST /v1/mail-confirmations/{token}", "POST /v1/password-resets/{token}", "GET /v1/help/{topic}", "DELETE /v1/me/sessions/{id}"}
BODIES = {"compare": {"name": "x", "tin": "361827459"}, "sign": {"text_sha256": "0" * 64}, "submissions": {"form": "855B", "document": {}},
          "revocation-requests": {"reason": "we part"}, "close": {"reason": "x", "ticket": "T"}}


@pytest.fixture(scope="module")
def world():
    with World(extra=EXTRA + person("hill") + person("hal")) as w:
        yield w


def routes():
    """(method, path, takes a document) of every call with an id in its path, as the gateway's own table has them."""
    text = (ROOT / "src" / "http" / "routes.c").read_text()
    rows = re.findall(r'\{ "(\w+)",\s+"([^"]+)",\s+([\w| ]+),', text)
    return [(method, path, "UPLOAD" in flags) for method, path, flags in rows if "{" in path]


def ask(api, method, path, upload):
    """Makes the call with a body that is as it should be, so that nothing is refused for that."""
    step = path.split("?")[0].rsplit("/", 1)[1]
    if upload:
        return api.request(method, path, PDF, headers={"Content-Type": "application/pdf"})
    if method != "POST":
        body = {"PUT": {}, "PATCH": {"address": ["1 Hill Road"]}}.get(method)
        return api.request(method, path, body, headers={} if method == "GET" else {"If-Match": OLD})
    if step == "submit" or step == "withdraw" and "/claims/" in path:
        return api.post(path)
    if step in BODIES:
        return api.post(path, BODIES[step])
    desk = {"reason": "x", "ticket": "T-1"}
    of_officials = {"approve": {}, "cancel": {}, "end": {}, "reject": {"reason": "x"}} if "/associations/" in path else {"withdraw": {}}
    return api.post(path, {**of_officials, "confirm": {}}.get(step, WHY if re.search("/helpdesk/|/organizations/|/revocation", path) else desk))


def asked(where):
    """(call, path with that id, path with an unknown id of that form, takes a document)"""
    for method, path, upload in routes():
        if f"{method} {path}" in FREE:
            continue
        base = next(p for p in where if path.startswith(p))
        query = "?ticket=T-1" if path.endswith("/scan") and method == "POST" else ""
        for name in where[base]:
            unknown = re.sub(r"[a-z0-9]", lambda m: "7" if m[0].isdigit() else "x", name)
            real, not_there = (path.replace("{id}", one).replace("{employer}", "harbor") + query for one in (name, unknown))
            yield method, real, not_there, upload


def everything(world):
    """What the directory holds, but for sessions, links, and when somebody was here."""
    found = world.admin().search_s(world.suffix, ldap.SCOPE_SUBTREE, "(objectClass=*)", ["*"])
    return {dn: {k: sorted(v) for k, v in entry.items() if k not in ("scfSignedInAt", "member", "scfAuthorizedOfficialOf")}
            for dn, entry in found if ",ou=sessions," not in dn and ",ou=grants," not in dn}


@pytest.mark.parametrize("uid", ["hill", "hal", "outsider", "patel"])
def test_08_18_what_is_anothers_does_not_exist_and_cannot_be_touched(world, gateway, who, uid):
    """Every call of the gateway, with the id of what is another organization's or person's: refused, nothing is changed, and
    what is hidden is answered byte for byte as what there never was."""
    api, before, wrong, calls = who(uid), everything(world), [], list(asked(THEIRS))
    assert len(calls) > 100
    for method, real, unknown, upload in calls:
        hidden, nothing = ask(api, method, real, upload), ask(api, method, unknown, upload)
        if hidden.status not in (403, 404):
            wrong.append(f"{method} {real}: {hidden}")
        elif neutral(hidden) != neutral(nothing) and not TOLD.match(real):
            wrong.append(f"{method} {real}: {hidden.status} {hidden.body}, and of nothing: {nothing.status} {nothing.body}")
        if CANARY.encode() in hidden.body:
            wrong.append(f"{method} {real} tells enrollment data")
    assert not wrong, "\n".join(wrong)
    assert everything(world) == before


@pytest.mark.parametrize("hidden, unknown", [
    ("/v1/associations/a-ito-meridian", "/v1/associations/a-xxx-xxxxxxxx"), ("/v1/claims/k-lake", "/v1/claims/k-xxxx"),
    ("/v1/consents/f-signed", "/v1/consents/f-xxxxxx"), ("/v1/cases/h-own", "/v1/cases/h-xxx"),
    ("/v1/revocation-requests/h-lake", "/v1/revocation-requests/h-xxxx"), (f"/v1/records/{RECORD}", "/v1/records/O77777777777777"),
    ("/v1/submissions/s-sent", "/v1/submissions/s-xxxx"), ("/v1/consents?provider=lakeside", "/v1/consents?provider=xxxxxxxx"),
    ("/v1/submissions?provider=lakeside", "/v1/submissions?provider=xxxxxxxx"), ("/v1/claims?provider=lakeside", "/v1/claims?provider=xxxxxxxx"),
    ("/v1/associations?provider=lakeside", "/v1/associations?provider=xxxxxxxx")])
def test_09_what_is_hidden_takes_as_long_as_what_there_never_was(who, hidden, unknown):
    """Ids can be computed by whoever knows how they are made: the directory is not asked, which takes as much longer as one's
    own profile takes. Looked at again on a suspicion, because these machines stall."""
    api, apart, statuses, asking = who("hill"), [], set(), "/v1/me/profile"

    def ask_for(path):
        status = api.get(path).status
        if path != asking:
            statuses.add(status)

    for _ in range(1 if SANITIZED else 4):
        times = times_of({path: lambda n, path=path: ask_for(path) for path in (hidden, unknown, asking)})
        middle = {path: statistics.median(of) for path, of in times.items()}
        assert len(statuses) == 1
        apart.append(abs(middle[hidden] - middle[unknown]) / (middle[asking] - middle[unknown]))
    assert SANITIZED or min(apart) < 0.5, f"{apart} of what asking the directory takes"


def test_18_every_call_has_been_thought_of():
    for method, path, _ in routes():
        assert f"{method} {path}" in FREE or any(path.startswith(base) for base in THEIRS), path


@pytest.mark.parametrize("method, path, body, statuses", [
    ("POST", "/v1/consents", {"provider": "lakeside", "employer": "hillbill"}, (403,)),
    ("POST", "/v1/consents", {"provider": "hillcrest", "employer": "hillbill", "state": "approved"}, (400,)),
    ("POST", "/v1/consents", {"provider": "hillcrest", "employer": "hillbill", "id": "c-lakeside-lakeside"}, (400,)),
    ("POST", "/v1/consents", {"provider": "hillcrest,ou=organizations", "employer": "hillbill"}, (400, 403, 404)),
    ("POST", "/v1/associations", {"provider": "lakeside", "employer": "lakeside", "user": "hill"}, (400,)),
    ("POST", "/v1/associations", {"provider": "lakeside", "employer": "lakeside", "state": "approved"}, (400,)),
    ("POST", "/v1/associations/a-hal/approve", {"provider": "lakeside"}, (400,)),
    ("POST", "/v1/organizations/hillcrest/submissions", {"form": "855B", "document": {}, "acting_for": "meridian"}, (403, 404)),
    ("POST", "/v1/organizations/hillcrest/submissions", {"form": "855B", "document": {}, "provider": "lakeside"}, (400,)),
    ("POST", "/v1/organizations/lakeside/submissions", {"form": "855B", "document": {}, "acting_for": "hillcrest"}, (403,)),
    ("POST", "/v1/organizations", {"name": "X", "tin": "361827459", "tin_kind": "ein", "roles": ["provider"], "id": "lakeside"}, (400,)),
    ("POST", "/v1/organizations", {"name": "X", "tin": "361827459", "tin_kind": "ein", "roles": ["provider"], "official": "hill"}, (400,)),
    ("POST", "/v1/organizations", {"name": "X", "tin": "361827459", "tin_kind": "ein", "roles": ["provider"], "state": "active"}, (400,)),
    ("POST", "/v1/organizations", {"name": "X", "tin": "361827459", "tin_kind": "ein", "roles": ["helpdesk"]}, (400, 422)),
    ("POST", "/v1/organizations", {"name": "X", "roles": ["provider"], "provider_kind": "individual"}, (422,)),
    ("PATCH", "/v1/organizations/hillcrest", {"official": "hal"}, (400,)),
    ("PATCH", "/v1/organizations/hillcrest", {"state": "active"}, (400,)),
    ("PATCH", "/v1/organizations/hillcrest", {"roles": ["provider", "employer"]}, (400,)),
    ("PATCH", "/v1/organizations/hillcrest", {"name": "Lakeside Family Clinic, LLC"}, (422,)),
    ("PATCH", "/v1/organizations/hillcrest", {"tin": "361827459", "tin_kind": "ein"}, (422,)),
    ("POST", "/v1/organizations/hillcrest/claims?document_kind=cp575&user=hal", PDF, (400,)),
    ("POST", "/v1/organizations/hillcrest/claims?document_kind=cp575", PDF, (409,)),
    ("POST", "/v1/cases", {"note": "x", "user": "rivera"}, (400,)),
    ("POST", "/v1/access/evaluation", {}, (404,)),
    ("POST", "/access/v1/evaluation", {"subject": {"type": "user", "id": "chen"}, "action": {"name": "record.view"},
                                       "resource": {"type": "record", "id": RECORD}}, (401, 403)),
    ("POST", "/v1/explain", {"subject": "chen", "action": "record.view", "resource": {"type": "record", "id": RECORD}}, (403,)),
])
def test_18_19_20_an_official_says_nothing_of_what_is_not_his_to_say(world, who, method, path, body, statuses):
    before, headers = everything(world), {"Content-Type": "application/pdf"} if body is PDF else {}
    if method == "PATCH":
        headers["If-Match"] = who("hill").get(path).headers["ETag"]
    answer = who("hill").request(method, path, body, headers=headers)
    assert answer.status in statuses, answer
    assert everything(world) == before


def test_18_lists_about_another_organization_are_empty_or_refused(who):
    names = [name for of in THEIRS.values() for name in of if "-" in name] + [RECORD, CANARY]
    for uid in ("hill", "hal", "patel"):
        for path in ("/v1/records?provider=lakeside", "/v1/records?provider=lakeside&acting_for=hillbill", "/v1/submissions?provider=lakeside",
                     "/v1/associations?provider=lakeside", "/v1/associations?employer=meridian", "/v1/associations?user=chen",
                     "/v1/consents?provider=lakeside", "/v1/consents?employer=meridian", "/v1/claims?provider=lakeside",
                     "/v1/revocation-requests?provider=lakeside", "/v1/helpdesk/queue?provider=lakeside", "/v1/organizations", "/v1/submissions",
                     "/v1/associations", "/v1/consents", "/v1/claims"):
            answer = who(uid).get(path)
            assert answer.status in (200, 400, 403, 404), (path, answer)
            told = answer.body.decode()
            assert not [name for name in names if f'"{name}"' in told], (uid, path, told)


def test_18_an_agent_decides_nothing_about_an_organization_that_he_works_for(world, who):
    before, desk2 = everything(world), who("desk2")
    for path, steps in (("/v1/consents/f-hill-signed", ("approve", "reject")), ("/v1/consents/f-hill-prepared", ("receive",)),
                        ("/v1/consents/f-hal", ("revoke",)), ("/v1/claims/k-hill", ("approve", "replace", "reject")),
                        ("/v1/revocation-requests/h-hill", ("execute", "decline")),
                        ("/v1/organizations/hillcrest", ("verify", "suspend", "reinstate", "close"))):
        for step in steps:
            body = {"reason": "x", "ticket": "T"} if "consents" in path or "claims" in path else WHY
            answer = desk2.post(f"{path}/{step}", body)
            assert (answer.status, answer.reason) == (403, "conflict_of_interest"), (path, step, answer)
    assert everything(world) == before


def test_19_nobody_becomes_more_than_he_is_by_the_directory_either(world):
    """The second wall, asked as the gateway asks: an official of one provider writes nothing at another, and no role."""
    from asking import Writer
    hill = Writer(world, "hill")
    me, lakeside = world.person("hill").encode(), world.organization("lakeside")
    for dn, change in ((lakeside, ("scfAuthorizedOfficial", me)), (world.organization("hillcrest"), ("scfAuthorizedOfficial", world.person("hal").encode())),
                       (f"cn=helpdesk,ou=roles,{world.suffix}", ("member", me)), (world.association("a-ito-meridian"), ("scfState", b"approved")),
                       (world.consent("f-signed"), ("scfState", b"approved")), (world.consent("f-hill-signed", "hillcrest"), ("scfState", b"approved")),
                       (world.person("rivera"), ("mail", b"hill@hill.example")), (lakeside, ("scfBarredEmployer", lakeside.encode()))):
        with pytest.raises((ldap.INSUFFICIENT_ACCESS, ldap.NO_SUCH_OBJECT)):
            hill.modify(dn, [(ldap.MOD_REPLACE, *change)])


def test_20_a_number_or_name_of_another_gives_nothing(world, gateway, who):
    """Somebody registers what is lakeside's: he is answered as anybody would be, and nothing comes of it."""
    hal = who("hal")
    body = {"name": "Lakeside Family Clinic, LLC", "tin": "361827459", "tin_kind": "ein", "roles": ["provider"]}
    made = hal.post("/v1/organizations", body)
    free = hal.post("/v1/organizations", {**body, "tin": "331827451"})
    assert made.status == free.status == 201 and set(made.json) == set(free.json)
    claims = [hal.post(f"/v1/organizations/{o.json['id']}/claims?document_kind=cp575", PDF, headers={"Content-Type": "application/pdf"})
              for o in (made, free)]
    assert [c.status for c in claims] == [201, 201]
    refused = who("desk1").post(f"/v1/claims/{claims[0].json['id']}/approve", WHY)
    assert (refused.status, refused.reason) == (409, "tin_in_use")
    assert hal.get(f"/v1/records/{RECORD}").status == 404 and hal.get("/v1/records?provider=lakeside").status == 404
    for c in claims:
        assert hal.post(f"/v1/claims/{c.json['id']}/withdraw").status == 200


# ---- 46 ----

def test_46_the_help_desk_and_auditors_see_no_enrollment_data_by_any_call(who):
    """Everything that they can look at, one by one and in lists."""
    lists = ["/v1/records?provider=lakeside", "/v1/submissions", "/v1/submissions?provider=lakeside", "/v1/helpdesk/queue", "/v1/claims",
             "/v1/associations", "/v1/consents", "/v1/organizations", "/v1/revocation-requests", "/v1/submissions?state=accepted&provider=lakeside"]
    seen = 0
    for uid in ("desk1", "audit1"):
        for path in [real for method, real, _, _ in asked(THEIRS) if method == "GET"] + lists + [
                "/v1/records/O20260101000099", "/v1/claims/k-quinn-northgate", "/v1/claims/k-quinn-northgate/document"]:
            answer = who(uid).get(path)
            seen += answer.status == 200
            assert CANARY.encode() not in answer.body and b"practice_locations" not in answer.body, (uid, path)
            if path.startswith(("/v1/records", "/v1/submissions/")):
                assert answer.status in (403, 404), (uid, path, answer)
    assert seen > 20, "they do see the rest"


def facts(world):
    """What besides the form itself must hold, and the reason when it does not."""
    lakeside, harbor = world.organization("lakeside"), world.organization("harbor")
    me, mine = world.person("novak"), world.association("a-novak-harbor")
    return {
        "barred": ((lakeside, "scfBarredEmployer", harbor), (lakeside, "scfBarredEmployer"), "employer_barred"),
        "employer suspended": ((harbor, "scfState", "suspended"), (harbor, "scfState", "active"), "employer_not_active"),
        "provider suspended": ((lakeside, "scfState", "suspended"), (lakeside, "scfState", "active"), "organization_not_active"),
        "ended": ((mine, "scfState", "ended"), (mine, "scfState", "approved"), "association_ended"),
        "pending": ((mine, "scfState", "pending"), (mine, "scfState", "approved"), "association_pending"),
        "leaving": ((me, "scfLeavingEmployer", harbor), (me, "scfLeavingEmployer"), "association_ended"),
        "for another employer": ((world.consent("c46"), "scfEmployer", world.organization("dormant")), (world.consent("c46"), "scfEmployer", harbor),
                                 "no_consent"),
        "revoked": ((world.consent("c46"), "scfState", "revoked"), (world.consent("c46"), "scfState", "approved"), "consent_revoked"),
    }


def explained(gateway):
    answer = gateway.api().post("/v1/explain", {"subject": "novak", "action": "record.view", "resource": {"type": "record", "id": RECORD}},
                                token=SECRET)
    assert answer.status == 200, answer
    return answer.json


@pytest.fixture
def consented(world, who):
    put(world, "approved")
    novak = who("novak")
    until(lambda: novak.get(f"/v1/records/{RECORD}").status == 200)
    yield novak
    take(world)
    until(lambda: novak.get(f"/v1/records/{RECORD}").status == 403)


@pytest.mark.parametrize("fact", ["barred", "employer suspended", "provider suspended", "ended", "pending", "leaving", "for another employer",
                                  "revoked"])
def test_46_all_doors_open_and_close_together(world, gateway, consented, fact):
    wrong, right, reason = facts(world)[fact]
    opened = doors(gateway, consented)
    statuses = {door: answer.status for door, answer in opened.items()}
    assert statuses.pop("update") in (412, 422) and statuses.pop("through another") in (403, 404)
    assert set(statuses.values()) == {200}, statuses
    assert opened["application"].json["decision"] is True and explained(gateway)["decision"] is True
    lines = len(gateway.audit_lines())
    world.set_values(*wrong)
    try:
        until(lambda: consented.get(f"/v1/records/{RECORD}").status != 200)
        closed = doors(gateway, consented)
        told = explained(gateway)
        assert told["decision"] is False and told["reason"] == reason, told
        assert closed["application"].json["decision"] is False and closed["application"].json["context"]["reason"] == reason
        for door, answer in closed.items():
            assert door == "application" or answer.status in (403, 404), (door, answer)
            assert b"legal_business_name" not in answer.body, door
        logged = {(line.get("action"), line["outcome"], line.get("reason")) for line in gateway.audit_lines()[lines:]}
        for action in ("record.view", "record.list", "record.update"):
            assert (action, "deny", reason) in logged, (action, logged)
        assert not [one for one in logged if one[0] in ("record.list", "record.update") and one[1] == "permit"]
    finally:
        world.set_values(*right)
        until(lambda: consented.get(f"/v1/records/{RECORD}").status == 200)


def test_46_a_form_that_was_revoked_between_reading_and_saving_stops_the_saving(world, who, consented):
    desk1 = who("desk1")
    seen = consented.get(f"/v1/records/{RECORD}")
    was = world.admin().search_s(world.record(RECORD), ldap.SCOPE_BASE)[0][1]["scfDocument"]
    assert desk1.post("/v1/consents/c46/revoke", {"reason": "now"}).status == 200
    changed = {**seen.json["document"], "doing_business_as": "Somebody Else's"}
    refused = consented.put(f"/v1/records/{RECORD}", changed, headers={"If-Match": seen.headers["ETag"]})
    assert (refused.status, refused.reason) == (403, "consent_revoked")
    for headers in ({"If-None-Match": seen.headers["ETag"]}, {"If-None-Match": "*"}, {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"},
                    {"Range": "bytes=0-"}, {"If-Range": seen.headers["ETag"], "Range": "bytes=0-9"}):
        for method in ("GET", "HEAD"):
            answer = consented.request(method, f"/v1/records/{RECORD}", headers=headers)
            assert answer.status == 403 and seen.headers["ETag"] not in str(answer.headers), (method, headers, answer)
    assert world.admin().search_s(world.record(RECORD), ldap.SCOPE_BASE)[0][1]["scfDocument"] == was


def test_46_from_the_acknowledged_revocation_on_nobody_saves_or_submits_to_the_record(world, gateway, who, consented):
    desk1, writers = who("desk1"), [gateway.signed_in("novak") for _ in range(3)]
    document = consented.get(f"/v1/records/{RECORD}").json["document"]
    saved = 0
    for round_ in range(12):
        if round_:
            put(world, "approved")
            until(lambda: all(w.get(f"/v1/records/{RECORD}").status == 200 for w in writers))
        revoked, late, stop, fine = [], [], threading.Event(), []

        def save(api):
            while not stop.is_set():
                begun = time.perf_counter()
                read = api.get(f"/v1/records/{RECORD}")
                wrote = read.status == 200 and api.put(f"/v1/records/{RECORD}", document, headers={"If-Match": read.headers["ETag"]}).status == 200
                fine.append(wrote)
                if wrote and revoked and begun > revoked[0]:
                    late.append(begun - revoked[0])

        threads = [threading.Thread(target=save, args=(api,)) for api in writers]
        for thread in threads:
            thread.start()
        until(lambda: any(fine))
        answer = desk1.post("/v1/consents/c46/revoke", {"reason": "it is to end now"})
        revoked.append(time.perf_counter())
        at = world.admin().search_s(world.record(RECORD), ldap.SCOPE_BASE, attrlist=["entryCSN"])[0][1]["entryCSN"]
        time.sleep(0.03)
        stop.set()
        for thread in threads:
            thread.join()
        assert answer.status == 200 and not late, (answer, late)
        consent = world.admin().search_s(world.consent("c46"), ldap.SCOPE_BASE, attrlist=["entryCSN"])[0][1]["entryCSN"]
        now = world.admin().search_s(world.record(RECORD), ldap.SCOPE_BASE, attrlist=["entryCSN"])[0][1]["entryCSN"]
        assert now < consent and now == at, "written after the revocation"
        saved += sum(fine)
        take(world)
        until(lambda: consented.get(f"/v1/records/{RECORD}").status == 403)
    assert saved > 12
    put(world, "approved")
    until(lambda: consented.get(f"/v1/records/{RECORD}").status == 200)


def test_46_what_was_accepted_is_on_file_and_under_the_form_for_its_author_too(world, gateway, who):
    """novak's employer has no consent. He wrote it himself, and knows its id, its key and its ETag."""
    novak, proc1 = who("novak"), who("proc1")
    document = json.loads(world.admin().search_s(world.record(RECORD), ldap.SCOPE_BASE)[0][1]["scfDocument"][0])
    key = {"Idempotency-Key": "mine-46"}
    body = {"form": "855B", "document": document}
    made = novak.post("/v1/organizations/lakeside/submissions", body, headers=key)
    assert made.status == 201, made
    where = f"/v1/submissions/{made.json['id']}"
    assert novak.post(where + "/submit").status == 200
    tag = novak.get(where).headers["ETag"]
    record = proc1.post(where + "/accept", {"ticket": "T-1"}).json["record"]
    for answer in (novak.get(where), novak.request("HEAD", where), novak.get(where, headers={"If-None-Match": tag}),
                   novak.get(where + "?acting_for=harbor"), novak.put(where, document, headers={"If-Match": tag}), novak.post(where + "/submit"),
                   novak.delete(where, headers={"If-Match": tag}), novak.get(f"/v1/records/{record}"), novak.get("/v1/records?provider=lakeside"),
                   novak.put(f"/v1/records/{record}", document, headers={"If-Match": tag}),
                   novak.post("/v1/organizations/lakeside/submissions", body, headers=key)):
        assert answer.status in (403, 404, 409), answer
        assert b"practice_locations" not in answer.body, answer
    for path in ("/v1/submissions", "/v1/submissions?provider=lakeside", "/v1/submissions?provider=lakeside&state=accepted"):
        answer = novak.get(path)
        assert b"practice_locations" not in answer.body and CANARY.encode() not in answer.body
    # And the processor who has accepted it is done with it.
    assert proc1.get(where).status in (403, 404) and proc1.get(f"/v1/records/{record}").status == 404
