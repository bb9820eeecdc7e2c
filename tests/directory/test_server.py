"""The server as ldif/config.ldif makes it: who gets in, what is locked, what its replication stream tells, what a copy
serves. Its access rules are in test_acl.py."""

import re
import shutil
import subprocess
import time

import ldap
import pytest
from ldap.controls.ppolicy import PasswordPolicyControl
from ldap.controls.simple import ManageDSAITControl, ProxyAuthzControl
from ldap.extop import ExtendedRequest
from ldap.ldapobject import SimpleLDAPObject
from ldap.syncrepl import SyncreplConsumer

from world import LDIF, PORTAL_SECRET, SAMPLE_PASSWORD, SUFFIX, World, hashed


def refused(call, *arguments, **named):
    """The name of the error that the call must end with."""
    with pytest.raises(ldap.LDAPError) as error:
        call(*arguments, **named)
    return error.type.__name__


def failures(world, dn):
    entry = world.admin().search_s(dn, ldap.SCOPE_BASE, attrlist=["pwdFailureTime", "pwdAccountLockedTime"])[0][1]
    return len(entry.get("pwdFailureTime", [])), "pwdAccountLockedTime" in entry


def session_entry(world, name):
    at = [b"20260101000000Z"]
    return [("objectClass", [b"scfSession", b"dynamicObject"]), ("scfSessionId", [name.encode()]),
            ("scfUser", [world.person("chen").encode()]), ("scfState", [b"active"]), ("scfStartedAt", at),
            ("scfSeenAt", at), ("scfAuthenticatedAt", at), ("scfExpires", at)]


# ---- who gets in ----

def test_a_password_crosses_no_line_in_clear(world):
    assert refused(world.bind, "chen", uri=world.ldap) == "CONFIDENTIALITY_REQUIRED"
    handle = world.connect(world.ldap)
    handle.start_tls_s()
    handle.simple_bind_s(world.person("chen"), SAMPLE_PASSWORD)
    assert handle.whoami_s() == f"dn:{world.person('chen')}"


def test_nobody_is_let_in_without_a_name_and_a_password(world):
    for uri in (world.ldapi, world.ldaps):
        assert refused(world.bind_dn, "", "", uri) == "INAPPROPRIATE_AUTH"
        assert refused(world.bind, "chen", "", uri) == "UNWILLING_TO_PERFORM"
        assert refused(world.connect(uri).search_s, SUFFIX, ldap.SCOPE_BASE) == "UNWILLING_TO_PERFORM"
    assert "namingContexts" in world.connect(world.ldaps).search_s("", ldap.SCOPE_BASE, attrlist=["+"])[0][1]


def test_each_directory_knows_its_own_people(world):
    assert world.nppes.bind("patel").whoami_s() == f"dn:{world.nppes.person('patel')}"
    assert refused(world.bind, "patel") == "INVALID_CREDENTIALS"
    assert refused(world.nppes.bind, "okafor") == "INVALID_CREDENTIALS"
    assert world.nppes.gateway().whoami_s() == f"dn:{world.nppes.gateway_dn}"


def test_a_disabled_account_is_refused_by_the_directory_itself_to_all_but_the_gateway(world):
    world.set_state(world.person("silva"), "disabled")
    assert refused(world.bind, "silva") == "INVALID_CREDENTIALS"
    inside = world.bind("silva", uri=world.ldapi)  # the gateway's bind: it must cost what any other costs
    assert refused(inside.search_s, world.person("silva"), ldap.SCOPE_BASE) == "NO_SUCH_OBJECT"
    world.set_state(world.person("silva"), "active")
    world.bind("silva")


def test_five_wrong_passwords_lock_a_person_and_never_the_decoy_or_a_service(world):
    decoy = f"cn=decoy,ou=services,{SUFFIX}"
    for dn in (world.person("quinn"), decoy, world.gateway_dn):
        for _ in range(7):
            assert refused(world.bind_dn, dn, "wrong") == "INVALID_CREDENTIALS"
    assert failures(world, world.person("quinn")) == (5, True)
    assert failures(world, decoy) == (5, False)  # recorded like a person's: it costs the same write
    assert failures(world, world.gateway_dn)[1] is False
    assert world.gateway().whoami_s() == f"dn:{world.gateway_dn}"
    handle = world.connect(world.ldaps)
    with pytest.raises(ldap.INVALID_CREDENTIALS):
        handle.simple_bind_s(world.person("quinn"), SAMPLE_PASSWORD, serverctrls=[PasswordPolicyControl()])


