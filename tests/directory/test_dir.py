"""dir/ by itself against real private slapds: every address, every outcome of a bind, reads and guarded writes in
people's names, races, the replication stream through restarts, and servers that lie, hang or vanish."""
import pathlib
import select
import shutil
import socket
import ssl
import statistics
import threading
import time
import warnings

import ldap
import pytest

from driver import Driver, entry, named
from race import SANITIZED
from world import SAMPLE_PASSWORD, SUFFIX, World, make_certificates, run

WRONG = "not that one at all"
RECORD = "O20240115000001"


@pytest.fixture(scope="module")
def world():
    with World(gateways="tls") as w:
        yield w


@pytest.fixture(scope="module")
def driver(world):
    with Driver(world) as d:
        yield d


def pair(where, attribute, value):
    where.setdefault(attribute, []).append(value.encode())


def add_person(world, uid, password=SAMPLE_PASSWORD, **more):
    """A person whose password the directory itself has hashed and dated."""
    attributes = {"objectClass": [b"inetOrgPerson", b"scfPerson"], "uid": [uid.encode()], "cn": [uid.encode()],
                  "sn": [uid.encode()], "scfState": [b"active"], "scfRealm": [b"local"]}
    for name, value in more.items():
        pair(attributes, name, value)
    admin = world.admin()
    admin.add_s(world.person(uid), list(attributes.items()))
    admin.passwd_s(world.person(uid), None, password)
    return world.person(uid)


def add_policy(world, name, **values):
    dn = f"cn={name},ou=policies,{world.suffix}"
    attributes = {"objectClass": [b"device", b"pwdPolicy"], "cn": [name.encode()], "pwdAttribute": [b"userPassword"]}
    for attribute, value in values.items():
        pair(attributes, attribute, str(value))
    world.admin().add_s(dn, list(attributes.items()))
    return dn


# ---- every address

ADDRESSES = ("ldapi", "ldaps", "ldap")


@pytest.mark.parametrize("address", ADDRESSES)
def test_everything_works_over(world, address):
    session = {"ldapi": "1", "ldaps": "2", "ldap": "3"}[address] * 64
    with Driver(world, getattr(world, address)) as d:
        assert d.ask("check")[0] == "ok"
        assert d.outcome("chen") == "right"
        assert d.outcome("chen", WRONG) == "wrong"
        assert d.ask("read", "chen", "record", "lakeside", RECORD)[0] == "ok"
        assert d.ask("add-session", session, "chen")[0] == "ok"
        assert d.ask("state", "session", "-", session, "active", "ended")[0] == "ok"
        at = d.follow()
        world.set_state(world.consent("c-lakeside-dormant"), "revoked")
        at = d.wait(lambda e: entry("consent", "c-lakeside-dormant")(e) and e[5] == "revoked", at)
        world.set_state(world.consent("c-lakeside-dormant"), "approved")
        d.wait(lambda e: entry("consent", "c-lakeside-dormant")(e) and e[5] == "approved", at)
        assert int(d.ask("stop")[0]) < 100


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_document_of_a_megabyte_goes_both_ways_over(world, address):
    with Driver(world, getattr(world, address)) as d:
        assert d.ask("document", "okafor", "lakeside", RECORD, "-", 1000000)[0] == "ok"
        answer = d.ask("read", "okafor", "record", "lakeside", RECORD)
        assert answer[0] == "ok" and int(answer[8]) == 1000002


# ---- settings

@pytest.mark.parametrize("settings", [
    {"uri": "http://localhost"}, {"uri": "ldap://one ldap://two"}, {"uri": "ldaps://localhost", "ca_file": None},
    {"base": "not a name"}, {"people": "="}, {"password_file": None}, {"binds": 0}, {"writers": 0}, {"connect_timeout_ms": 0},
    {"certificate_file": "/dev/null"},
])
def test_a_setting_that_cannot_work_is_refused(world, settings):
    settings = dict(settings)
    with Driver(world, settings.pop("uri", world.ldapi), **settings) as d:
        assert d.opened[:2] == ["open", "invalid"], d.opened


