"""The directory's own wall, for writes: who may move, make and change what, through the gateway and not past it, is what
docs/rules.md §2 says; and the gateway by itself gives nobody anything."""

import ldap
import ldap.modlist
import pytest

from asking import ThroughGateway, Writer, added, outcome, replaced, search, sees, writes
from world import SAMPLE_PASSWORD, SUFFIX, World, ssha

LAKESIDE_1 = "O20240115000001"
USERS = "rivera chen okafor novak ito silva quinn patel outsider desk1 desk2 audit1 proc1".split()


@pytest.fixture(scope="module")
def world():
    with World(nppes=False) as w:
        yield w


def claim_dn(world):
    return f"scfClaimId=k-quinn-northgate,ou=claims,{world.organization('northgate')}"


def submission_dn(world, name, provider="lakeside"):
    return f"scfSubmissionId={name},ou=submissions,{world.organization(provider)}"


def submission(world, name, uid, employer, provider="lakeside", word="draft", **more):
    entry = {"objectClass": [b"scfSubmission"], "scfSubmissionId": [name.encode()], "scfUser": [world.person(uid).encode()],
             "scfEmployer": [world.organization(employer).encode()],
             "scfProvider": [world.organization(provider).encode()], "scfState": [word.encode()], "scfForm": [b"855B"],
             "scfDocument": [b"{}"], "scfRequestedAt": [b"20260101000000Z"], **more}
    return ldap.modlist.addModlist(entry)


def test_nothing_is_written_past_the_gateway_even_if_the_server_took_writes_over_tls():
    """Without the server's general rule that changes come over ldapi only."""
    change = "dn: cn=config\nchangetype: modify\nreplace: olcSecurity\nolcSecurity: simple_bind=71\n"
    with World(changes=[change], nppes=False) as w:
        ito = w.association("a-ito-meridian")
        for uid, dn, attribute, value in (
                ("rivera", ito, "scfState", "approved"), ("ito", ito, "scfState", "ended"),
                ("chen", w.person("chen"), "cn", "Wei"),
                ("desk1", w.consent("c-lakeside-meridian"), "scfState", "revoked"),
                ("quinn", claim_dn(w), "scfState", "withdrawn"),
                ("desk1", w.organization("lakeside"), "scfState", "suspended"),
                ("desk1", w.person("chen"), "scfState", "disabled")):
            change = [(ldap.MOD_REPLACE, attribute, value.encode())]
            assert outcome(w.bind(uid).modify_s, dn, change) == "INSUFFICIENT_ACCESS", (uid, dn)
            assert outcome(Writer(w, uid).modify, dn, change) is None, (uid, dn)
        new = association_entry(w, "a-new", "outsider", "harbor")
        assert outcome(w.bind("outsider").add_s, w.association("a-new"), new) == "INSUFFICIENT_ACCESS"


# ---- the gateway by itself ----

def test_the_gateway_takes_away_and_never_gives(world):
    gateway = world.gateway()
    for dn, gives, takes, back in (
            (world.association("a-ito-meridian"), "approved", "expired", "pending"),
            (world.association("a-chen-lakeside"), "pending", "ended", "approved"),
            (world.consent("c-lakeside-meridian"), "signed", "revoked", "approved"),
            (world.consent("c-lakeside-dormant"), "prepared", "expired", "approved")):
        assert outcome(gateway.modify_s, dn, replaced("scfState", gives)) == "INSUFFICIENT_ACCESS"
        gateway.modify_s(dn, replaced("scfState", takes) + replaced("scfReason", "over"))
        assert outcome(gateway.modify_s, dn, replaced("scfState", back)) == "INSUFFICIENT_ACCESS"
        world.set_state(dn, back)
    for dn, word, back in ((world.person("chen"), "disabled", "active"),
                           (world.organization("lakeside"), "suspended", "active"),
                           (claim_dn(world), "approved", "submitted")):
        gateway.modify_s(dn, replaced("scfState", word))
        world.set_state(dn, back)


