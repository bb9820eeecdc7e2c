"""The directory's own wall: what slapd shows and lets change, to clients of its own and to the gateway acting in a user's
name, is what docs/rules.md says; times aside, which an access rule cannot compare."""

import random

import ldap
import ldap.modlist
import pytest
from ldap.controls.simple import ProxyAuthzControl

from asking import Direct, ThroughGateway, outcome, search, sees, writes
from world import SUFFIX, World, run

LAKESIDE_1, LAKESIDE_2, PATEL_1 = "O20240115000001", "O20240115000002", "I20230302000007"
RECORDS = [(LAKESIDE_1, "lakeside"), (LAKESIDE_2, "lakeside"), (PATEL_1, "patel-md")]
USERS = "rivera chen okafor novak ito silva quinn patel outsider desk1 desk2 audit1 proc1".split()
MAY_SEE = {"rivera": "lakeside", "chen": "lakeside", "okafor": "lakeside", "patel": "patel-md"}
ORGANIZATIONS = f"ou=organizations,{SUFFIX}"


# ---- the sample world ----

@pytest.mark.parametrize("uid", USERS)
def test_a_record_is_read_and_written_exactly_as_the_rule_says(world, uid):
    clients = [ThroughGateway(world, uid)]
    if uid != "patel":  # his password is at NPPES
        clients.append(Direct(world, uid))
    for record, provider in RECORDS:
        dn = world.record(record, provider)
        may = MAY_SEE.get(uid) == provider
        for client in clients:
            if uid == "audit1":
                shown = search(client, dn)
                assert "scfForm" in shown[dn] and "scfDocument" not in shown[dn]
            else:
                assert sees(client, dn) == may, (client, dn)
        assert writes(clients[0], dn) == (None if may else "INSUFFICIENT_ACCESS")
        assert writes(clients[0], dn, "scfEnrollmentStatus", b"approved") == "INSUFFICIENT_ACCESS"
        for client in clients[1:]:
            assert writes(client, dn) == "CONFIDENTIALITY_REQUIRED"  # not past the gateway


def test_the_access_rules_alone_would_refuse_a_write_past_the_gateway():
    """Without the server's general rule that changes come over ldapi only."""
    change = "dn: cn=config\nchangetype: modify\nreplace: olcSecurity\nolcSecurity: simple_bind=71\n"
    with World(changes=[change], nppes=False) as w:
        for uid in ("chen", "okafor", "rivera"):
            assert sees(Direct(w, uid), w.record(LAKESIDE_1))
            assert writes(Direct(w, uid), w.record(LAKESIDE_1)) == "INSUFFICIENT_ACCESS"
            assert writes(ThroughGateway(w, uid), w.record(LAKESIDE_1)) is None
        draft = submission(w, "s-x", "chen", "lakeside")
        assert outcome(w.bind("chen").add_s, submission_dn(w, "s-x"), draft) == "INSUFFICIENT_ACCESS"
        assert outcome(w.bind("chen").passwd_s, w.person("chen"), "sample passphrase 2026", "x" * 20) is not None


@pytest.mark.parametrize("uid", USERS)
def test_a_search_finds_the_records_that_may_be_seen(world, uid):
    if uid == "audit1":
        return
    found = search(ThroughGateway(world, uid), ORGANIZATIONS, ldap.SCOPE_SUBTREE, "(objectClass=scfEnrollment)", ["1.1"])
    assert sorted(found) == sorted(world.record(r, p) for r, p in RECORDS if MAY_SEE.get(uid) == p)


def modify(dn, *changes):
    lines = [f"dn: {dn}", "changetype: modify"]
    for operation, attribute, *values in changes:
        lines += [f"{operation}: {attribute}", *(f"{attribute}: {value}" for value in values), "-"]
    return "\n".join(lines) + "\n\n"


def organization(name):
    return f"scfOrgId={name},ou=organizations,@SUFFIX@"


def person(uid):
    return f"uid={uid},ou=people,@SUFFIX@"


def association(name):
    return f"scfAssociationId={name},ou=associations,{organization('lakeside')}"


def consent(name):
    return f"scfConsentId={name},ou=consents,{organization('lakeside')}"


def state(dn, word):
    return modify(dn, ("replace", "scfState", word))


NEW_CONSENT = f"""dn: {consent('c-lakeside-harbor')}
changetype: add
objectClass: scfConsent
scfConsentId: c-lakeside-harbor
scfProvider: {organization('lakeside')}
scfEmployer: {organization('harbor')}
scfState: approved

"""
NO_NEW_CONSENT = f"dn: {consent('c-lakeside-harbor')}\nchangetype: delete\n"