# ---- passwords

def test_right_wrong_unknown(driver):
    assert driver.bind("chen", SAMPLE_PASSWORD)[:4] == ["ok", "right", "-1", "-1"]
    assert driver.outcome("chen", WRONG) == "wrong"
    assert driver.outcome("nobody.here", SAMPLE_PASSWORD) == "wrong"
    assert driver.outcome(None, SAMPLE_PASSWORD) == "wrong"
    assert driver.outcome("patel", SAMPLE_PASSWORD) == "wrong"  # has no password here


@pytest.mark.parametrize("name", ["*", "chen)(uid=*", "chen,ou=people", "chen+cn=x", "\\63hen", "#63", " chen", "Chen", "cn=admin"])
def test_a_name_that_is_no_uid_is_unknown(driver, name):
    assert driver.outcome(name) == "wrong"


@pytest.mark.parametrize("password", [b"", b"\0", b"\0x", SAMPLE_PASSWORD.encode() + b"\0", b"x\0y", b"x" * 1025])
def test_a_password_that_cannot_be_one_never_reaches_the_wire(world, driver, password):
    before = binds_of(world)
    assert driver.outcome("chen", password) == "invalid"
    assert binds_of(world) == before


def test_an_outage_is_not_a_wrong_password(world):
    with Driver(world, "ldapi://%2Fnowhere%2Fat%2Fall") as d:
        assert d.outcome("chen") == "unavailable"
        assert d.outcome("chen", "") == "invalid"


def binds_of(world):
    handle = world.bind_dn(f"cn=monitor,ou=services,{SUFFIX}", world.password("monitor"), world.ldapi)
    found = handle.search_s("cn=Bind,cn=Operations,cn=Monitor", ldap.SCOPE_BASE, attrlist=["monitorOpInitiated"])
    handle.unbind_s()
    return int(found[0][1]["monitorOpInitiated"][0]) - next(binds_of.own)


binds_of.own = iter(range(1, 10 ** 9))  # each look is a bind itself


def lock(driver, uid, tries=5):
    for _ in range(tries):
        assert driver.outcome(uid, WRONG) == "wrong"


def test_locked_is_told_whatever_the_password(world, driver):
    add_person(world, "locked")
    lock(driver, "locked")
    assert driver.outcome("locked") == "locked"
    assert driver.outcome("locked", WRONG) == "locked"


def failures_of_decoy(world):
    found = world.admin().search_s(f"cn=decoy,ou=services,{SUFFIX}", ldap.SCOPE_BASE, attrlist=["pwdFailureTime"])
    return sorted(found[0][1].get("pwdFailureTime", []))


def test_every_no_costs_one_check_and_one_bind_more(world, driver):
    add_person(world, "even")
    lock(driver, "even")
    for uid, checked in (("even", "decoy"), ("nobody.here", "decoy"), (None, "decoy"), ("okafor", "own")):
        binds, failures = binds_of(world), failures_of_decoy(world)
        assert driver.outcome(uid, WRONG) in ("wrong", "locked")
        assert binds_of(world) - binds == 2 + 1, uid  # one is the administrator, who asks about the decoy
        assert (failures_of_decoy(world) != failures) == (checked == "decoy"), uid


def test_must_change(world, driver):
    dn = add_person(world, "reset")
    world.admin().modify_s(dn, [(ldap.MOD_REPLACE, "pwdReset", [b"TRUE"])])
    assert driver.outcome("reset", WRONG) == "wrong"
    assert driver.outcome("reset") == "must-change"
    assert driver.outcome("chen") == "right"  # on the same connections