def test_the_gateway_changes_what_is_nobodys_decision_and_nothing_else(world):
    gateway, chen, lakeside = world.gateway(), world.person("chen"), world.organization("lakeside")
    for dn, attribute, value in (
            (chen, "mail", "chen@lakeside.example"), (chen, "cn", "Wei Chen"), (chen, "scfSignedInAt", "20260101000000Z"),
            (chen, "scfLeavingEmployer", lakeside), (chen, "scfLeavingEmployer", None), (chen, "scfSignedInAt", None),
            (lakeside, "o", "Lakeside Family Clinic, LLC"), (lakeside, "scfTin", "361827459"),
            (lakeside, "postalAddress", "1200 Harbor Drive$Chicago, IL 60601"), (lakeside, "scfNpi", "1453827192")):
        gateway.modify_s(dn, replaced(attribute, value))
    for dn, attribute, value in (
            (world.association("a-ito-meridian"), "scfEmployer", world.organization("harbor")),
            (world.association("a-ito-meridian"), "scfUser", world.person("outsider")),
            (world.record(LAKESIDE_1), "scfDocument", "{}"), (world.record(LAKESIDE_1), "scfEnrollmentStatus", "approved"),
            (chen, "scfRealm", "nppes"), (chen, "uid", "chen2"), (chen, "scfFraudAt", "20260101000000Z"),
            (lakeside, "scfAuthorizedOfficial", world.person("novak")), (lakeside, "scfAuthorizedOfficial", None),
            (lakeside, "scfBarredEmployer", None), (lakeside, "scfProviderKind", "individual"),
            (world.organization("northgate"), "scfAuthorizedOfficial", world.person("quinn")),
            ("cn=helpdesk,ou=roles," + SUFFIX, "member", world.person("novak")), (chen, "pwdReset", "TRUE"),
            (world.gateway_dn, "authzTo", "dn.regex:.*"), (world.application("portal"), "scfSecretDigest", "0" * 64)):
        assert outcome(gateway.modify_s, dn, replaced(attribute, value)) == "INSUFFICIENT_ACCESS", (dn, attribute)
    for dn in (world.association("a-ito-meridian"), world.record(LAKESIDE_1), lakeside, chen, claim_dn(world)):
        assert outcome(gateway.delete_s, dn) in ("INSUFFICIENT_ACCESS", "NOT_ALLOWED_ON_NONLEAF")


def test_the_gateway_adds_people_organizations_claims_and_records(world):
    gateway = Writer(world, None)
    p = {"objectClass": ["inetOrgPerson", "scfPerson"], "uid": "new-1", "cn": "N", "sn": "N", "scfState": "active",
         "scfRealm": "nppes", "scfNpi": "1245319599", "mail": "n@new.example"}
    assert added(gateway, world.person("new-1"), p) is None
    o = {"objectClass": ["scfOrganization", "scfProviderRole"], "scfOrgId": "new-o", "o": "New", "scfState": "active",
         "scfProviderKind": "individual", "scfTin": "361827450", "scfTinKind": "ein", "scfNpi": "1245319599",
         "scfAuthorizedOfficial": world.person("new-1"), "scfOfficialSince": "20260101000000Z",
         "scfRequestedBy": world.person("new-1"), "scfRequestedAt": "20260101000000Z"}
    # Of a practice he may say who speaks for it, of any other provider the help desk does.
    assert added(gateway, world.organization("new-o"), {**o, "scfProviderKind": "organization"}) == "INSUFFICIENT_ACCESS"
    assert added(gateway, world.organization("new-o"), o) is None
    below = "," + world.organization("new-o")
    for folder in ("claims", "records", "associations"):
        assert added(gateway, f"ou={folder}{below}", {"objectClass": "organizationalUnit", "ou": folder}) is None
    assert added(gateway, f"cn=associates{below}", {"objectClass": "groupOfURLs", "cn": "associates", "memberURL":
                 f"ldap:///ou=associations{below}?scfUser?one?(scfState=approved)"}) is None
    claim = {"objectClass": "scfClaim", "scfClaimId": "k-1", "scfUser": world.person("new-1"), "scfState": "submitted",
             "scfProvider": world.organization("new-o"), "scfDocumentKind": "cp575", "scfAttachment": "d-1",
             "scfNote": "mine", "scfRequestedAt": "20260101000000Z"}
    assert added(gateway, f"scfClaimId=k-1,ou=claims{below}", claim) is None
    record = {"objectClass": "scfEnrollment", "scfEnrollmentId": "I20260101000001", "scfForm": "855I",
              "scfProvider": world.organization("new-o"), "scfEnrollmentStatus": "approved", "scfDocument": "{}",
              "scfSubmissionId": "s-1"}
    record_dn = f"scfEnrollmentId=I20260101000001,ou=records{below}"
    assert added(gateway, record_dn, record) is None
    assert "scfDocument" not in dict(gateway.handle.search_s(record_dn, ldap.SCOPE_BASE))[record_dn]
    association = {"objectClass": "scfAssociation", "scfAssociationId": "a-1", "scfUser": world.person("new-1"),
                   "scfEmployer": world.organization("new-o"), "scfProvider": world.organization("new-o"),
                   "scfState": "pending"}
    assert added(gateway, f"scfAssociationId=a-1,ou=associations{below}", association) == "INSUFFICIENT_ACCESS"
    assert sees(ThroughGateway(world, "new-1"), record_dn)
    for dn in (record_dn, f"scfClaimId=k-1,ou=claims{below}", f"cn=associates{below}", f"ou=claims{below}",
               f"ou=records{below}", f"ou=associations{below}", world.organization("new-o"), world.person("new-1")):
        world.admin().delete_s(dn)