def test_a_password_is_changed_through_the_gateway_and_under_the_policy(world):
    gateway, dn = world.gateway(), world.person("ito")
    as_ito = {"serverctrls": [ProxyAuthzControl(True, f"dn:{dn}".encode())]}
    new = "another passphrase 2026"
    assert refused(world.bind("ito").passwd_s, dn, SAMPLE_PASSWORD, new) == "CONFIDENTIALITY_REQUIRED"
    assert refused(gateway.passwd_s, dn, "wrong passphrase", new, **as_ito) == "UNWILLING_TO_PERFORM"
    assert refused(gateway.passwd_s, dn, SAMPLE_PASSWORD, "short", **as_ito) == "CONSTRAINT_VIOLATION"
    assert refused(gateway.passwd_s, dn, SAMPLE_PASSWORD, "x" * 513, **as_ito) == "CONSTRAINT_VIOLATION"
    assert refused(gateway.passwd_s, world.person("chen"), SAMPLE_PASSWORD, new, **as_ito) in (
        "UNWILLING_TO_PERFORM", "INSUFFICIENT_ACCESS")
    gateway.passwd_s(dn, SAMPLE_PASSWORD, new, **as_ito)
    assert refused(world.bind, "ito") == "INVALID_CREDENTIALS"
    world.bind("ito", new)


def test_no_client_over_tls_starts_a_transaction(world):
    start = ExtendedRequest("1.3.6.1.1.21.1", None)  # RFC 5805; slapd 2.5 can be crashed with it
    handle = world.bind("outsider")
    with pytest.raises(ldap.CONFIDENTIALITY_REQUIRED):
        handle.extop_result(handle.extop(start))


def test_production_hashes_with_argon2():
    assert re.match(r"\{ARGON2\}\$argon2id?\$v=19\$m=19456,t=2,p=1\$", hashed("x", "{ARGON2}")) or \
        re.match(r"\{ARGON2\}\$argon2i\$v=19\$m=19456,t=2,p=1\$", hashed("x", "{ARGON2}"))
    with World(scheme="{ARGON2}", nppes=False) as w:
        assert w.bind("chen").whoami_s() == f"dn:{w.person('chen')}"
        gateway = w.gateway()
        gateway.passwd_s(w.person("chen"), SAMPLE_PASSWORD, "another passphrase 2026",
                         serverctrls=[ProxyAuthzControl(True, f"dn:{w.person('chen')}".encode())])
        stored = w.admin().search_s(w.person("chen"), ldap.SCOPE_BASE, attrlist=["userPassword"])[0][1]["userPassword"][0]
        assert b"$m=19456,t=2,p=1$" in stored
        assert refused(w.bind, "chen") == "INVALID_CREDENTIALS"


# ---- what may be stored ----

@pytest.mark.parametrize("kind, word", [
    ("person", "locked"), ("person", "approved"), ("organization", "disabled"), ("association", "signed"),
    ("consent", "pending"), ("application", "closed"), ("association", "Approved ")])
def test_a_state_of_another_kind_of_entry_is_refused(world, kind, word):
    dn = {"person": world.person("chen"), "organization": world.organization("lakeside"),
          "association": world.association("a-ito-meridian"), "consent": world.consent("c-lakeside-meridian"),
          "application": world.application("portal")}[kind]
    change = [(ldap.MOD_REPLACE, "scfState", word.encode())]
    assert refused(world.admin().modify_s, dn, change) == "CONSTRAINT_VIOLATION"


def test_an_organization_has_at_most_one_official(world):
    assert refused(world.admin().modify_s, world.organization("lakeside"),
                   [(ldap.MOD_ADD, "scfAuthorizedOfficial", world.person("quinn").encode())]) in (
        "CONSTRAINT_VIOLATION", "TYPE_OR_VALUE_EXISTS")