def test_expired_with_and_without_grace(world, driver):
    policy = add_policy(world, "short", pwdMaxAge=1, pwdGraceAuthNLimit=2)
    add_person(world, "expired", pwdPolicySubentry=policy)
    time.sleep(2.1)
    assert driver.outcome("expired", WRONG) == "wrong"
    assert driver.bind("expired", SAMPLE_PASSWORD)[:3] == ["ok", "right", "1"]
    assert driver.bind("expired", SAMPLE_PASSWORD)[:3] == ["ok", "right", "0"]
    assert driver.outcome("expired") == "expired"
    assert driver.outcome("expired", WRONG) == "wrong"


def test_expiring_soon(world, driver):
    policy = add_policy(world, "soon", pwdMaxAge=1000, pwdExpireWarning=999)
    add_person(world, "expiring", pwdPolicySubentry=policy)
    time.sleep(2.1)
    code, outcome, grace, expires, *_ = driver.bind("expiring", SAMPLE_PASSWORD)
    assert [code, outcome, grace] == ["ok", "right", "-1"] and 900 < int(expires) < 1000


def test_a_thousand_parallel_binds_leave_the_service_on_every_other_handle(world):
    add_person(world, "storm", pwdPolicySubentry=f"cn=services,ou=policies,{SUFFIX}")  # never locked
    with Driver(world, world.ldaps, binds=8, operation_timeout_ms=30000) as d:
        right, wrong, failed, mistaken, strangers = map(int, d.ask("storm", 16, 1000, "storm", SAMPLE_PASSWORD, timeout=120))
    assert (right + wrong, failed, mistaken, strangers) == (1000, 0, 0, 0)


def test_nppes_is_asked_without_a_service_identity_or_a_decoy(world):
    n = world.nppes
    people = f"ou=people,{n.suffix}"
    with Driver(n, n.ldaps, people=people, bind_dn=None, password_file=None) as d:
        assert d.ask("check")[0] == "ok"
        assert d.outcome("patel") == "right"
        assert d.outcome("patel", WRONG) == "wrong"
        assert d.outcome("nobody.here") == "wrong"
        assert d.outcome(None) == "wrong"


def test_time_does_not_tell_wrong_from_unknown_from_locked():
    with World(scheme="{ARGON2}", nppes=False) as w, Driver(w) as d:
        add_person(w, "even")
        lock(d, "even")
        w.admin().modify_s(w.person("chen"), [(ldap.MOD_REPLACE, "pwdPolicySubentry",
                                               [f"cn=decoy,ou=policies,{SUFFIX}".encode()])])
        for attempt in range(3):  # other programs take time too
            times = {"chen": [], "nobody.here": [], "even": [], "-": []}
            for _ in range(15):
                for uid, list_ in times.items():
                    list_.append(int(d.bind(uid, WRONG)[4]))
            middle = {uid: statistics.median(list_) for uid, list_ in times.items()}
            if max(middle.values()) < 1.5 * min(middle.values()):
                break
    assert max(middle.values()) < 1.5 * min(middle.values()), middle


# ---- reading

def test_a_person_is_shown_what_the_directory_shows_that_person(driver):
    assert driver.ask("read", "chen", "record", "lakeside", RECORD)[0] == "ok"
    assert driver.ask("read", "novak", "record", "lakeside", RECORD)[0] == "not-found"
    assert driver.ask("read", "nobody.here", "record", "lakeside", RECORD)[0] == "not-found"
    assert driver.ask("read", "chen", "record", "lakeside", "O20240115999999")[0] == "not-found"
    assert driver.ask("read", "chen", "record", "patel-md", "I20230302000007")[0] == "not-found"


def test_the_service_itself_is_shown_no_document(driver):
    answer = driver.ask("read", "-", "record", "lakeside", "O20240115000002")
    assert answer[0] == "ok" and answer[7] == "revoked" and answer[8] == "0"