CASE = f"scfCaseId=c-1,ou=cases,{SUFFIX}"


def test_cases_are_the_gateways_to_write_and_the_help_desks_to_read(world):
    entry = {"objectClass": "scfCase", "scfCaseId": "c-1", "scfCaseKind": "employer_revocation", "scfState": "submitted",
             "scfProvider": world.organization("lakeside"), "scfEmployer": world.organization("meridian"),
             "scfRequestedBy": world.person("rivera"), "scfNote": "please"}
    assert added(Writer(world, "rivera"), CASE, entry) in ("INSUFFICIENT_ACCESS", "NO_SUCH_OBJECT")
    assert added(Writer(world, None), CASE, entry) is None
    for uid in USERS:
        client = ThroughGateway(world, uid)
        may = uid in ("rivera", "desk1", "desk2", "audit1")
        assert outcome(search, client, CASE) == (None if may else "NO_SUCH_OBJECT"), uid
        assert outcome(Writer(world, uid).modify, CASE, replaced("scfState", "executed")) == "INSUFFICIENT_ACCESS"
    world.gateway().modify_s(CASE, replaced("scfState", "executed"))
    world.gateway().delete_s(CASE)


GROUNDS = {"scfDecidedBy": "desk1", "scfReason": "said so", "scfTicket": "T-1", "scfIdentifiedBy": "called back"}


@pytest.mark.parametrize("who, what, hidden", [
    (("chen",), lambda w: w.person("chen"), set(GROUNDS)),
    (("desk2",), lambda w: w.person("desk2"), set(GROUNDS)),
    (("rivera", "ito"), lambda w: w.association("a-ito-meridian"), {"scfTicket", "scfIdentifiedBy"}),
    (("rivera",), lambda w: w.consent("c-lakeside-meridian"), {"scfTicket", "scfIdentifiedBy"}),
    (("quinn",), claim_dn, {"scfTicket", "scfIdentifiedBy"}),
    (("rivera",), lambda w: w.organization("lakeside"), {"scfTicket", "scfIdentifiedBy"}),
    (("rivera",), lambda w: CASE, {"scfTicket", "scfIdentifiedBy"}),
])
def test_on_what_grounds_something_was_decided_is_not_for_whom_it_is_about(world, who, what, hidden):
    admin, dn = world.admin(), what(world)
    if dn == CASE:
        assert added(Writer(world, None), CASE, {"objectClass": "scfCase", "scfCaseId": "c-1", "scfState": "executed",
                     "scfCaseKind": "account", "scfRequestedBy": world.person("rivera")}) is None
    told = {**GROUNDS, "scfDecidedBy": world.person("desk1")}
    for attribute, value in told.items():
        admin.modify_s(dn, replaced(attribute, value))
    for uid in who:
        client = ThroughGateway(world, uid)
        assert set(told) - set(search(client, dn)[dn]) == hidden, uid
        for attribute in hidden:
            assert not search(client, dn, filter=f"({attribute}=*)"), (uid, attribute)
    for uid in ("desk1", "audit1"):
        assert set(told) <= set(search(ThroughGateway(world, uid), dn)[dn])
    for attribute in told:
        admin.modify_s(dn, replaced(attribute, None))
    if dn == CASE:
        world.gateway().delete_s(CASE)


