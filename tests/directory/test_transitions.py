"""Every transition of claims, submissions, organizations, accounts and cases, asked for by every role in every state:
allowed exactly where docs/rules.md says, and refused with the reason it says. Those of associations and consents are in
their own files."""

import json

import ldap
import pytest

from world import World, stamp

GROUNDS = {"reason": "as the table says", "ticket": "T-1", "identified_by": "called back"}
ROLES = ("rivera", "chen", "okafor", "quinn", "outsider", "desk1", "audit1", "proc1")
DESK, PROC = "desk1", "proc1"
UNDECIDED = {"scfDecidedBy": [], "scfDecidedAt": []}
STATUS = {"not_found": 404, "already_decided": 409, "ao_already_exists": 409}

EXTRA = """
dn: scfCaseId=t-revocation,ou=cases,@SUFFIX@
objectClass: scfCase
scfCaseId: t-revocation
scfCaseKind: employer_revocation
scfState: submitted
scfProvider: scfOrgId=lakeside,ou=organizations,@SUFFIX@
scfEmployer: scfOrgId=harbor,ou=organizations,@SUFFIX@
scfRequestedBy: uid=rivera,ou=people,@SUFFIX@

dn: scfCaseId=t-account,ou=cases,@SUFFIX@
objectClass: scfCase
scfCaseId: t-account
scfCaseKind: account
scfState: submitted
scfUser: uid=outsider,ou=people,@SUFFIX@
scfRequestedBy: uid=outsider,ou=people,@SUFFIX@

dn: scfOrgId=t-employer,ou=organizations,@SUFFIX@
objectClass: scfOrganization
objectClass: scfEmployerRole
scfOrgId: t-employer
o: Table Billing
scfState: registered

dn: uid=t-subject,ou=people,@SUFFIX@
objectClass: inetOrgPerson
objectClass: scfPerson
uid: t-subject
cn: Sub Ject
sn: Ject
mail: subject@table.example
scfState: active
scfRealm: local
userPassword: {SSHA}none
"""


@pytest.fixture(scope="module")
def world():
    with World(extra=EXTRA) as w:
        yield w


@pytest.fixture(scope="module")
def who(gateway):
    return {uid: gateway.signed_in(uid) for uid in ROLES}


class Table:
    """One entry that is put into a state, asked for something, and looked at."""

    def __init__(self, world, dn):
        self.dn, self.admin = dn, world.admin()

    def put(self, state, **attributes):
        """Attributes: a list of values, [] for none."""
        changes = [(ldap.MOD_REPLACE, name, [v.encode() for v in values] or None) for name, values in attributes.items()]
        self.admin.modify_s(self.dn, [(ldap.MOD_REPLACE, "scfState", [state.encode()])] + changes)
        return self.read("entryCSN")

    def read(self, name="scfState"):
        found = self.admin.search_s(self.dn, ldap.SCOPE_BASE, "(objectClass=*)", [name])[0][1]
        return found[name][0].decode() if name in found else None


def run(table, cells):
    """cells: (what, state before, attributes, ask(headers) → answer, reason, state afterwards)"""
    wrong, count = [], 0
    for what, before, attributes, ask, reason, after in cells:
        revision = table.put(before, **attributes)
        answer = ask({"Scfgate-At-Least": revision})
        told = "ok" if answer.status in (200, 204) else answer.reason
        status = STATUS.get(reason, 403) if reason != "ok" else answer.status
        now = table.read() if reason != "ok" or after != "gone" else "gone"
        if told != reason or answer.status != status or now != (after if reason == "ok" else before):
            wrong.append(f"{what} in {before} {attributes or ''}: {answer.status} {told}, now {now}; expected {reason}")
        count += 1
    assert count and not wrong, "\n".join(wrong)
    return count