def test_each_kind_can_be_read(world, driver):
    driver.ask("add-session", "e" * 64, "chen")
    for kind, provider, name, state in (
            ("person", "-", "chen", "active"), ("organization", "-", "dormant", "suspended"), ("session", "-", "e" * 64, "active"),
            ("association", "lakeside", "a-ito-meridian", "pending"), ("consent", "lakeside", "c-lakeside-meridian", "approved"),
            ("application", "-", "portal", "active"), ("role", "-", "helpdesk", "none")):
        answer = driver.ask("read", "-", kind, provider, name)
        assert answer[0] == "ok" and answer[2:4] == [name, state], (kind, answer)


@pytest.mark.parametrize("provider,name", [
    ("lakeside", "*"), ("lakeside", "O2024011500000*"), ("*", RECORD), ("lakeside,ou=organizations", RECORD), ("-", RECORD),
    ("lakeside", RECORD + ",ou=records"), ("lakeside", ""), ("lakeside", RECORD.lower()), ("LAKESIDE", RECORD)])
def test_a_name_that_no_record_can_have_is_not_found(driver, provider, name):
    assert driver.ask("read", "-", "record", provider, name)[0] == "not-found"


def test_names_are_escaped(driver):
    assert driver.ask("name", "person", "-", "a,b+c=\"d\"")[0] == 'uid=a\\2Cb\\2Bc\\3D\\22d\\22,ou=people,' + SUFFIX


def test_an_entry_that_is_not_understood_is_not_found(world, driver):
    world.set_values(world.association("a-novak-harbor"), "scfProvider", world.organization("patel-md"))
    answer = driver.ask("read", "-", "association", "lakeside", "a-novak-harbor")
    assert answer[0] == "not-found" and "scfProvider" in answer[9]
    world.set_values(world.association("a-novak-harbor"), "scfProvider", world.organization("lakeside"))


def test_a_referral_is_not_followed(world, driver):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        away = f"ou=records,scfOrgId=away,ou=organizations,{SUFFIX}"
        world.modify_ldif(f"dn: scfOrgId=away,ou=organizations,{SUFFIX}\nchangetype: add\nobjectClass: referral\n"
                          f"objectClass: extensibleObject\nscfOrgId: away\nref: ldap://127.0.0.1:{trap.getsockname()[1]}/{away}\n")
        assert driver.ask("read", "-", "record", "away", RECORD)[0] in ("unavailable", "not-found")
        assert not select.select([trap], [], [], 0.3)[0], "somebody followed it"


# ---- writing

def test_a_second_entry_of_the_same_id_is_a_conflict(driver):
    assert driver.ask("add-session", "a" * 64, "chen")[0] == "ok"
    assert driver.ask("add-session", "a" * 64, "okafor")[0] == "conflict"


def test_a_write_tells_the_revision_that_the_entry_then_has(driver):
    code, reached, _ = driver.ask("add-session", "b" * 64, "chen")
    assert code == "ok" and driver.ask("read", "-", "session", "-", "b" * 64)[1] == reached
    code, ended, _ = driver.ask("state", "session", "-", "b" * 64, "active", "ended")
    assert code == "ok" and ended > reached and driver.ask("read", "-", "session", "-", "b" * 64)[1] == ended
    assert driver.ask("revision")[1] >= ended


def test_a_guard_that_fails_is_a_conflict_and_changes_nothing(driver):
    driver.ask("add-session", "c" * 64, "chen")
    assert driver.ask("state", "session", "-", "c" * 64, "ended", "active")[0] == "conflict"
    assert driver.ask("state", "session", "-", "c" * 64, "active", "ended")[0] == "ok"
    assert driver.ask("state", "session", "-", "c" * 64, "active", "ended")[0] == "conflict"
    assert driver.ask("state", "session", "-", "d" * 64, "active", "ended")[0] == "not-found"
    assert driver.ask("state", "session", "-", "c" * 64, "active", "approved")[0] == "invalid"