def test_what_was_handed_in_is_read_by_the_help_desk_alone(world):
    head = f"scfAttachmentId=k-quinn-northgate-03e6c8f4a1253358993b0db3,ou=attachments,{SUFFIX}"
    part = f"scfPart=1,{head}"
    for uid in USERS:
        client = ThroughGateway(world, uid)
        for dn in (head, part):
            may = uid in ("desk1", "desk2")
            assert outcome(search, client, dn) == (None if may else "NO_SUCH_OBJECT"), uid
            assert outcome(Writer(world, uid).delete, dn) == "INSUFFICIENT_ACCESS"
    assert search(ThroughGateway(world, "desk1"), part)[part]["scfContent"][0].startswith(b"%PDF-")
    gateway = world.gateway()
    assert "scfContent" not in dict(gateway.search_s(part, ldap.SCOPE_BASE))[part]
    mine = f"scfAttachmentId=d-2,ou=attachments,{SUFFIX}"
    assert added(Writer(world, None), mine, {"objectClass": "scfAttachmentHead", "scfAttachmentId": "d-2",
                 "scfUser": world.person("quinn"), "scfRequestedAt": "20260101000000Z"}) is None
    assert added(Writer(world, None), f"scfPart=1,{mine}", {"objectClass": "scfAttachmentPart", "scfPart": "1",
                 "scfContent": "x" * 262144}) is None
    assert added(Writer(world, None), f"scfPart=2,{mine}", {"objectClass": "scfAttachmentPart", "scfPart": "2",
                 "scfContent": "x" * 262145}) == "CONSTRAINT_VIOLATION"
    gateway.delete_s(f"scfPart=1,{mine}")
    gateway.delete_s(mine)


# ---- who decides ----

# ---- who decides ----

def decision(world, uid, word):
    return [*replaced("scfState", word), *replaced("scfDecidedBy", world.person(uid)),
            *replaced("scfDecidedAt", "20260101000000Z"), *replaced("scfReason", "because"),
            *replaced("scfTicket", "T-1"), *replaced("scfIdentifiedBy", "call back")]


DESK, AO, OWN = {"desk1", "desk2"}, {"rivera"}, {"ito"}
# kind: who may move it from a state to another
MOVES = {
    "association": {("pending", "approved"): AO | DESK, ("pending", "rejected"): AO | DESK, ("pending", "cancelled"): OWN,
                    ("approved", "ended"): AO | DESK | OWN},
    "consent": {("prepared", "signed"): AO | DESK, ("prepared", "withdrawn"): AO, ("signed", "withdrawn"): AO,
                ("signed", "approved"): DESK, ("signed", "rejected"): DESK, ("approved", "revoked"): DESK},
    "claim": {("submitted", "approved"): DESK, ("submitted", "rejected"): DESK, ("submitted", "withdrawn"): {"quinn"}},
}
STATES = {"association": ("pending", "approved", "rejected", "cancelled", "expired", "ended"),
          "consent": ("prepared", "signed", "approved", "rejected", "withdrawn", "revoked", "expired"),
          "claim": ("submitted", "approved", "rejected", "withdrawn")}


@pytest.mark.parametrize("kind", MOVES)
def test_a_state_is_left_by_whom_the_rules_name_for_where_the_rules_say(world, kind):
    dn = {"association": world.association("a-ito-meridian"), "consent": world.consent("c-lakeside-meridian"),
          "claim": claim_dn(world)}[kind]
    admin = world.admin()
    before = dict(admin.search_s(dn, ldap.SCOPE_BASE))[dn]
    writers = {uid: Writer(world, uid) for uid in USERS}
    decided = ("scfDecidedBy", "scfDecidedAt", "scfReason", "scfTicket", "scfIdentifiedBy")
    for start in STATES[kind]:
        for end in STATES[kind]:
            for uid, w in writers.items():
                may = uid in MOVES[kind].get((start, end), ())
                if start == end:
                    continue
                admin.modify_s(dn, replaced("scfState", start) + [(ldap.MOD_REPLACE, name, before.get(name)) for name in decided])
                assert (outcome(w.modify, dn, decision(world, uid, end)) is None) == may, (uid, start, end)
    for attribute, value in (("scfUser", world.person("outsider")), ("scfEmployer", world.organization("harbor")),
                             ("scfProvider", world.organization("harbor")), ("objectClass", "extensibleObject")):
        for w in writers.values():
            assert outcome(w.modify, dn, replaced(attribute, value)) is not None
            assert outcome(w.delete, dn) == "INSUFFICIENT_ACCESS"
    admin.modify_s(dn, [(ldap.MOD_REPLACE, name, before.get(name)) for name in (*decided, "scfState")])


