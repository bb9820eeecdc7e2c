"""docs/rules.md, freshness: revocation at once, read your writes, fail closed, and what an admin's slip does."""
import threading
import time

import ldap
import pytest
from ldap.controls.readentry import PostReadControl

from api import SECRET
from gateway import Gateway
from race import ROUNDS, SANITIZED, race, until
from world import World

RECORD = "/v1/records/O20240115000001"
STALE = 2.0  # replica.max_staleness_ms of the tests


def eventually(holds, seconds=2.0, what=""):
    until(holds, seconds, 0.002, what)


def modify(world, dn, *mods):
    """A modify by the administrator; returns the entry's new entryCSN."""
    admin = world.admin()
    control = PostReadControl(criticality=True, attrList=["entryCSN"])
    number = admin.modify_ext(dn, list(mods), serverctrls=[control])
    _, _, _, controls = admin.result3(number)
    admin.unbind_s()
    return next(c for c in controls if isinstance(c, PostReadControl)).entry["entryCSN"][0].decode() \
        if any(isinstance(c, PostReadControl) for c in controls) else None


def set_state(world, dn, state):
    return modify(world, dn, (ldap.MOD_REPLACE, "scfState", [state.encode()]))


@pytest.fixture
def consent(world):
    """The form that okafor's access rests on; approved before and after."""
    dn = world.consent("c-lakeside-meridian")
    yield dn
    set_state(world, dn, "approved")


@pytest.mark.parametrize("dn, attribute, off, on, status, reason", [
    ("consent:c-lakeside-meridian", "scfState", "revoked", "approved", 403, "consent_revoked"),
    ("consent:c-lakeside-meridian", "scfNotAfter", "20200101000000Z", None, 403, "consent_expired"),
    ("consent:c-lakeside-meridian", "scfNotBefore", "20990101000000Z", "20200101000000Z", 403, "consent_not_yet_effective"),
    ("association:a-okafor-meridian", "scfState", "ended", "approved", 404, "not_found"),
    ("association:a-okafor-meridian", "scfNotAfter", "20200101000000Z", None, 404, "not_found"),
    ("organization:meridian", "scfState", "suspended", "active", 403, "employer_not_active"),
    ("organization:lakeside", "scfState", "suspended", "active", 403, "organization_not_active"),
    ("organization:lakeside", "scfBarredEmployer", "organization:meridian", None, 403, "employer_barred"),
])
def test_each_thing_that_ends_access_ends_it_at_once_and_it_can_come_back(world, gateway, dn, attribute, off, on, status, reason):
    def resolve(text):
        kind, _, name = (text or "").partition(":")
        return getattr(world, kind)(name) if name else text

    okafor = gateway.signed_in("okafor")
    assert okafor.get(RECORD).status == 200
    dn, off = resolve(dn), resolve(off)
    before = [v.encode() for v in ([on] if on else [])]
    modify(world, dn, (ldap.MOD_REPLACE, attribute, [off.encode()]))
    try:
        eventually(lambda: okafor.get(RECORD).status == status, what=okafor.get(RECORD))
        assert okafor.get(RECORD).reason == reason
        # The gateway may itself move what has ended to `expired`; put back whatever it was.
    finally:
        modify(world, dn, (ldap.MOD_REPLACE, attribute, before or None))
        if dn.startswith(("scfConsentId", "scfAssociationId")):
            set_state(world, dn, "approved")
    eventually(lambda: okafor.get(RECORD).status == 200)


def test_disabling_an_account_ends_its_sessions_at_once(world, gateway):
    chen = gateway.signed_in("chen")
    assert chen.get("/v1/me").status == 200
    set_state(world, world.person("chen"), "disabled")
    try:
        eventually(lambda: chen.get(RECORD).status == 401)
        assert chen.get(RECORD).reason == "account_not_active"
        assert gateway.api().login("chen").status == 401
    finally:
        set_state(world, world.person("chen"), "active")


def test_sessions_before_the_cut_off_are_void(world, gateway):
    chen = gateway.signed_in("chen")
    later = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 2)).encode()
    modify(world, world.person("chen"), (ldap.MOD_REPLACE, "scfSessionsEndAt", [later]))
    try:
        eventually(lambda: chen.get("/v1/me").status == 401)
    finally:
        modify(world, world.person("chen"), (ldap.MOD_REPLACE, "scfSessionsEndAt", None))


def test_read_your_writes_of_anyone_by_revision(world, gateway, consent):
    """With the revision of a write in hand, the very next answer knows of it; 200 times."""
    portal = gateway.api()
    portal.token = SECRET
    okafor = gateway.signed_in("okafor")
    for round_ in range(200):
        state = "revoked" if round_ % 2 == 0 else "approved"
        revision = set_state(world, consent, state)
        assert revision
        answer = okafor.get(RECORD, headers={"Scfgate-At-Least": revision})
        assert answer.status == (403 if state == "revoked" else 200), (round_, answer)
        assert answer.revision >= revision