def test_the_sample_world_is_well_formed(world):
    import hashlib

    entries = dict(world.admin().search_s(SUFFIX, ldap.SCOPE_SUBTREE))
    portal = entries[world.application("portal")]
    assert portal["scfSecretDigest"] == [hashlib.sha256(PORTAL_SECRET.encode()).hexdigest().encode()]
    for dn, entry in entries.items():
        for npi in entry.get("scfNpi", []):
            digits = [int(c) for c in "80840" + npi.decode()][::-1]
            assert sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2]) == sum(digits[::2]) + sum(
                d * 2 - 9 * (d > 4) for d in digits[1::2])
            assert (sum(digits[::2]) + sum(d * 2 - 9 * (d > 4) for d in digits[1::2])) % 10 == 0, dn
        for name in ("scfUser", "scfEmployer", "scfProvider", "scfAuthorizedOfficial", "scfDecidedBy", "member"):
            for value in entry.get(name, []):
                assert value.decode() in entries, (dn, name)


# ---- the stream ----

class Consumer(SimpleLDAPObject, SyncreplConsumer):
    """Reads the directory's changes since a cookie (RFC 4533)."""

    def __init__(self, world, cookie=None):
        super().__init__(world.ldapi)
        self.simple_bind_s(world.gateway_dn, world.password("gateway"))
        self.cookie, self.told, self.gone, self.listed = cookie, {}, [], 0
        # With ManageDsaIT dynlist stays out of it, as it must: it would end a refresh without changes with error 50.
        request = self.syncrepl_search(SUFFIX, ldap.SCOPE_SUBTREE, mode="refreshOnly", attrlist=["*", "+"],
                                       serverctrls=[ManageDSAITControl()])
        while self.syncrepl_poll(request, timeout=10, all=1):
            pass

    def syncrepl_get_cookie(self):
        return self.cookie

    def syncrepl_set_cookie(self, cookie):
        self.cookie = cookie

    def syncrepl_entry(self, dn, attributes, uuid):
        self.told[dn] = uuid

    def syncrepl_delete(self, uuids):
        self.gone += uuids

    def syncrepl_present(self, uuids, refreshDeletes=False):
        self.listed += len(uuids or [])


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_a_consumer_that_comes_back_after_a_restart_is_told_the_changes_and_only_those(end):
    """Above all the last one: a deletion leaves no entry behind that a killed server could find it by."""
    with World(nppes=False) as w:
        w.set_state(w.association("a-ito-meridian"), "pending")  # the log begins with the first write
        first = Consumer(w)
        assert w.association("a-novak-harbor") in first.told
        assert not any(dn.endswith(f",ou=services,{SUFFIX}") for dn in first.told)
        w.set_state(w.association("a-ito-meridian"), "approved")
        w.modify_ldif(f"dn: {w.association('a-novak-harbor')}\nchangetype: delete\n")
        getattr(w, end)()
        w.start()
        again = Consumer(w, first.cookie)
        assert again.gone == [first.told[w.association("a-novak-harbor")]]
        assert list(again.told) == [w.association("a-ito-meridian")]
        assert again.listed <= 1  # not a list of all that there is
        last = Consumer(w, again.cookie)
        assert not last.told and not last.gone


def test_the_log_of_writes_tells_consumers_that_but_not_what(world):
    world.set_state(world.association("a-ito-meridian"), "pending")
    seen = world.gateway().search_s("cn=log", ldap.SCOPE_ONELEVEL)
    assert seen
    for _, entry in seen:
        assert not {"reqMod", "reqOld", "reqData", "reqAuthzID"} & set(entry)
    assert refused(world.bind("audit1").search_s, "cn=log", ldap.SCOPE_SUBTREE) == "NO_SUCH_OBJECT"


def test_a_session_that_nobody_ends_is_removed_by_the_server_and_its_removal_told():
    soon = "dn: olcOverlay={0}dds,olcDatabase={2}mdb,cn=config\nchangetype: modify\n" \
        "replace: olcDDSminTtl\nolcDDSminTtl: 1\n-\nreplace: olcDDSdefaultTtl\nolcDDSdefaultTtl: 3\n-\n" \
        "replace: olcDDSinterval\nolcDDSinterval: 1\n"
    with World(nppes=False, changes=[soon]) as w:
        dn = f"scfSessionId={'ab' * 32},ou=sessions,{SUFFIX}"
        w.gateway().add_s(dn, session_entry(w, "ab" * 32))
        before = Consumer(w)
        uuid = before.told[dn]
        end = time.monotonic() + 15
        # Gone from the database is not yet written in the log; a refresh without persist may fall between the two.
        while not w.admin().search_s("cn=log", ldap.SCOPE_ONELEVEL, f"(&(reqType=delete)(reqDN={dn}))"):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert not w.admin().search_s(f"ou=sessions,{SUFFIX}", ldap.SCOPE_ONELEVEL)
        assert uuid in Consumer(w, before.cookie).gone