def test_claims(world, who):
    claim, northgate = world.admin(), world.organization("northgate")
    table = Table(world, f"scfClaimId=k-quinn-northgate,ou=claims,{northgate}")
    end = {"approve": "approved", "replace": "approved", "reject": "rejected", "withdraw": "withdrawn"}

    def with_official(official):
        claim.modify_s(northgate, [(ldap.MOD_REPLACE, "scfState", [b"active" if official else b"registered"]),
                                   (ldap.MOD_REPLACE, "scfAuthorizedOfficial",
                                    [world.person(official).encode()] if official else None)])

    def reason(role, action, state, official):
        if role not in (DESK, "quinn"):
            return "not_found"
        if action == "withdraw" and role == DESK:
            return "own_request"
        if action != "withdraw" and role == "quinn":
            return "not_help_desk"
        if state != "submitted":
            return "already_decided"
        if action == "approve" and official:
            return "ao_already_exists"
        return "already_decided" if action == "replace" and not official else "ok"

    def cells():
        for official in (None, "outsider"):
            for state in ("submitted", "approved", "rejected", "withdrawn"):
                for action in end:
                    for role in ROLES:
                        def ask(headers, role=role, action=action, official=official):
                            with_official(official)
                            headers["Scfgate-At-Least"] = Table(world, northgate).read("entryCSN")
                            body = None if action == "withdraw" else GROUNDS
                            return who[role].post(f"/v1/claims/k-quinn-northgate/{action}", body, headers=headers)
                        yield f"{role} {action}", state, UNDECIDED, ask, reason(role, action, state, official), end[action]

    assert run(table, cells()) == 2 * 4 * 4 * len(ROLES)


def test_submissions(world, who):
    record = world.admin().search_s(world.record("O20240115000001"), 0, "(objectClass=*)", ["scfDocument", "scfForm"])[0][1]
    lakeside = world.organization("lakeside")
    dn = f"scfSubmissionId=t-table,ou=submissions,{lakeside}"
    entry = {"objectClass": ["scfSubmission"], "scfSubmissionId": ["t-table"], "scfProvider": [lakeside], "scfEmployer": [lakeside],
             "scfUser": [world.person("chen")], "scfForm": [record["scfForm"][0].decode()], "scfState": ["draft"],
             "scfDocument": [json.dumps(json.loads(record["scfDocument"][0]))], "scfRequestedAt": [stamp(1790000000)]}
    add = [(name, [v.encode() for v in values]) for name, values in entry.items()]
    world.admin().add_s(dn, add)
    table = Table(world, dn)
    end = {"submit": "submitted", "accept": "accepted", "return": "returned", "delete": "gone"}

    # Of lakeside's own: its direct employee chen, who wrote it, and its official; okafor works for it through another.
    def reason(role, action, state):
        if action in ("accept", "return"):
            if role == PROC:
                return "ok" if state == "submitted" else "already_decided"
            return "not_processor" if role in ("rivera", "chen", "okafor") else "not_found"
        if role in ("rivera", "chen"):
            return "ok" if state == "draft" else "already_decided"
        return "no_association" if role == "okafor" else "not_found"

    def cells():
        for state in ("draft", "submitted", "accepted", "returned"):
            for action in end:
                for role in ROLES:
                    def ask(headers, role=role, action=action):
                        where = "/v1/submissions/t-table"
                        if action == "delete":
                            answer = who[role].delete(where, headers=headers)
                            if answer.status == 204:
                                world.admin().add_s(dn, add)  # for the next
                            return answer
                        return who[role].post(f"{where}/{action}", None if action == "submit" else GROUNDS, headers=headers)
                    yield (f"{role} {action}", state, {"scfEnrollmentId": []}, ask, reason(role, action, state), end[action])

    assert run(table, cells()) == 4 * 4 * len(ROLES)