def test_of_two_saves_from_one_revision_one_is_lost_and_told(driver):
    first = driver.ask("read", "chen", "record", "lakeside", RECORD)[1]
    assert driver.ask("document", "chen", "lakeside", RECORD, first, 100)[0] == "ok"
    assert driver.ask("document", "okafor", "lakeside", RECORD, first, 200)[0] == "conflict"
    assert driver.ask("read", "chen", "record", "lakeside", RECORD)[8] == "102"


def test_a_person_writes_only_what_the_directory_lets_that_person(driver):
    assert driver.ask("document", "novak", "lakeside", RECORD, "-", 10)[0] == "not-found"
    assert driver.ask("document", "-", "lakeside", RECORD, "-", 10)[0] == "not-found"  # the service itself


@pytest.mark.parametrize("address", ADDRESSES)
def test_exactly_one_of_two_racing_writes_wins(world, address):
    with Driver(world, getattr(world, address)) as d:
        assert d.ask("race", "chen", 200, timeout=120) == ["200", "0", "0", "0"]


# ---- the stream

@pytest.fixture()
def stream(world):
    with Driver(world) as d:
        yield d, d.follow()


def test_the_first_load_tells_everything_once_and_in_order(world, stream):
    d, _ = stream
    first = d.events
    assert first[0] == ["begin", "anew"]
    names = [tuple(e[3:5]) for e in first if e[0] == "entry"]
    assert len(names) == len(set(names))
    for kind, name in (("person", "chen"), ("organization", "lakeside"), ("association", "a-ito-meridian"),
                       ("consent", "c-lakeside-meridian"), ("record", RECORD), ("application", "portal"), ("role", "auditors")):
        assert (kind, name) in names
    assert not [e for e in first if e[0] in ("misfit", "gone", "present")]
    assert [e[0] for e in first[-2:]] == ["refreshed", "reached"] and first[-2][1] == "sweep"


def test_changes_are_told_as_they_happen(world, stream):
    d, at = stream
    world.modify_ldif(f"""dn: {world.association('a-new')}
changetype: add
objectClass: scfAssociation
scfAssociationId: a-new
scfUser: {world.person('chen')}
scfEmployer: {world.organization('meridian')}
scfProvider: {world.organization('lakeside')}
scfState: pending
""")
    at = d.wait(entry("association", "a-new"), at)
    uuid = d.events[at - 1][1]
    assert d.events[at - 1][5:9] == ["pending", "lakeside", "meridian", "chen"]
    world.set_state(world.association("a-new"), "approved")
    at = d.wait(lambda e: entry("association", "a-new")(e) and e[5] == "approved", at)
    world.modify_ldif(f"dn: {world.association('a-new')}\nchangetype: modrdn\nnewrdn: scfAssociationId=a-newer\ndeleteoldrdn: 1\n")
    at = d.wait(lambda e: entry("association", "a-newer")(e) and e[1] == uuid, at)
    csn = d.events[at - 1][2]
    d.wait(lambda e: e[0] == "reached" and e[1] >= csn, at)
    world.modify_ldif(f"dn: {world.association('a-newer')}\nchangetype: delete\n")
    d.wait(named("gone", uuid), at)


def test_what_is_moved_out_of_its_place_is_gone_or_told(world, stream):
    d, at = stream
    dn = world.consent("c-lakeside-dormant")
    world.modify_ldif(f"dn: {dn}\nchangetype: modrdn\nnewrdn: scfConsentId=c-lakeside-dormant\ndeleteoldrdn: 0\n"
                      f"newsuperior: {world.organization('lakeside')}\n")
    at = d.wait(lambda e: e[0] == "misfit" and "c-lakeside-dormant" in e[2], at)
    assert d.events[at - 1][3] == "scfConsentId: at no place in the tree where consent entries lie"
    world.modify_ldif(f"dn: scfConsentId=c-lakeside-dormant,{world.organization('lakeside')}\nchangetype: modrdn\n"
                      f"newrdn: scfConsentId=c-lakeside-dormant\ndeleteoldrdn: 0\nnewsuperior: ou=consents,{world.organization('lakeside')}\n")
    d.wait(entry("consent", "c-lakeside-dormant"), at)