def test_a_revision_that_never_comes_is_stale_not_forever(gateway):
    chen = gateway.signed_in("chen")
    begun = time.monotonic()
    answer = chen.get(RECORD, headers={"Scfgate-At-Least": "20990101000000.000000Z#000000#000#000000"})
    assert answer.status == 503 and answer.reason == "stale_directory"
    assert time.monotonic() - begun < 10
    assert chen.get(RECORD, headers={"Scfgate-At-Least": "yesterday"}).status == 400
    assert chen.get(RECORD).status == 200


def test_own_writes_are_read_back(world, gateway):
    chen = gateway.signed_in("chen")
    got = chen.get(RECORD)
    for round_ in range(50):
        document = got.json["document"]
        document["contact"]["name"] = f"Round {round_}"
        saved = chen.put(RECORD, document, headers={"If-Match": got.headers["ETag"]})
        assert saved.status == 200, saved
        got = chen.get(RECORD)
        assert got.json["document"]["contact"]["name"] == f"Round {round_}"
        assert got.headers["ETag"] == saved.headers["ETag"]
        assert got.revision >= saved.revision


def test_a_hanging_directory_closes_everything_at_max_staleness(world, gateway):
    chen = gateway.signed_in("chen")
    portal = gateway.api()
    portal.token = SECRET
    evaluation = {"subject": {"type": "user", "id": "chen"}, "action": {"name": "record.view"},
                  "resource": {"type": "record", "id": "O20240115000001"}}
    assert portal.post("/access/v1/evaluation", evaluation).json["decision"] is True
    world.sigstop()
    stopped = time.monotonic()
    try:
        last = stopped
        while time.monotonic() - stopped < STALE + 2:
            answer = portal.post("/access/v1/evaluation", evaluation)
            if answer.status == 200:
                last = time.monotonic()
            else:
                assert answer.status == 503 and answer.reason == "stale_directory", answer
            time.sleep(0.01)
        assert last - stopped < STALE + 0.5, "a permit from a stale replica"
        assert last - stopped > STALE - 0.7, "closed long before it had to"
        assert gateway.operations("/health/ready")[0] == 503
        assert gateway.operations("/health/live")[0] == 200
        assert gateway.api().login("chen").status == 503
    finally:
        world.sigcont()
    eventually(lambda: portal.post("/access/v1/evaluation", evaluation).status == 200, 5)
    eventually(lambda: gateway.operations("/health/ready")[0] == 200, 5)


def test_an_unreadable_entry_changes_nothing_else(world, gateway):
    """docs/rules.md, edge case 18. Constraints keep most slips out; these they cannot."""
    chen, okafor = gateway.signed_in("chen"), gateway.signed_in("okafor")
    consent = world.consent("c-lakeside-meridian")
    # A consent that lies in one provider and names another.
    modify(world, consent, (ldap.MOD_REPLACE, "scfProvider", [world.organization("patel-md").encode()]))
    try:
        eventually(lambda: okafor.get(RECORD).status == 403)
        assert okafor.get(RECORD).reason == "no_consent"
        assert chen.get(RECORD).status == 200
        eventually(lambda: "scfgate_replica_misfits 1" in gateway.operations("/metrics")[1])
        assert gateway.operations("/health/ready")[0] == 200
    finally:
        modify(world, consent, (ldap.MOD_REPLACE, "scfProvider", [world.organization("lakeside").encode()]))
    eventually(lambda: okafor.get(RECORD).status == 200)
    eventually(lambda: "scfgate_replica_misfits 0" in gateway.operations("/metrics")[1])


class Watcher(threading.Thread):
    """Asks for the record again and again; notes (when asked, status)."""

    def __init__(self, api):
        super().__init__(daemon=True)
        self.api, self.seen, self.end = api, [], False

    def run(self):
        while not self.end:
            asked = time.monotonic()
            try:
                self.seen.append((asked, self.api.get(RECORD).status))
            except OSError as e:
                self.seen.append((asked, repr(e)))
                self.api.close()

    def finish(self):
        self.end = True
        self.join(30)


def test_no_wrong_permit_while_slapd_is_killed_stopped_and_restarted(world, gateway, consent):
    """Access is taken away, then slapd is killed at once; whatever happens, nobody gets in for longer than max_staleness."""
    chen = gateway.signed_in("chen")
    watchers = [Watcher(gateway.signed_in("okafor")) for _ in range(3)]
    for w in watchers:
        w.start()
    closed = []  # (from, to): while the consent is revoked; `from` is the acknowledgement of the write
    try:
        for round_ in range(6):
            set_state(world, consent, "revoked")
            begun = time.monotonic()
            if round_ % 3 == 2:
                world.sigstop()
                time.sleep(0.3)
                world.sigcont()
            else:
                world.kill9()
                time.sleep(0.05 * round_)
                world.start()
            # The gateway answers again soon after the directory does.
            eventually(lambda: chen.get(RECORD).status == 200, 5)
            eventually(lambda: gateway.api().login("chen").status == 200, 5)
            time.sleep(0.2)
            closed.append((begun, time.monotonic()))
            set_state(world, consent, "approved")
            eventually(lambda: gateway.signed_in("okafor").get(RECORD).status == 200, 5)
    finally:
        for w in watchers:
            w.finish()
    statuses = {}
    for w in watchers:
        assert len(w.seen) > 50
        for asked, status in w.seen:
            statuses[status] = statuses.get(status, 0) + 1
            for begun, end in closed:
                if begun + STALE < asked < end:
                    assert status != 200, f"permitted {asked - begun:.3f} s after the revocation"
    assert set(statuses) <= {200, 403, 503}, statuses
    assert statuses.get(200, 0) > 0 and statuses.get(403, 0) > 0, statuses