def test_organizations(world, who):
    table = Table(world, world.organization("t-employer"))
    start = {"verify": ("registered",), "suspend": ("active",), "reinstate": ("suspended",),
             "close": ("registered", "active", "suspended")}
    end = {"verify": "active", "suspend": "suspended", "reinstate": "active", "close": "closed"}

    def reason(role, action, state):
        if state == "closed":  # nothing is decided about what is over, whoever asks
            return "already_decided" if action == "close" and role == DESK else \
                "organization_not_active" if action != "close" else "not_help_desk"
        if role != DESK:
            return "not_help_desk"
        return "ok" if state in start[action] else "already_decided"

    def cells():
        for state in ("registered", "active", "suspended", "closed"):
            for action in end:
                for role in ROLES:
                    def ask(headers, role=role, action=action):
                        return who[role].post(f"/v1/organizations/t-employer/{action}", GROUNDS, headers=headers)
                    yield f"{role} {action}", state, {}, ask, reason(role, action, state), end[action]

    assert run(table, cells()) == 4 * 4 * len(ROLES)


def test_accounts(world, who):
    table = Table(world, world.person("t-subject"))
    start = {"unlock": ("active", "disabled"), "remove-second-factor": ("active", "disabled"), "disable": ("active",),
             "enable": ("disabled",), "remove": ("disabled",), "fraud": ("active", "disabled")}
    end = {"disable": "disabled", "enable": "active", "remove": "removed", "fraud": "disabled"}

    def reason(role, action, state):
        if role != DESK:
            return "not_help_desk"
        return "ok" if state in start[action] else "already_decided"

    def cells():
        for state in ("active", "disabled", "removed"):
            for action in start:
                for role in ROLES:
                    def ask(headers, role=role, action=action):
                        return who[role].post(f"/v1/helpdesk/accounts/t-subject/{action}", GROUNDS, headers=headers)
                    yield (f"{role} {action}", state, {"scfFraudAt": []}, ask, reason(role, action, state),
                           end.get(action, state))

    assert run(table, cells()) == 3 * 6 * len(ROLES)


@pytest.mark.parametrize("case, acts", [
    ("t-revocation", {"revocation-requests/t-revocation/execute": "executed", "revocation-requests/t-revocation/decline": "declined"}),
    ("t-account", {"cases/t-account/close": "executed"}),
])
def test_cases(world, who, case, acts):
    table = Table(world, f"scfCaseId={case},ou=cases,{world.suffix}")
    lakeside = world.organization("lakeside")

    # A revocation is known to the provider's official, what somebody asked for to him, every case to the help desk.
    def reason(role, state):
        if role != DESK:
            return "not_help_desk" if (role, case) in (("rivera", "t-revocation"), ("outsider", "t-account")) else "not_found"
        return "ok" if state == "submitted" else "already_decided"

    def cells():
        for state in ("submitted", "executed", "declined"):
            for path, end in acts.items():
                for role in ROLES:
                    def ask(headers, role=role, path=path):
                        world.admin().modify_s(lakeside, [(ldap.MOD_REPLACE, "scfBarredEmployer", None)])
                        headers["Scfgate-At-Least"] = Table(world, lakeside).read("entryCSN")
                        return who[role].post(f"/v1/{path}", GROUNDS, headers=headers)
                    # Else it would still be taken on by who executed it before.
                    untouched = {"scfDecidedBy": [], "scfDecidedAt": []}
                    yield f"{role} {path}", state, untouched, ask, reason(role, state), end

    assert run(table, cells()) == 3 * len(acts) * len(ROLES)


def test_letting_an_employer_in_again(world, who):
    table, meridian = Table(world, world.organization("lakeside")), world.organization("meridian")

    def reason(role, barred):
        return "not_help_desk" if role != DESK else "ok" if barred else "already_decided"

    def cells():
        for barred in ([meridian], []):
            for role in ROLES:
                def ask(headers, role=role):
                    return who[role].post("/v1/organizations/lakeside/employers/meridian/reinstate", GROUNDS, headers=headers)
                yield (f"{role} reinstate", "active", {"scfBarredEmployer": barred}, ask, reason(role, barred), "active")

    assert run(table, cells()) == 2 * len(ROLES)
    assert table.read("scfBarredEmployer") is None