def test_an_entry_in_a_foreign_container_is_a_misfit_until_it_is_put_right(world, stream):
    d, at = stream
    world.set_values(world.association("a-chen-lakeside"), "scfProvider", world.organization("patel-md"))
    at = d.wait(lambda e: e[0] == "misfit", at)
    _, _, dn, why = d.events[at - 1]
    assert dn == world.association("a-chen-lakeside")
    assert why == "scfProvider: 'patel-md' is not the organization that the entry lies in"
    world.set_values(world.association("a-chen-lakeside"), "scfProvider", world.organization("lakeside"))
    d.wait(entry("association", "a-chen-lakeside"), at)


def test_writes_elsewhere_in_the_tree_move_the_revision(world, stream):
    d, at = stream
    dn = f"cn=people,ou=policies,{SUFFIX}"
    world.modify_ldif(f"dn: {dn}\nchangetype: modify\nreplace: description\ndescription: {time.time()}\n")
    csn = world.admin().search_s(dn, ldap.SCOPE_BASE, attrlist=["entryCSN"])[0][1]["entryCSN"][0].decode()
    d.wait(lambda e: e[0] == "reached" and e[1] >= csn, at)


def test_a_restart_is_resumed_from_the_cookie(world, stream):
    d, at = stream
    world.stop()
    at = d.wait(named("ended", "unavailable"), at)
    world.start()
    begun = d.wait(named("begin", "resumed"), at, 20)
    refreshed = d.wait(named("refreshed", "keep"), begun)
    assert [e for e in d.events[begun:refreshed] if e[0] == "entry"] == []
    world.set_state(world.association("a-ito-meridian"), "approved")
    at = d.wait(lambda e: entry("association", "a-ito-meridian")(e) and e[5] == "approved", refreshed)
    world.set_state(world.association("a-ito-meridian"), "pending")
    d.wait(lambda e: entry("association", "a-ito-meridian")(e) and e[5] == "pending", at)


def test_what_changed_while_nobody_listened_is_told_on_resuming(world, stream):
    d, at = stream
    d.ask("add-session", "9" * 64, "chen")
    at = d.wait(entry("session", "9" * 64), at)
    uuid = d.events[at - 1][1]
    d.wait(named("reached"), at)
    world.kill9()
    at = d.wait(named("ended", "unavailable"), at)
    world.start()
    admin = world.admin()
    admin.delete_s(f"scfSessionId={'9' * 64},ou=sessions,{SUFFIX}")
    admin.unbind_s()
    d.wait(lambda e: e == ["gone", uuid], at, 20)


def test_a_hundred_kills_leave_the_stream_whole(world):
    rounds = 5 if SANITIZED else 15
    with Driver(world) as d:
        at = d.follow()
        for n in range(rounds):
            state = "suspended" if n % 2 == 0 else "active"
            world.set_state(world.organization("harbor"), state)
            if n % 3 == 0:
                world.kill9()
                world.start()
            at = d.wait(lambda e: entry("organization", "harbor")(e) and e[5] == state, at, 20)
        world.set_state(world.organization("harbor"), "active")
        d.wait(lambda e: entry("organization", "harbor")(e) and e[5] == "active", at - 1, 20)


def test_forgetting_the_cookie_loads_anew(world, stream):
    d, at = stream
    d.tell("forget")
    world.restart()
    at = d.wait(named("begin", "anew"), at, 20)
    d.wait(named("refreshed", "sweep"), at, 20)