# ---- the copy for other clients ----

def test_a_read_only_copy_follows_and_is_held_to_the_same_rule(world, tmp_path):
    copy = world.replica(tmp_path / "copy")

    def sees(uid):
        try:
            return bool(copy.bind(uid).search_s(copy.record("O20240115000001"), ldap.SCOPE_BASE))
        except (ldap.NO_SUCH_OBJECT, ldap.INVALID_CREDENTIALS):
            return False

    def becomes(uid, answer):
        end = time.monotonic() + 10
        while sees(uid) != answer:
            assert time.monotonic() < end
            time.sleep(0.02)

    try:
        becomes("okafor", True)
        assert not sees("novak")
        world.set_state(world.consent("c-lakeside-meridian"), "revoked")
        becomes("okafor", False)
        world.set_state(world.consent("c-lakeside-meridian"), "approved")
        becomes("okafor", True)
        gateway, session = world.gateway(), f"scfSessionId={'cd' * 32},ou=sessions,{SUFFIX}"
        gateway.add_s(session, session_entry(world, "cd" * 32))
        world.set_state(world.consent("c-lakeside-meridian"), "revoked")
        becomes("okafor", False)
        world.set_state(world.consent("c-lakeside-meridian"), "approved")
        becomes("okafor", True)
        assert refused(copy.admin().search_s, session, ldap.SCOPE_BASE) == "NO_SUCH_OBJECT"
        gateway.delete_s(session)
        change = [(ldap.MOD_REPLACE, "scfDocument", b"{}")]
        for dn in (copy.record("O20240115000001"), copy.record("O20249999999999")):
            assert refused(copy.bind("okafor").modify_s, dn, change) == "CONFIDENTIALITY_REQUIRED"
            assert refused(copy.bind("okafor", uri=copy.ldapi).modify_s, dn, change) == "UNWILLING_TO_PERFORM"
    finally:
        copy.kill9()  # in order it takes the five seconds of its timeout


# ---- the harness itself ----

def arrived(copy, uid):
    try:
        return bool(copy.bind(uid))
    except ldap.INVALID_CREDENTIALS:
        return False


def test_a_directory_and_a_copy_live_in_folders_with_blanks_in_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr("world.LDIF", shutil.copytree(LDIF, tmp_path / "the ldif files"))
    with World(folder=tmp_path / "my world", nppes=False) as w:
        w.restart().bind("chen")
        copy = w.replica(tmp_path / "a copy")
        try:
            end = time.monotonic() + 10
            while not arrived(copy, "chen"):
                assert time.monotonic() < end
                time.sleep(0.02)
        finally:
            copy.stop()


def test_a_folder_too_deep_for_a_socket_is_named_at_once(tmp_path):
    deep = tmp_path / ("deep" * 30)
    with pytest.raises(RuntimeError, match="107 bytes"):
        World(folder=deep, nppes=False)
    assert not (deep / "main").exists()


def test_a_stopped_server_goes_on_and_a_killed_one_comes_back_with_everything(world):
    world.sigstop()
    try:
        handle = world.connect()
        handle.set_option(ldap.OPT_TIMEOUT, 0.3)
        assert refused(handle.sasl_non_interactive_bind_s, "EXTERNAL") in ("TIMEOUT", "SERVER_DOWN")
    finally:
        world.sigcont()
    world.set_values(world.person("chen"), "mail", "killed@lakeside.example")
    where = world.ldaps
    world.kill9()
    assert refused(world.bind, "chen") == "SERVER_DOWN"
    world.start()
    assert world.ldaps == where
    assert world.bind("chen").search_s(world.person("chen"), ldap.SCOPE_BASE)[0][1]["mail"] == [b"killed@lakeside.example"]


@pytest.mark.parametrize("version, spoken", [("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)])
def test_old_versions_of_tls_are_not_spoken(world, version, spoken):
    said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{world.ldaps_port}", f"-{version}", "-CAfile", world.ca_file,
                           "-cipher", "DEFAULT:@SECLEVEL=0"], input="", capture_output=True, text=True, timeout=20).stdout
    assert ("Verify return code: 0 (ok)" in said and "Cipher is (NONE)" not in said) == spoken, said