@pytest.mark.parametrize("whose, decide", [("rivera", DESK), ("desk1", AO | {"desk2"})])
def test_nobody_decides_on_his_own_request(world, whose, decide):
    dn = world.association("a-own")
    for uid in USERS:
        entry = association_entry(world, "a-own", whose, "lakeside")
        assert outcome(Writer(world, whose).add, dn, entry) is None
        assert (outcome(Writer(world, uid).modify, dn, decision(world, uid, "approved")) is None) == (uid in decide), uid
        world.admin().delete_s(dn)


def test_what_was_decided_is_confirmed_by_the_ao(world):
    for dn in (world.association("a-okafor-meridian"), world.consent("c-lakeside-meridian")):
        for uid in USERS:
            may = uid in AO | DESK | ({"okafor"} if "Association" in dn else set())
            change = replaced("scfDecidedAt", "20260102000000Z")
            assert (outcome(Writer(world, uid).modify, dn, change) is None) == may, uid


def test_whoever_has_ceased_to_be_ao_decides_nothing(world):
    dn, w = world.association("a-ito-meridian"), Writer(world, "rivera")
    world.admin().modify_s(world.organization("lakeside"), replaced("scfAuthorizedOfficial", world.person("quinn")))
    assert outcome(w.modify, dn, decision(world, "rivera", "approved")) == "INSUFFICIENT_ACCESS"
    world.admin().modify_s(world.organization("lakeside"), replaced("scfAuthorizedOfficial", world.person("rivera")))
    for uid, word in (("rivera", "disabled"), ("rivera", "active")):
        world.set_state(world.person(uid), word)
        assert (outcome(w.modify, dn, decision(world, uid, "rejected")) is None) == (word == "active")
    world.admin().modify_s(dn, replaced("scfState", "pending") + [
        (ldap.MOD_REPLACE, n, None) for n in ("scfDecidedBy", "scfDecidedAt", "scfReason", "scfTicket",
                                              "scfIdentifiedBy")])


def association_entry(world, name, uid, employer, provider="lakeside", word="pending", by=None):
    entry = {"objectClass": [b"scfAssociation"], "scfAssociationId": [name.encode()],
             "scfUser": [world.person(uid).encode()], "scfEmployer": [world.organization(employer).encode()],
             "scfProvider": [world.organization(provider).encode()], "scfState": [word.encode()],
             "scfRequestedBy": [world.person(by or uid).encode()], "scfRequestedAt": [b"20260101000000Z"],
             "scfExpires": [b"20270101000000Z"]}
    return ldap.modlist.addModlist(entry)