def test_a_directory_restored_from_a_backup_is_loaded_anew():
    with World(nppes=False) as w, Driver(w) as d:
        at = d.follow()
        w.stop()
        run("cp", "-a", "--sparse=always", w.folder / "database", w.folder / "backup")
        w.start()
        at = d.wait(named("refreshed"), at, 20)
        w.set_state(w.association("a-ito-meridian"), "approved")
        at = d.wait(named("reached"), d.wait(entry("association", "a-ito-meridian"), at))
        w.stop()
        shutil.rmtree(w.folder / "database")
        shutil.move(w.folder / "backup", w.folder / "database")
        w.start()
        at = d.wait(named("begin", "anew"), at, 20)
        back = d.wait(entry("association", "a-ito-meridian"), at)
        assert d.events[back - 1][5] == "pending"
        d.wait(named("refreshed", "sweep"), back)


# ---- servers that hang

@pytest.mark.parametrize("address", ADDRESSES)
def test_a_stopped_server_bounds_every_call(world, address):
    with Driver(world, getattr(world, address), connect_timeout_ms=400, operation_timeout_ms=700) as d:
        assert d.outcome("chen") == "right"
        assert d.ask("revision")[0] == "ok"
        d.follow()
        world.sigstop()
        try:
            for question in (("revision",), ("bind", "chen", SAMPLE_PASSWORD.encode().hex()),
                             ("read", "-", "person", "-", "chen"), ("add-session", "7" * 64, "chen"), ("revision",)):
                began = time.monotonic()
                assert "unavailable" in d.ask(*question)[:2]
                assert time.monotonic() - began < 2.5, question
            assert int(d.ask("stop")[0]) < 100
        finally:
            world.sigcont()
        end = time.monotonic() + 5
        while d.outcome("chen") != "right":
            assert time.monotonic() < end


class Fake(threading.Thread):
    """A server that answers as told, and keeps what it was sent. script: list of bytes to send after each receive."""

    def __init__(self, script=(), trickle=None, tls=None):
        super().__init__(daemon=True)
        self.script, self.trickle, self.tls, self.received, self.connections = script, trickle, tls, b"", 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            if self.tls:
                peer = self.tls.wrap_socket(peer, server_side=True)
            for answer in self.script:
                self.received += peer.recv(65536)
                peer.sendall(answer)
            if self.trickle:
                peer.recv(65536)
                for byte in self.trickle:
                    peer.sendall(bytes([byte]))
                    time.sleep(0.05)
            while data := peer.recv(65536):
                self.received += data
        except OSError:
            pass

    def close(self):
        self.listener.close()


def ldap_result(message_id, operation, code):
    body = bytes([0x0a, 1, code, 4, 0, 4, 0])
    inner = bytes([2, 1, message_id, operation, len(body)]) + body
    return bytes([0x30, len(inner)]) + inner


EXTENDED = 0x78
SECRET = SAMPLE_PASSWORD.encode()


@pytest.mark.parametrize("scheme,script,trickle", [
    ("ldaps", (), None),                                       # accepts, and never says a word
    ("ldaps", (), b"\x16\x03\x03\x40\x00" + b"\x02" * 10000),  # a handshake that never ends, a byte at a time
    ("ldap", (), None),
    ("ldap", (ldap_result(1, EXTENDED, 0),), None),            # says yes to StartTLS, and then nothing
    ("ldap", (ldap_result(1, EXTENDED, 0),), b"\x16\x03\x03\x40\x00" + b"\x02" * 10000),
], ids=["ldaps silent", "ldaps trickling", "silent", "silent after StartTLS", "trickling after StartTLS"])
def test_a_server_that_hangs_while_connecting_costs_the_connect_timeout(world, scheme, script, trickle):
    fake = Fake(script, trickle)
    with Driver(world, f"{scheme}://127.0.0.1:{fake.port}", connect_timeout_ms=400) as d:
        began = time.monotonic()
        assert d.outcome("chen") == "unavailable"
        assert time.monotonic() - began < 1.2
        d.tell("stream")
        time.sleep(0.3)  # in the middle of connecting
        assert int(d.ask("stop")[0]) < 100
    assert SECRET not in fake.received and world.password("gateway").encode() not in fake.received
    fake.close()