def crowd(count):
    """LDIF of so many people of lakeside, each with an approved association."""
    lakeside, parts = "scfOrgId=lakeside,ou=organizations,@SUFFIX@", []
    for n in range(count):
        parts.append(f"dn: uid=crowd{n},ou=people,@SUFFIX@\nobjectClass: inetOrgPerson\nobjectClass: scfPerson\nuid: crowd{n}\ncn: {n}\nsn: {n}\n"
                     "scfState: active\nscfRealm: local\n")
        parts.append(f"dn: scfAssociationId=crowd{n},ou=associations,{lakeside}\nobjectClass: scfAssociation\nscfAssociationId: crowd{n}\n"
                     f"scfUser: uid=crowd{n},ou=people,@SUFFIX@\nscfEmployer: {lakeside}\nscfProvider: {lakeside}\nscfState: approved\n")
    return "\n".join(parts)


def test_after_a_crash_in_a_flood_of_writes_the_replica_is_the_directory_again():
    """A killed slapd may have stored what it told nobody of, not even those that resume: everything is compared anew."""
    count, kills = 60, 3 if SANITIZED else 8
    with World(extra=crowd(count)) as w, Gateway(w) as g:
        portal = g.api()
        portal.token = SECRET
        stop = threading.Event()

        def flood(number):
            state = 0
            while not stop.is_set():
                try:
                    admin = w.admin()
                    while not stop.is_set():
                        n = state * 7 % count
                        admin.modify_s(w.association(f"crowd{n}"), [(ldap.MOD_REPLACE, "scfState", [(b"ended", b"approved")[(state + number) % 2]])])
                        state += 1
                except (ldap.LDAPError, OSError):
                    time.sleep(0.01)

        def differences():
            found = w.admin().search_s(f"ou=associations,{w.organization('lakeside')}", ldap.SCOPE_ONELEVEL, attrlist=["scfState"])
            found = [(dn, entry) for dn, entry in found if dn.startswith("scfAssociationId=crowd")]
            assert len(found) == count
            wrong = []
            for dn, entry in found:
                user = dn.split(",")[0].split("=")[1]
                said = portal.post("/access/v1/evaluation", {"subject": {"type": "user", "id": user}, "action": {"name": "record.view"},
                                                             "resource": {"type": "record", "id": "O20240115000001"}})
                if said.status != 200 or said.json["decision"] != (entry["scfState"] == [b"approved"]):
                    wrong.append((user, entry, said))
            return wrong

        for _ in range(kills):
            stop.clear()
            threads = [threading.Thread(target=flood, args=(n,)) for n in range(4)]
            for t in threads:
                t.start()
            time.sleep(0.3)
            w.kill9()
            stop.set()
            for t in threads:
                t.join(20)
            w.start()
            eventually(lambda: not differences(), 5, "the replica and the directory differ for good")


def test_kill9_of_the_gateway_loses_nothing_acknowledged(world, gateway):
    chen = gateway.signed_in("chen")
    for round_ in range(5):
        got = chen.get(RECORD)
        document = got.json["document"]
        document["contact"]["name"] = f"Killed {round_}"
        saved = chen.put(RECORD, document, headers={"If-Match": got.headers["ETag"]})
        assert saved.status == 200
        gateway.kill9()
        lines = gateway.audit_lines()  # every line is whole
        assert any(line.get("event") == "record.update" and line["resource"] == "O20240115000001" for line in lines)
        gateway.start()
        chen.port = gateway.port
        chen.close()
        again = chen.get(RECORD)  # the session is an entry of the directory: it outlives the process
        assert again.status == 200 and again.json["document"]["contact"]["name"] == f"Killed {round_}"


def test_two_racing_saves_one_wins_every_time(world, gateway):
    """Of two saves of the same revision one is taken, the other told so, and nothing is lost."""
    clients = [gateway.signed_in("chen"), gateway.signed_in("okafor")]
    got = clients[0].get(RECORD)
    shared = {"etag": got.headers["ETag"], "document": got.json["document"]}

    def save(number):
        def act(round_):
            document = dict(shared["document"])
            document["contact"] = {**document["contact"], "name": f"{number} in round {round_}"}
            return document, clients[number].put(RECORD, document, headers={"If-Match": shared["etag"]})
        return act

    def check(round_, results):
        assert sorted(answer.status for _, answer in results) == [200, 412], (round_, results)
        for document, answer in results:
            if answer.status == 200:
                shared.update(etag=answer.headers["ETag"], document=document)

    race(ROUNDS, [save(0), save(1)], check)
    assert clients[0].get(RECORD).json["document"] == shared["document"]