# may, as whom, the entry
REQUESTS = {
    "by a stranger": (True, "outsider", ("outsider", "harbor")),
    "of the provider itself": (True, "outsider", ("outsider", "lakeside")),
    "by the AO": (True, "rivera", ("rivera", "lakeside")),
    "in another's name": (False, "outsider", ("novak", "harbor")),
    "asked for by another": (False, "outsider", ("outsider", "harbor", "lakeside", "pending", "novak")),
    "approved at once": (False, "outsider", ("outsider", "harbor", "lakeside", "approved")),
    "by the AO, approved at once": (False, "rivera", ("rivera", "harbor", "lakeside", "approved")),
    "by the help desk, approved at once": (False, "desk1", ("desk1", "harbor", "lakeside", "approved")),
    "through a suspended employer": (False, "outsider", ("outsider", "dormant")),
    "through an employer that there is not": (False, "outsider", ("outsider", "nowhere")),
    "of another provider than it lies in": (False, "outsider", ("outsider", "harbor", "patel-md")),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_an_association_is_asked_for(world, name):
    may, uid, entry = REQUESTS[name]
    dn = world.association("a-test")
    assert outcome(Writer(world, uid).add, dn, association_entry(world, "a-test", *entry)) == (
        None if may else "INSUFFICIENT_ACCESS")
    if may:
        assert outcome(Writer(world, uid).delete, dn) == "INSUFFICIENT_ACCESS"
        world.admin().delete_s(dn)


def test_an_association_is_asked_for_only_where_one_would_count(world):
    def asked():
        return outcome(Writer(world, "outsider").add, world.association("a-test"),
                       association_entry(world, "a-test", "outsider", "harbor")) is None

    for dn, attribute, value, back in (
            (world.organization("lakeside"), "scfState", "suspended", "active"),
            (world.organization("lakeside"), "scfBarredEmployer", world.organization("harbor"), None),
            (world.organization("harbor"), "scfState", "suspended", "active"),
            (world.person("outsider"), "scfState", "disabled", "active")):
        world.admin().modify_s(dn, replaced(attribute, value))
        assert not asked(), (dn, attribute)
        world.admin().modify_s(dn, replaced(attribute, back))
    assert asked()
    world.admin().delete_s(world.association("a-test"))


def test_a_consent_is_prepared_by_the_ao(world):
    dn = world.consent("c-test")
    entry = {"objectClass": "scfConsent", "scfConsentId": "c-test", "scfProvider": world.organization("lakeside"),
             "scfEmployer": world.organization("harbor"), "scfState": "prepared", "scfNotAfter": "20300101000000Z",
             "scfRequestedBy": world.person("rivera"), "scfRequestedAt": "20260101000000Z"}
    for uid in USERS:
        mine = {**entry, "scfRequestedBy": world.person(uid)}
        assert (added(Writer(world, uid), dn, mine) is None) == (uid == "rivera"), uid
    world.admin().delete_s(dn)
    for change in ({"scfState": "signed"}, {"scfState": "approved"}, {"scfProvider": world.organization("patel-md")},
                   {"scfSignedDigest": "0" * 64, "scfState": "signed"}, {"scfRequestedBy": world.person("chen")}):
        assert added(Writer(world, "rivera"), dn, {**entry, **change}) == "INSUFFICIENT_ACCESS", change
    assert added(Writer(world, "rivera"), dn, entry) is None
    signed = [*replaced("scfState", "signed"), *replaced("scfSignedBy", world.person("rivera")),
              *replaced("scfSignedAt", "20260102000000Z"), *replaced("scfSignedDigest", "0" * 64),
              *replaced("scfSignedHow", "electronic")]
    assert outcome(Writer(world, "chen").modify, dn, signed) == "INSUFFICIENT_ACCESS"
    assert outcome(Writer(world, "rivera").modify, dn, signed) is None
    assert outcome(Writer(world, "rivera").modify, dn, replaced("scfSignedDigest", "1" * 64)) == "INSUFFICIENT_ACCESS"
    world.admin().delete_s(dn)


OF_ORGANIZATIONS = {
    "scfAuthorizedOfficial": lambda w: w.person("novak"), "scfOfficialSince": lambda w: "20260101000000Z",
    "scfState": lambda w: "suspended", "scfBarredEmployer": lambda w: w.organization("harbor"),
    "scfDecidedBy": lambda w: w.person("desk1"), "scfTicket": lambda w: "T-1", "scfIdentifiedBy": lambda w: "call back"}


@pytest.mark.parametrize("attribute", OF_ORGANIZATIONS)
def test_an_organizations_standing_is_the_help_desks(world, attribute):
    dn = world.organization("lakeside")
    before = dict(world.admin().search_s(dn, ldap.SCOPE_BASE))[dn].get(attribute)
    for uid in USERS:
        result = outcome(Writer(world, uid).modify, dn, replaced(attribute, OF_ORGANIZATIONS[attribute](world)))
        assert (result is None) == (uid in DESK), uid
        world.admin().modify_s(dn, [(ldap.MOD_REPLACE, attribute, before)])
    for uid in ("rivera", "desk1"):
        for name, value in (("o", "Another"), ("scfTin", "123456789"), ("scfProviderKind", "individual")):
            assert outcome(Writer(world, uid).modify, dn, replaced(name, value)) == "INSUFFICIENT_ACCESS"


def test_an_organization_is_shown_to_who_registered_it_until_somebody_speaks_for_it(world):
    northgate = world.organization("northgate")
    assert search(ThroughGateway(world, "quinn"), northgate)[northgate]["scfTin"] == [b"453092817"]
    world.admin().modify_s(northgate, replaced("scfAuthorizedOfficial", world.person("novak")))
    assert outcome(search, ThroughGateway(world, "quinn"), northgate) == "NO_SUCH_OBJECT"
    world.admin().modify_s(northgate, replaced("scfAuthorizedOfficial", None))
    assert search(ThroughGateway(world, "quinn"), northgate)


def test_accounts_are_the_help_desks_and_names_ones_own(world):
    chen = world.person("chen")
    for attribute, value, back, who in (
            ("scfState", "disabled", "active", DESK), ("scfFraudAt", "20260101000000Z", None, DESK),
            ("scfSessionsEndAt", "20260101000000Z", None, DESK), ("scfReason", "because", None, DESK),
            ("cn", "W. Chen", "Wei Chen", {"chen"}), ("sn", "C.", "Chen", {"chen"}),
            ("telephoneNumber", "1", None, {"chen"}), ("mail", "x@y.example", None, set()), ("scfRealm", "nppes", None, set()),
            ("scfNpi", "1245319599", None, set()), ("userPassword", "another passphrase", None, {"chen"}),
            ("oathTOTPToken", chen, None, set()), ("scfSignedInAt", "20260101000000Z", None, DESK)):
        for uid in USERS:
            w = Writer(world, uid)
            result = outcome(w.modify, chen, replaced(attribute, value))
            assert (result is None) == (uid in who), (uid, attribute, result)
        if who and attribute != "userPassword":
            world.admin().modify_s(chen, replaced(attribute, back))
    for name in ("scfState", "scfFraudAt", "scfSessionsEndAt"):
        value = "active" if name == "scfState" else "20260101000000Z"
        assert outcome(Writer(world, "desk1").modify, world.person("desk1"), replaced(name, value)) == \
            "INSUFFICIENT_ACCESS"
    assert outcome(Writer(world, "patel").modify, world.person("patel"), replaced("cn", "A")) == "INSUFFICIENT_ACCESS"
    world.modify_ldif(f"dn: {chen}\nchangetype: modify\nreplace: userPassword\nuserPassword: {ssha(SAMPLE_PASSWORD)}\n-\n"
                      "replace: pwdReset\n")


def test_a_submission_is_submitted_and_decided(world):
    novak, dn = Writer(world, "novak"), submission_dn(world, "s-decide")
    for word in ("returned", "accepted"):
        novak.add(dn, submission(world, "s-decide", "novak", "harbor"))
        proc = ThroughGateway(world, "proc1")
        assert not sees(proc, dn)
        for uid in USERS:
            if uid != "novak":
                assert outcome(Writer(world, uid).modify, dn, replaced("scfState", "submitted")) == "INSUFFICIENT_ACCESS"
        novak.modify(dn, replaced("scfState", "submitted") + replaced("scfDocument", '{"whole": true}'))
        assert sees(proc, dn)
        for uid in USERS:
            if uid != "proc1":
                assert outcome(Writer(world, uid).modify, dn, decision(world, uid, word)) == "INSUFFICIENT_ACCESS"
                assert writes(ThroughGateway(world, uid), dn) == "INSUFFICIENT_ACCESS"
        assert writes(proc, dn) == "INSUFFICIENT_ACCESS"
        assert outcome(Writer(world, "proc1").modify, dn, decision(world, "proc1", "draft")) == "INSUFFICIENT_ACCESS"
        if word == "accepted":  # the record's id is the decision, and with it there is no way back
            Writer(world, "proc1").modify(dn, replaced("scfEnrollmentId", "O20260101000001"))
            assert not sees(ThroughGateway(world, "novak"), dn)
            assert outcome(Writer(world, "proc1").modify, dn, replaced("scfState", "returned")) == "INSUFFICIENT_ACCESS"
        Writer(world, "proc1").modify(dn, decision(world, "proc1", word))
        assert not sees(proc, dn)
        assert outcome(Writer(world, "proc1").modify, dn, decision(world, "proc1", "returned")) == "INSUFFICIENT_ACCESS"
        world.admin().delete_s(dn)