# who, sees before, the change, sees after, the way back
CHANGES = {
    "EUS approves the SCF of novak's employer": ("novak", False, NEW_CONSENT, True, NO_NEW_CONSENT),
    "the AO approves ito": ("ito", False, state(association("a-ito-meridian"), "approved"), True,
                            state(association("a-ito-meridian"), "pending")),
    "EUS activates silva's employer": ("silva", False, state(organization("dormant"), "active"), True,
                                       state(organization("dormant"), "suspended")),
    "okafor's association ends": ("okafor", True, state(association("a-okafor-meridian"), "ended"), False,
                                  state(association("a-okafor-meridian"), "approved")),
    "the SCF of okafor's employer is revoked": ("okafor", True, state(consent("c-lakeside-meridian"), "revoked"), False,
                                                state(consent("c-lakeside-meridian"), "approved")),
    "an SCF that is only signed is none": ("okafor", True, state(consent("c-lakeside-meridian"), "signed"), False,
                                           state(consent("c-lakeside-meridian"), "approved")),
    "okafor's employer is suspended": ("okafor", True, state(organization("meridian"), "suspended"), False,
                                       state(organization("meridian"), "active")),
    "the provider bars okafor's employer": (
        "okafor", True, modify(organization("lakeside"), ("add", "scfBarredEmployer", organization("meridian"))), False,
        modify(organization("lakeside"), ("delete", "scfBarredEmployer"))),
    "barring another employer leaves okafor's": (
        "okafor", True, modify(organization("lakeside"), ("add", "scfBarredEmployer", organization("harbor"))), True,
        modify(organization("lakeside"), ("delete", "scfBarredEmployer"))),
    "another provider's bar does not count": (
        "okafor", True, modify(organization("patel-md"), ("add", "scfBarredEmployer", organization("meridian"))), True,
        modify(organization("patel-md"), ("delete", "scfBarredEmployer"))),
    "okafor's account is disabled": ("okafor", True, state(person("okafor"), "disabled"), False,
                                     state(person("okafor"), "active")),
    "okafor's account is removed": ("okafor", True, state(person("okafor"), "removed"), False,
                                    state(person("okafor"), "active")),
    "the provider is suspended": ("chen", True, state(organization("lakeside"), "suspended"), False,
                                  state(organization("lakeside"), "active")),
    "the provider is suspended, for its AO": ("rivera", True, state(organization("lakeside"), "suspended"), False,
                                              state(organization("lakeside"), "active")),
    "the AO needs the SCF like anybody": ("rivera", True, state(consent("c-lakeside-lakeside"), "expired"), False,
                                          state(consent("c-lakeside-lakeside"), "approved")),
    "the AO is replaced": (
        "rivera", True, modify(organization("lakeside"), ("delete", "scfAuthorizedOfficial", person("rivera")),
                               ("add", "scfAuthorizedOfficial", person("quinn"))), False,
        modify(organization("lakeside"), ("replace", "scfAuthorizedOfficial", person("rivera")))),
    "a new AO sees": (
        "quinn", False, modify(organization("lakeside"), ("replace", "scfAuthorizedOfficial", person("quinn"))), True,
        modify(organization("lakeside"), ("replace", "scfAuthorizedOfficial", person("rivera")))),
    "the AO's account is disabled": ("rivera", True, state(person("rivera"), "disabled"), False,
                                     state(person("rivera"), "active")),
    "a provider that bars itself": (
        "rivera", True, modify(organization("lakeside"), ("add", "scfBarredEmployer", organization("lakeside"))), False,
        modify(organization("lakeside"), ("delete", "scfBarredEmployer"))),
    "nobody gains by being a help desk's member": (
        "novak", False, modify("cn=helpdesk,ou=roles,@SUFFIX@", ("add", "member", person("novak"))), False,
        modify("cn=helpdesk,ou=roles,@SUFFIX@", ("delete", "member", person("novak")))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_by_ldapmodify_counts_on_the_next_search_of_an_open_connection(world, name):
    uid, before, there, after, back = CHANGES[name]
    record = world.record(LAKESIDE_1)
    clients = [Direct(world, uid), ThroughGateway(world, uid)]
    assert [sees(client, record) for client in clients] == [before] * 2
    try:
        world.modify_ldif(there)
        assert [sees(client, record) for client in clients] == [after] * 2
        assert (writes(clients[1], record) is None) == after
    finally:
        world.modify_ldif(back)
    assert [sees(client, record) for client in clients] == [before] * 2


def test_a_practitioner_needs_no_consent_but_an_account_and_an_active_practice(world):
    patel, record = ThroughGateway(world, "patel"), world.record(PATEL_1, "patel-md")
    for dn, word, back in ((world.person("patel"), "disabled", "active"),
                           (world.organization("patel-md"), "suspended", "active")):
        assert sees(patel, record)
        world.set_state(dn, word)
        assert not sees(patel, record)
        assert writes(patel, record) == "INSUFFICIENT_ACCESS"
        world.set_state(dn, back)
    world.set_values(world.organization("patel-md"), "scfProviderKind", "organization")
    assert not sees(patel, record)
    world.set_values(world.organization("patel-md"), "scfProviderKind", "individual")
    assert sees(patel, record)


# ---- hidden existence ----

@pytest.mark.parametrize("uid, provider", [
    ("outsider", "lakeside"), ("outsider", "nowhere"), ("ito", "lakeside"), ("ito", "nowhere"), ("quinn", "lakeside"),
    ("proc1", "nowhere"), ("desk1", "lakeside")])
def test_what_a_stranger_asks_for_does_not_exist_whether_it_does_or_not(world, uid, provider):
    def answers(dn):
        client = world.bind(uid)
        name = dn.split(",")[0]
        calls = [(client.search_s, dn, ldap.SCOPE_BASE), (client.search_s, dn, ldap.SCOPE_SUBTREE),
                 (client.search_s, dn, ldap.SCOPE_BASE, "(scfNpi=1453827192)"),
                 (client.compare_s, dn, "scfForm", b"855B"), (client.compare_s, dn, "objectClass", b"scfEnrollment"),
                 (client.modify_s, dn, [(ldap.MOD_REPLACE, "scfDocument", b"{}")]), (client.delete_s, dn),
                 (client.rename_s, dn, name + "9"), (client.add_s, dn, [("objectClass", [b"device"])])]
        seen = []
        for call, *arguments in calls:
            with pytest.raises(ldap.LDAPError) as error:
                call(*arguments)
            told = error.value.args[0]
            seen.append((told["result"], told.get("matched"), told.get("info")))
        return seen

    existing = [world.record(LAKESIDE_1)]
    missing = [world.record("O20240115999999", provider)]
    if uid != "desk1":  # looks after organizations, and may know of them
        existing += [world.organization("lakeside"), f"ou=records,{world.organization('lakeside')}",
                     world.consent("c-lakeside-lakeside"), f"cn=associates,{world.organization('lakeside')}"]
        missing += [world.organization("nowhere2"), f"ou=records,{world.organization('nowhere2')}",
                    world.consent("c-nothing", provider), f"cn=associates,{world.organization('nowhere2')}"]
    told = {dn: answers(dn) for dn in existing + missing}
    assert len({str(t) for t in told.values()}) == 1, told
    assert [t[0] for t in told[existing[0]]] == [32] * 3 + [53] * 2 + [13] * 4


@pytest.mark.parametrize("uid", ["outsider", "ito", "proc1", "quinn"])
def test_a_stranger_finds_nothing_from_anywhere(world, uid):
    client = world.bind(uid)
    mine = {world.association("a-ito-meridian")} if uid == "ito" else set()
    # What he has registered himself, while nobody speaks for it.
    mine |= {f"scfClaimId=k-quinn-northgate,ou=claims,{world.organization('northgate')}", world.organization("northgate")} if uid == "quinn" else set()
    assert {dn for dn, _ in client.search_s(ORGANIZATIONS, ldap.SCOPE_SUBTREE, attrlist=["1.1"])} == mine
    for base in (SUFFIX, f"ou=people,{SUFFIX}", f"ou=roles,{SUFFIX}", f"ou=sessions,{SUFFIX}", f"ou=applications,{SUFFIX}",
                 f"ou=services,{SUFFIX}", f"ou=policies,{SUFFIX}", "cn=log", "cn=config", "cn=Monitor"):
        assert outcome(client.search_s, base, ldap.SCOPE_SUBTREE) == "NO_SUCH_OBJECT", base


def test_people_see_themselves_and_nobody_else(world):
    client = world.bind("chen")
    shown = client.search_s(world.person("chen"), ldap.SCOPE_BASE, attrlist=["*", "+"])[0][1]
    assert shown["mail"] == [b"chen@lakeside.example"] and "userPassword" not in shown
    for uid in USERS:
        if uid != "chen":
            assert outcome(client.search_s, world.person(uid), ldap.SCOPE_BASE) == "NO_SUCH_OBJECT"
    assert outcome(client.compare_s, world.person("novak"), "mail", b"x") == "UNWILLING_TO_PERFORM"  # olcRestrict


def test_an_associate_sees_his_organization_but_not_its_number_and_an_official_all_of_it(world):
    lakeside = world.organization("lakeside")
    assert set(search(Direct(world, "novak"), lakeside)[lakeside]) == {
        "objectClass", "scfOrgId", "o", "scfState", "scfProviderKind", "scfAuthorizedOfficial"}
    assert "scfTin" in search(Direct(world, "rivera"), lakeside)[lakeside]
    found = search(Direct(world, "rivera"), ORGANIZATIONS, ldap.SCOPE_SUBTREE, "(|(objectClass=scfAssociation)"
                   "(objectClass=scfConsent))", ["1.1"])
    assert len(found) == 8 and all(dn.endswith(lakeside) for dn in found)
    assert outcome(search, Direct(world, "novak"), world.consent("c-lakeside-meridian")) == "NO_SUCH_OBJECT"


# ---- roles and services ----

def kinds(found):
    return {dn.split("=")[0] for dn in found}


SECRETS = {"scfDocument", "userPassword", "pwdHistory", "scfSecretDigest", "authzTo", "oathSecret", "scfRecoveryDigest"}


def test_auditors_see_everything_but_documents_and_secrets(world):
    found = search(Direct(world, "audit1"), SUFFIX, ldap.SCOPE_SUBTREE, attributes=["*", "+"])
    everything = {dn for dn, _ in world.admin().search_s(SUFFIX, ldap.SCOPE_SUBTREE, attrlist=["1.1"])}
    assert set(found) == {dn for dn in everything if not dn.endswith(tuple(
        f"ou={folder},{SUFFIX}" for folder in ("sessions", "grants", "reservations", "attachments")))}
    for entry in found.values():
        assert not (SECRETS | {"scfTin", "scfTinKind"}) & set(entry)


def test_the_help_desk_sees_accounts_and_organizations_but_no_enrollment_data(world):
    found = search(Direct(world, "desk1"), SUFFIX, ldap.SCOPE_SUBTREE, attributes=["*", "+"])
    assert kinds(found) == {"ou", "cn", "uid", "scfOrgId", "scfAssociationId", "scfConsentId", "scfClaimId",
                            "scfAttachmentId", "scfPart"}
    assert len([dn for dn in found if dn.startswith("uid=")]) == len(USERS)
    assert not any(SECRETS & set(entry) for entry in found.values())


def test_a_role_ends_with_the_account(world):
    clients = {uid: Direct(world, uid) for uid in ("audit1", "desk1")}
    for uid, client in clients.items():
        assert search(client, world.organization("lakeside"))
        world.set_state(world.person(uid), "disabled")
        assert outcome(search, client, world.organization("lakeside")) == "NO_SUCH_OBJECT"
        world.set_state(world.person(uid), "active")


def test_the_gateway_reads_what_its_replica_holds_and_nothing_else(world):
    found = {dn: entry for dn, entry in world.gateway().search_s(SUFFIX, ldap.SCOPE_SUBTREE, attrlist=["*", "+"])}
    assert kinds(found) == {"dc", "ou", "cn", "uid", "scfOrgId", "scfAssociationId", "scfConsentId", "scfClaimId",
                            "scfEnrollmentId", "scfApplicationId", "scfAttachmentId", "scfPart", "scfReservationId"}
    assert not any(dn.endswith(f"ou=services,{SUFFIX}") for dn in found)
    for dn, entry in found.items():
        unseen = {"scfDocument", "scfContent", "userPassword", "pwdHistory", "authzTo", "member"}
        assert not unseen & set(entry) or ",ou=roles," in dn
    assert found[world.application("portal")]["scfSecretDigest"]
    assert "contextCSN" in found[SUFFIX]


SESSION = f"scfSessionId={'ab' * 32},ou=sessions,{SUFFIX}"


def session_entry(world):
    at = [b"20260101000000Z"]
    return [("objectClass", [b"scfSession", b"dynamicObject"]), ("scfSessionId", [b"ab" * 32]),
            ("scfUser", [world.person("chen").encode()]), ("scfState", [b"active"]), ("scfStartedAt", at),
            ("scfSeenAt", at), ("scfAuthenticatedAt", at), ("scfExpires", at), ("scfAddress", [b"127.0.0.1"])]


def test_the_gateway_writes_sessions(world):
    gateway = world.gateway()
    gateway.add_s(SESSION, session_entry(world))
    gateway.modify_s(SESSION, [(ldap.MOD_REPLACE, "scfSeenAt", b"20260101000010Z")])
    ttl = gateway.search_s(SESSION, ldap.SCOPE_BASE, attrlist=["entryTtl"])[0][1]["entryTtl"]
    assert 86390 <= int(ttl[0]) <= 86400
    for uid in ("chen", "audit1", "desk1"):
        assert outcome(world.bind(uid).search_s, SESSION, ldap.SCOPE_BASE) == "NO_SUCH_OBJECT"
    assert outcome(ThroughGateway(world, "chen").handle.delete_ext_s, SESSION,
                   serverctrls=ThroughGateway(world, "chen").controls) == "INSUFFICIENT_ACCESS"
    gateway.delete_s(SESSION)


def test_the_gateway_acts_for_people_and_for_nobody_else(world):
    gateway = world.gateway()

    def acting_for(identity, client=gateway):
        return outcome(client.search_ext_s, world.record(LAKESIDE_1), ldap.SCOPE_BASE,
                       serverctrls=[ProxyAuthzControl(True, identity.encode())])

    assert acting_for(f"dn:{world.person('chen')}") is None
    for identity in (f"dn:cn=admin,ou=services,{SUFFIX}", f"dn:cn=root,{SUFFIX}", "dn:cn=config", f"dn:{SUFFIX}",
                     f"dn:ou=people,{SUFFIX}", f"dn:cn=replicator,ou=services,{SUFFIX}",
                     f"dn:uid=chen,ou=services,{SUFFIX}", f"dn:uid=a,uid=chen,ou=people,{SUFFIX}",
                     f"dn:uid=chen+cn=x,ou=people,{SUFFIX}", f"dn:uid=*,ou=people,{SUFFIX}",
                     f"dn:uid=ch\\2ben,ou=people,{SUFFIX}", f"dn:uid=a)(scfUser\\3d*,ou=people,{SUFFIX}",
                     f"dn:uid=a?b,ou=people,{SUFFIX}", f"dn:uid=a\\00b,ou=people,{SUFFIX}", f"dn:uid=,ou=people,{SUFFIX}",
                     "u:chen", "u:root", "gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth"):
        assert acting_for(identity) in ("PROXIED_AUTHORIZATION_DENIED", "INVALID_DN_SYNTAX", "PROTOCOL_ERROR"), identity
    for nobody in ("nobody-of-that-name", "desk9"):
        assert acting_for(f"dn:{world.person(nobody)}") == "NO_SUCH_OBJECT"
    for uid in ("chen", "desk1", "audit1"):
        assert acting_for(f"dn:{world.person('rivera')}", world.bind(uid)) == "PROXIED_AUTHORIZATION_DENIED"


# ---- names ----

def test_a_name_in_another_spelling_is_the_same_name(world):
    for spelling in (f"UID=CHEN, OU=People, {SUFFIX.upper()}", f"uid=\\63hen,ou=people,{SUFFIX}",
                     f"0.9.2342.19200300.100.1.1=Chen,ou=people,{SUFFIX}"):
        client = world.bind_dn(spelling, "sample passphrase 2026")
        assert client.search_s(world.record(LAKESIDE_1).replace("scfOrgId", "SCFORGID").upper(), ldap.SCOPE_BASE)
        assert outcome(client.search_s, world.record(PATEL_1, "patel-md").upper(), ldap.SCOPE_BASE) == "NO_SUCH_OBJECT"


NAMES = ["a)(scfState=*", "*", "a*", "a,ou=x", "a+cn=x", 'a"b', "a\\b", "a?b", "a b", "-a", "A", "é", "ｕser", "a" * 65, "a/b",
         "a%2c", "[a]", "a&b", "#a", "a;b", "a=b", "a<b"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_could_be_mistaken_for_more_than_names_are_refused(world, name):
    escaped = ldap.dn.escape_dn_chars(name)
    admin = world.admin()
    person = [("objectClass", [b"inetOrgPerson", b"scfPerson"]), ("uid", [name.encode()]), ("cn", [b"x"]), ("sn", [b"x"]),
              ("scfState", [b"active"]), ("scfRealm", [b"local"])]
    assert outcome(admin.add_s, f"uid={escaped},ou=people,{SUFFIX}", person) in (
        "CONSTRAINT_VIOLATION", "INVALID_DN_SYNTAX", "NAMING_VIOLATION")
    if name.isascii():
        entry = [("objectClass", [b"scfOrganization"]), ("scfOrgId", [name.encode()]), ("o", [b"x"]),
                 ("scfState", [b"active"])]
        assert outcome(admin.add_s, f"scfOrgId={escaped},{ORGANIZATIONS}", entry) == "CONSTRAINT_VIOLATION"
    for attribute in ("scfUser", "scfEmployer"):
        value = f"{'uid' if attribute == 'scfUser' else 'scfOrgId'}={escaped},ou=people,{SUFFIX}"
        change = [(ldap.MOD_REPLACE, attribute, value.encode())]
        assert outcome(admin.modify_s, world.association("a-ito-meridian"), change) in (
            "CONSTRAINT_VIOLATION", "INVALID_SYNTAX")


@pytest.mark.parametrize("slip", [
    "scfEmployer: scfOrgId=x)(objectClass\\3d*,ou=organizations,@SUFFIX@", "scfEmployer: cn=x?scfEmployer?sub,@SUFFIX@",
    "scfEmployer: uid=novak,ou=people,@SUFFIX@", "scfEmployer: @SUFFIX@", "scfUser: cn=*,@SUFFIX@",
    "scfProvider: scfOrgId=patel-md,ou=organizations,@SUFFIX@", "scfState: approved x"])
def test_what_an_administrator_forced_past_the_constraints_grants_nothing(slip):
    """slapadd checks none of them."""
    entry = {"scfUser": "uid=novak,ou=people,@SUFFIX@", "scfEmployer": "scfOrgId=meridian,ou=organizations,@SUFFIX@",
             "scfProvider": "scfOrgId=lakeside,ou=organizations,@SUFFIX@", "scfState": "approved"}
    del entry[slip.split(":")[0]]
    extra = "dn: scfAssociationId=slip,ou=associations,scfOrgId=lakeside,ou=organizations,@SUFFIX@\n" \
        "objectClass: scfAssociation\nscfAssociationId: slip\n" \
        + "".join(f"{name}: {value}\n" for name, value in entry.items()) + slip + "\n"
    with World(extra=extra, nppes=False) as w:
        for uid in ("novak", "outsider", "ito"):
            assert not sees(Direct(w, uid), w.record(LAKESIDE_1))
        assert sees(Direct(w, "chen"), w.record(LAKESIDE_1))


@pytest.mark.parametrize("where, names", [
    ("ou=records,scfOrgId=lakeside,ou=organizations,", "northgate"),
    ("ou=consents,scfOrgId=lakeside,ou=organizations,", "lakeside"), ("scfOrgId=lakeside,ou=organizations,", "lakeside"),
    (f"scfEnrollmentId={LAKESIDE_1},ou=records,scfOrgId=lakeside,ou=organizations,", "lakeside"),
    ("ou=organizations,", "lakeside"), ("ou=applications,", "lakeside"), ("", "lakeside")])
def test_a_record_that_lies_elsewhere_than_it_says_is_nobodys(world, where, names):
    dn = f"scfEnrollmentId=O20260101000009,{where}{SUFFIX}"
    world.admin().add_s(dn, [
        ("objectClass", [b"scfEnrollment"]), ("scfEnrollmentId", [b"O20260101000009"]), ("scfForm", [b"855B"]),
        ("scfProvider", [world.organization(names).encode()]), ("scfEnrollmentStatus", [b"approved"]),
        ("scfDocument", [b"{}"])])
    try:
        for uid in USERS:
            client = ThroughGateway(world, uid)
            if uid == "audit1":
                assert "scfDocument" not in search(client, dn)[dn]
            else:
                assert not sees(client, dn)
            assert writes(client, dn) == "INSUFFICIENT_ACCESS"
        assert "scfDocument" not in dict(world.gateway().search_s(dn, ldap.SCOPE_BASE))[dn]
    finally:
        world.admin().delete_s(dn)


# ---- submissions ----

def submission_dn(world, name, provider="lakeside"):
    return f"scfSubmissionId={name},ou=submissions,{world.organization(provider)}"


def submission(world, name, uid, employer, provider="lakeside", word="draft", **more):
    entry = {"objectClass": [b"scfSubmission"], "scfSubmissionId": [name.encode()], "scfUser": [world.person(uid).encode()],
             "scfEmployer": [world.organization(employer).encode()],
             "scfProvider": [world.organization(provider).encode()], "scfState": [word.encode()], "scfForm": [b"855B"],
             "scfDocument": [b"{}"], "scfRequestedAt": [b"20260101000000Z"], **more}
    return ldap.modlist.addModlist(entry)


# may create, as whom, entry's author, employer, provider
SUBMISSIONS = {
    "through one's employer, without consent": (True, "novak", "novak", "harbor", "lakeside"),
    "of the provider itself": (True, "chen", "chen", "lakeside", "lakeside"),
    "by the AO": (True, "rivera", "rivera", "lakeside", "lakeside"),
    "by the practitioner": (True, "patel", "patel", "patel-md", "patel-md"),
    "through an employer of others": (False, "novak", "novak", "meridian", "lakeside"),
    "in another's name": (False, "novak", "chen", "lakeside", "lakeside"),
    "in another's name, through one's employer": (False, "novak", "okafor", "harbor", "lakeside"),
    "while the request is pending": (False, "ito", "ito", "meridian", "lakeside"),
    "through a suspended employer": (False, "silva", "silva", "dormant", "lakeside"),
    "by a stranger": (False, "outsider", "outsider", "lakeside", "lakeside"),
    "by a stranger, for the practitioner": (False, "chen", "chen", "patel-md", "patel-md"),
    "for a provider not active": (False, "quinn", "quinn", "northgate", "northgate"),
    "by the help desk": (False, "desk1", "desk1", "lakeside", "lakeside"),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_submission_is_made(world, name):
    may, uid, author, employer, provider = SUBMISSIONS[name]
    client, dn = ThroughGateway(world, uid), submission_dn(world, "s-test", provider)
    entry = submission(world, "s-test", author, employer, provider)
    assert outcome(client.handle.add_ext_s, dn, entry, serverctrls=client.controls) == (
        None if may else "INSUFFICIENT_ACCESS")
    if uid != "patel":
        assert outcome(world.bind(uid).add_s, dn, entry) == "CONFIDENTIALITY_REQUIRED"
    if may:
        assert sees(client, dn) and not sees(ThroughGateway(world, "outsider"), dn)
        assert writes(client, dn) is None
        assert writes(client, dn, "scfState", b"accepted") == "INSUFFICIENT_ACCESS"
        client.handle.delete_ext_s(dn, serverctrls=client.controls)


def test_a_submission_says_what_is_so_or_is_not_made(world):
    client = ThroughGateway(world, "novak")
    for entry in (submission(world, "s-x", "novak", "harbor", word="submitted"),
                  submission(world, "s-x", "novak", "harbor", word="accepted"),
                  submission(world, "s-x", "novak", "harbor", provider="patel-md"),
                  submission(world, "s-x", "novak", "harbor", scfDecidedBy=[world.person("proc1").encode()])):
        assert outcome(client.handle.add_ext_s, submission_dn(world, "s-x"), entry, serverctrls=client.controls) == \
            "INSUFFICIENT_ACCESS"


# ---- generated worlds ----

ACCOUNT = ["active"] * 9 + ["disabled", "removed"]
ORGANIZATION = ["active"] * 12 + ["registered", "suspended", "closed"]
ASSOCIATION = ["approved"] * 8 + ["pending", "rejected", "cancelled", "expired", "ended"]
CONSENT = ["approved"] * 10 + ["prepared", "signed", "rejected", "withdrawn", "revoked", "expired"]
SUBMISSION = ["draft", "submitted", "accepted", "returned"]


class SmallWorld:
    """Two providers, three employers (the first provider may be one), four users, and chance."""

    def __init__(self, number):
        r = random.Random(f"scfgate {number}")
        self.name = f"w{number}"
        self.people = {f"{self.name}u{i}": r.choice(ACCOUNT) for i in range(4)}
        users = list(self.people)
        organizations = [f"{self.name}o{i}" for i in range(4)]
        self.organizations = {o: r.choice(ORGANIZATION) for o in organizations}
        self.providers = organizations[:2]
        self.kind = {p: r.choice(["organization", "organization", "individual"]) for p in self.providers}
        self.official = {p: r.choice(users + [None, None]) for p in self.providers}
        self.barred = {p: {o for o in organizations if r.random() < 0.1} for p in self.providers}
        # (folder, user, employer, provider, state): once in a while it lies in the wrong folder
        self.associations, self.consents, self.submissions = [], [], []
        for _ in range(r.randrange(9)):
            p = r.choice(self.providers)
            wrong = r.random() < 0.05
            self.associations.append((p, r.choice(users), r.choice(organizations), p if not wrong else
                                      self.providers[p == self.providers[0]], r.choice(ASSOCIATION)))
        for _ in range(r.randrange(7)):
            p = r.choice(self.providers)
            wrong = r.random() < 0.05
            self.consents.append((p, p if not wrong else self.providers[p == self.providers[0]],
                                  r.choice(organizations), r.choice(CONSENT)))
        for _ in range(r.randrange(4)):
            p = r.choice(self.providers)
            self.submissions.append((p, r.choice(users), r.choice(organizations), r.choice(SUBMISSION)))

    # The rule of docs/rules.md, "The decision", said once more.

    def paths(self, user, provider):
        if self.people[user] != "active" or self.organizations[provider] != "active":
            return set()
        employers = {e for f, u, e, p, s in self.associations if f == p == provider and u == user and s == "approved"}
        if self.official[provider] == user:
            employers.add(provider)
        return {e for e in employers if self.organizations[e] == "active" and e not in self.barred[provider]}

    def consented(self, provider):
        return {e for f, p, e, s in self.consents if f == p == provider and s == "approved"}

    def own(self, user, provider):
        return (self.kind[provider] == "individual" and self.official[provider] == user
                and self.people[user] == "active" and self.organizations[provider] == "active")

    def may_see(self, user, provider):
        return self.own(user, provider) or bool(self.paths(user, provider) & self.consented(provider))

    def may_see_submission(self, user, provider, author, employer, word):
        paths = self.paths(user, provider)
        if word == "accepted":
            paths = (paths & self.consented(provider)) | ({provider} if self.own(user, provider) else set())
        return bool(paths) and (author == user or employer in paths)

    def ldif(self):
        def entry(dn, *lines):
            return f"dn: {dn},@SUFFIX@\n" + "\n".join(lines) + "\n"

        def dn(organization):
            return f"scfOrgId={organization},ou=organizations"

        for user, word in self.people.items():
            yield entry(f"uid={user},ou=people", "objectClass: inetOrgPerson", "objectClass: scfPerson", f"uid: {user}",
                        "cn: x", "sn: x", f"scfState: {word}", "scfRealm: local")
        for o, word in self.organizations.items():
            lines = [f"scfOrgId: {o}", "o: x", f"scfState: {word}", "objectClass: scfOrganization"]
            if o in self.providers:
                lines += ["objectClass: scfProviderRole", f"scfProviderKind: {self.kind[o]}"]
                lines += [f"scfAuthorizedOfficial: uid={self.official[o]},ou=people,@SUFFIX@"] if self.official[o] else []
                lines += [f"scfBarredEmployer: {dn(e)},@SUFFIX@" for e in sorted(self.barred[o])]
            yield entry(dn(o), *lines)
        for p in self.providers:
            for folder in ("associations", "consents", "records", "submissions"):
                yield entry(f"ou={folder},{dn(p)}", "objectClass: organizationalUnit", f"ou: {folder}")
            yield entry(f"scfEnrollmentId={self.record(p)},ou=records,{dn(p)}", "objectClass: scfEnrollment",
                        f"scfEnrollmentId: {self.record(p)}", f"scfProvider: {dn(p)},@SUFFIX@", "scfForm: 855B",
                        "scfEnrollmentStatus: approved", "scfDocument: {}")
        for i, (folder, user, employer, provider, word) in enumerate(self.associations):
            yield entry(f"scfAssociationId={self.name}a{i},ou=associations,{dn(folder)}", "objectClass: scfAssociation",
                        f"scfAssociationId: {self.name}a{i}", f"scfUser: uid={user},ou=people,@SUFFIX@",
                        f"scfEmployer: {dn(employer)},@SUFFIX@", f"scfProvider: {dn(provider)},@SUFFIX@",
                        f"scfState: {word}")
        for i, (folder, provider, employer, word) in enumerate(self.consents):
            yield entry(f"scfConsentId={self.name}c{i},ou=consents,{dn(folder)}", "objectClass: scfConsent",
                        f"scfConsentId: {self.name}c{i}", f"scfProvider: {dn(provider)},@SUFFIX@",
                        f"scfEmployer: {dn(employer)},@SUFFIX@", f"scfState: {word}")
        for i, (provider, author, employer, word) in enumerate(self.submissions):
            yield entry(f"scfSubmissionId={self.name}s{i},ou=submissions,{dn(provider)}", "objectClass: scfSubmission",
                        f"scfSubmissionId: {self.name}s{i}", f"scfUser: uid={author},ou=people,@SUFFIX@",
                        f"scfEmployer: {dn(employer)},@SUFFIX@", f"scfProvider: {dn(provider)},@SUFFIX@",
                        f"scfState: {word}", "scfForm: 855B", "scfDocument: {}")

    def record(self, provider):
        return f"O20250101{int(self.name[1:]):05d}{self.providers.index(provider)}"


def test_some_hundred_generated_worlds_are_held_to_the_rule():
    worlds = [SmallWorld(number) for number in range(800)]
    seen = written = 0
    with World(extra="\n".join(line for small in worlds for line in small.ldif()), nppes=False) as w:
        client = ThroughGateway(w, "nobody")
        for small in worlds:
            for user in small.people:
                client.controls = [ProxyAuthzControl(True, f"dn:{w.person(user)}".encode())]
                for provider in small.providers:
                    dn, may = w.record(small.record(provider), provider), small.may_see(user, provider)
                    assert sees(client, dn) == may, (user, dn)
                    assert (writes(client, dn) is None) == may, (user, dn)
                    seen += may
                for i, (provider, author, employer, word) in enumerate(small.submissions):
                    dn = submission_dn(w, f"{small.name}s{i}", provider)
                    may = small.may_see_submission(user, provider, author, employer, word)
                    assert sees(client, dn) == may, (user, dn)
                    assert (writes(client, dn) is None) == (may and word == "draft"), (user, dn)
                    written += may
    assert seen > 300 and written > 300  # the worlds are not all closed


# ---- groups ----

def group(world, name, provider="lakeside"):
    found = run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-x", "-H", world.ldaps, "-D", world.person("audit1"), "-w",
                "sample passphrase 2026", "-o", "tls_cacert=" + str(world.ca_file), "-b", world.organization(provider),
                f"(cn={name})", "member").stdout
    return sorted(line.split("=")[1].split(",")[0] for line in found.split("\n") if line.startswith("member: "))


def test_groups_are_the_entries(world):
    assert group(world, "associates") == ["chen", "novak", "okafor", "silva"]
    assert group(world, "authorized-official") == ["rivera"]
    assert group(world, "consented-employers") == ["dormant", "lakeside", "meridian"]
    assert group(world, "associates", "northgate") == []
    world.set_state(world.association("a-ito-meridian"), "approved")
    world.set_state(world.association("a-chen-lakeside"), "ended")
    assert group(world, "associates") == ["ito", "novak", "okafor", "silva"]
    found = world.bind("audit1").search_s(SUFFIX, ldap.SCOPE_SUBTREE, f"(member={world.person('ito')})", ["1.1"])
    assert [dn for dn, _ in found] == [f"cn=associates,{world.organization('lakeside')}"]
    world.set_state(world.association("a-ito-meridian"), "pending")
    world.set_state(world.association("a-chen-lakeside"), "approved")
    assert outcome(world.bind("chen").search_s, f"cn=associates,{world.organization('lakeside')}", ldap.SCOPE_BASE) == \
        "NO_SUCH_OBJECT"