# ---- servers that lie

@pytest.mark.parametrize("answer", [
    ldap_result(1, EXTENDED, 2),     # "protocol error": StartTLS stripped by whoever sits between
    ldap_result(1, EXTENDED, 52),    # "unavailable"
    ldap_result(1, 0x65, 0),         # something else
    b"\x30\x84\xff\xff\xff\xff",     # garbage
], ids=["protocol error", "unavailable", "another answer", "garbage"])
def test_no_tls_no_bind(world, answer):
    fake = Fake([answer] + [ldap_result(n, 0x61, 0) for n in range(2, 9)])  # and it would say yes to every bind
    with Driver(world, f"ldap://127.0.0.1:{fake.port}", connect_timeout_ms=1000) as d:
        assert d.outcome("chen") == "unavailable"
        assert d.ask("read", "-", "person", "-", "chen")[0] == "unavailable"
    assert fake.connections >= 1
    assert SECRET not in fake.received and world.password("gateway").encode() not in fake.received
    fake.close()


@pytest.fixture(scope="module")
def impostor(world, tmp_path_factory):
    """The same directory behind certificates of another CA, for the right name."""
    folder = tmp_path_factory.mktemp("impostor")
    tls = make_certificates(folder / "tls")
    with World(nppes=False, tls=tls) as w:
        yield w


@pytest.mark.parametrize("address", ["ldaps", "ldap"])
def test_a_certificate_of_another_ca_gets_no_password(world, impostor, address):
    before = binds_of(impostor)
    with Driver(impostor, getattr(impostor, address), ca_file=world.ca_file) as d:
        assert d.outcome("chen") == "unavailable"
        assert d.ask("read", "-", "person", "-", "chen")[0] == "unavailable"
        assert d.ask("check")[0] == "unavailable"
    assert binds_of(impostor) == before


@pytest.mark.parametrize("address", ["ldaps", "ldap"])
def test_a_certificate_for_another_name_gets_no_password(world, address):
    uri = getattr(world, address).replace("127.0.0.1", "127.0.0.2")
    port = uri.rsplit(":", 1)[1]
    listener = socket.create_server(("127.0.0.2", int(port)))  # passes everything on to the real server
    threading.Thread(target=relay, args=(listener, int(port)), daemon=True).start()
    before = binds_of(world)
    with Driver(world, uri) as d:
        assert d.outcome("chen") == "unavailable"
        assert d.ask("read", "-", "person", "-", "chen")[0] == "unavailable"
    assert binds_of(world) == before
    listener.close()


def relay(listener, port):
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", port))
        for pair_ in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair_, daemon=True).start()


@pytest.mark.parametrize("version,spoken", [
    (ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1, False)])
def test_tls_older_than_1_2_gets_no_password(world, version, spoken):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pathlib.Path(world.tls) / "server.pem", pathlib.Path(world.tls) / "server.key")
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = tls.maximum_version = version
    # It greets, and would say yes to every bind.
    fake = Fake([ldap_result(1, 0x65, 0)] + [ldap_result(n, 0x61, 0) for n in range(2, 9)], tls=tls)
    with Driver(world, f"ldaps://127.0.0.1:{fake.port}", connect_timeout_ms=2000) as d:
        assert d.outcome("chen") == ("right" if spoken else "unavailable")
    assert (SECRET in fake.received) == spoken
    fake.close()


def test_the_environment_and_files_of_libldap_do_not_count(world, impostor, monkeypatch, tmp_path):
    (tmp_path / "ldaprc").write_text("TLS_REQCERT never\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LDAPTLS_REQCERT", "never")
    monkeypatch.setenv("LDAPTLS_CACERT", str(impostor.ca_file))
    with Driver(impostor, impostor.ldaps, ca_file=world.ca_file) as d:
        assert d.outcome("chen") == "unavailable"
