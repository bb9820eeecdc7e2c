"""Individual practitioners, whose accounts are at NPPES: the first sign-in, the later ones, and NPPES being away."""
import threading
import time

import ldap
import pytest

from api import PASSWORD
from gateway import Gateway

QUICK = {"sign_in.refusal_ms": 20, "nppes.connect_timeout_ms": 300, "nppes.operation_timeout_ms": 600}


@pytest.fixture(scope="module")
def gateway(world):
    with Gateway(world, QUICK) as g:
        yield g


def entry_of(world, uid):
    try:
        return world.admin().search_s(world.person(uid), ldap.SCOPE_BASE)[0][1]
    except ldap.NO_SUCH_OBJECT:
        return None


def nppes_set(world, uid, attribute, *values):
    n = world.nppes
    n.admin().modify_s(n.person(uid), [(ldap.MOD_REPLACE, attribute, [v.encode() for v in values])])


def neutral(answer):
    return answer.status, {k: v for k, v in answer.json.items() if k != "request_id"}, len(answer.body)


def test_a_wrong_password_makes_nobody(world, gateway):
    wrong = gateway.api(source="127.0.0.2").login("osei", "wrong wrong wrong")
    assert neutral(wrong) == neutral(gateway.api(source="127.0.0.2").login("nobody-at-all"))
    assert entry_of(world, "osei") is None


def test_the_first_sign_in_makes_one_entry_however_many_there_are(world, gateway):
    with Gateway(world, QUICK) as twin:
        apis = [g.api(source=f"127.0.1.{n}") for n, g in enumerate((gateway, twin) * 3)]
        answers = []
        threads = [threading.Thread(target=lambda a=a: answers.append(a.login("Osei"))) for a in apis]
        for t in threads:
            t.start()
        for t in threads:
            t.join(30)
        assert [a.status for a in answers] == [200] * 6, answers
        made = [line for g in (gateway, twin) for line in g.audit_lines() if line.get("event") == "account.create"]
        assert made and {line["actor"] for line in made} == {"osei"}
        for a in apis:
            me = a.get("/v1/me").json
            assert (me["username"], me["name"], me["mail"], me["realm"]) == ("osei", "Kwame Osei", "osei@osei-pediatrics.example", "nppes")
    entry = entry_of(world, "osei")
    assert entry["scfNpi"] == [b"1245319599"] and entry["scfRealm"] == [b"nppes"] and entry["scfState"] == [b"active"]
    assert "userPassword" not in entry


def test_later_sign_ins_bring_name_and_mail_up_to_date(world, gateway):
    gateway.signed_in("osei")
    nppes_set(world, "osei", "cn", "Kwame A. Osei")
    nppes_set(world, "osei", "mail", "kwame@osei-pediatrics.example")
    api = gateway.signed_in("osei")
    me = api.get("/v1/me").json
    assert (me["name"], me["mail"]) == ("Kwame A. Osei", "kwame@osei-pediatrics.example")
    before = entry_of(world, "osei")
    gateway.signed_in("osei")
    assert entry_of(world, "osei") == before, "nothing has changed, and nothing is written"


def test_another_npi_under_the_same_name_is_another_person(world, gateway):
    nppes_set(world, "osei", "scfNpi", "1316123458")
    answer = gateway.api(source="127.0.0.13").login("osei")
    nppes_set(world, "osei", "scfNpi", "1245319599")
    assert answer.status == 401
    assert entry_of(world, "osei")["scfNpi"] == [b"1245319599"]
    gateway.signed_in("osei", source="127.0.0.13")


def test_a_wrong_npi_is_refused_logged_and_audited(world, gateway):
    answer = gateway.api(source="127.0.0.3").login("badnpi")
    assert neutral(answer) == neutral(gateway.api(source="127.0.0.3").login("nobody-at-all"))
    assert entry_of(world, "badnpi") is None
    assert "practitioner.npi" in gateway.log.read_text()
    assert ("badnpi", "npi_invalid") in [(line.get("actor"), line.get("reason")) for line in gateway.audit_lines()]


def test_a_local_account_keeps_its_name(world, gateway):
    nppes_set(world, "chen", "userPassword", "the other chen's passphrase")
    assert gateway.api(source="127.0.0.4").login("chen", "the other chen's passphrase").status == 401
    assert gateway.signed_in("chen").get("/v1/me").json["realm"] == "local"
    # A removed account keeps it as well.
    world.set_state(world.person("outsider"), "removed")
    n = world.nppes
    n.admin().add_s(n.person("outsider"), [
        (a, [v.encode() for v in vs]) for a, *vs in [
            ("objectClass", "inetOrgPerson", "scfPerson"), ("uid", "outsider"), ("cn", "O"), ("sn", "O"), ("scfState", "active"),
            ("scfRealm", "local"), ("scfNpi", "1245319599"), ("userPassword", "the other outsider")]])
    time.sleep(0.2)
    assert gateway.api(source="127.0.0.4").login("outsider", "the other outsider").status == 401
    assert entry_of(world, "outsider")["scfRealm"] == [b"local"]


def test_a_disabled_practitioner_stays_out(world, gateway):
    gateway.signed_in("osei")
    world.set_state(world.person("osei"), "disabled")
    time.sleep(0.2)
    assert gateway.api(source="127.0.0.5").login("osei").status == 401
    world.set_state(world.person("osei"), "active")
    time.sleep(0.2)
    gateway.signed_in("osei")


def test_while_nppes_is_away_its_people_wait_and_all_others_notice_nothing(world, gateway):
    gateway.signed_in("osei")
    unknown = neutral(gateway.api(source="127.0.0.6").login("nobody-at-all"))
    world.nppes.stop()
    try:
        assert gateway.api(source="127.0.0.6").login("osei").status == 503
        assert neutral(gateway.api(source="127.0.0.6").login("nobody-at-all")) == unknown
        gateway.signed_in("chen")
    finally:
        world.nppes.start()
    deadline = time.monotonic() + 10
    while gateway.api(source="127.0.0.7").login("osei").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_address_gets_three_wrong_passwords_at_a_practitioner(world, gateway):
    for _ in range(4):
        assert gateway.api(source="127.0.0.8").login("patel", "wrong wrong wrong").status == 401
    assert gateway.api(source="127.0.0.8").login("patel").status == 401
    assert gateway.api(source="127.0.0.9").login("patel").status == 200


def test_without_nppes_nobody_comes_from_there(world):
    with Gateway(world, {"nppes.uris": None, "nppes.people": None, "sign_in.refusal_ms": 20}) as g:
        assert g.api().login("nobody-at-all", PASSWORD).status == 401
        assert g.api().login("patel", PASSWORD).status == 503
