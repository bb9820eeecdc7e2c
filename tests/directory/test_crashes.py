"""A gateway that is killed between any two writes of an operation that takes several: what the operation closes is closed
from the first write on, the next gateway finishes it or undoes it, whoever asks again gets on, and nothing is left over.

Each test runs its operation again and again, and the gateway dies before the first write, before the second, and so on until
it lives to the end."""
import http.client
import json
import time

import ldap
import pytest

from api import Api
from asking import ThroughGateway, sees
from gateway import Gateway
from relay import Relay
from smtp import MailServer
from world import World, stamp

PDF = b"%PDF-1.4\n1 0 obj << >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
RECORD = "O20240115000001"
WHY = {"reason": "looked into it", "ticket": "T-7", "identified_by": "called back"}
GOOD = "seven grey herons at dusk"
LONG_AGO = stamp(time.time() - 86400)
MOST = 40


class House:
    """A directory, a relay before it, and one gateway after another, with a witness beside them that lives on. What people
    have begun at one they go on with at the next: sessions are entries of the directory."""

    def __init__(self, world, mail, relay):
        self.world, self.mail, self.relay = world, mail, relay
        self.admin, self.apis, self.count = world.admin(), {}, 0
        self.gateway = Gateway(world, {"directory.uris": [relay.uri], "sign_in.refusal_ms": 10}, mail=mail)
        self.witness = Gateway(world)

    def new(self, word):
        self.count += 1
        return f"{word}{self.count}"

    def who(self, uid):
        if uid not in self.apis:
            self.apis[uid] = self.gateway.signed_in(uid)
        return self.apis[uid]

    def start(self):
        """Ready as soon as it answers: what a dead one left is mended before."""
        self.gateway.start(wait=False)
        for api in self.apis.values():
            api.close()
            api.port = self.gateway.port
        self.gateway.wait_ready()

    def values(self, dn, attribute):
        try:
            return [v.decode() for v in self.admin.search_s(dn, ldap.SCOPE_BASE, attrlist=[attribute])[0][1].get(attribute, [])]
        except ldap.NO_SUCH_OBJECT:
            return None

    def state(self, dn):
        return (self.values(dn, "scfState") or [None])[0]

    def below(self, folder, filter="(objectClass=*)"):
        return [dn for dn, _ in self.admin.search_s(f"{folder},{self.world.suffix}", ldap.SCOPE_SUBTREE, filter, ["1.1"])]

    def age(self, dn, attribute):
        """As if it had been written yesterday."""
        if self.values(dn, attribute):
            self.admin.modify_s(dn, [(ldap.MOD_REPLACE, attribute, LONG_AGO.encode())])

    def add(self, dn, **values):
        self.admin.add_s(dn, [(name, [v.encode() for v in ([value] if isinstance(value, str) else value)])
                              for name, value in values.items()])
        return dn

    def person(self, roles=()):
        """An account of its own, that signs in with the sample password."""
        uid = self.new("somebody")
        sample = self.values(self.world.person("outsider"), "userPassword")
        self.add(self.world.person(uid), objectClass=["inetOrgPerson", "scfPerson"], cn="Some Body", sn="Body", mail=f"{uid}@people.example",
                 scfState="active", scfRealm="local", userPassword=sample[0])
        self.meet(lambda: self.gateway.api().login(uid).status == 200)
        return uid

    def provider(self, official, **more):
        """An active provider with a folder for everything and a record that its official sees."""
        name = self.new("provider")
        dn = self.add(self.world.organization(name), objectClass=["scfOrganization", "scfProviderRole"], o=f"Provider {name}", scfState="active",
                      scfProviderKind="organization", scfAuthorizedOfficial=self.world.person(official), **more)
        for folder in ("associations", "consents", "records", "submissions", "claims"):
            self.add(f"ou={folder},{dn}", objectClass="organizationalUnit")
        self.consent(name, name)
        record = f"O20250101{self.count:06d}"
        self.add(self.world.record(record, name), objectClass="scfEnrollment", scfProvider=dn, scfForm="855B", scfEnrollmentStatus="approved",
                 scfDocument="{}")
        return name, record

    def consent(self, provider, employer):
        return self.add(self.world.consent(self.new("form"), provider), objectClass="scfConsent", scfProvider=self.world.organization(provider),
                        scfEmployer=self.world.organization(employer), scfState="approved")

    def tie(self, user, employer, provider, state="approved"):
        return self.add(self.world.association(self.new("tie"), provider), objectClass="scfAssociation", scfUser=self.world.person(user),
                        scfEmployer=self.world.organization(employer), scfProvider=self.world.organization(provider), scfState=state)

    def employer(self):
        name = self.new("employer")
        self.add(self.world.organization(name), objectClass=["scfOrganization", "scfEmployerRole"], o=f"Employer {name}", scfState="active")
        return name

    def employer_known(self):
        """One that the gateway has heard of already."""
        name = self.employer()
        tie = self.tie("outsider", name, "lakeside")
        self.meet(lambda: self.who("outsider").get(f"/v1/associations/{tie.split(',')[0].split('=')[1]}").status == 200)
        return name

    def meet(self, condition, seconds=5):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it does not become so"
            time.sleep(0.01)

    def close(self):
        self.gateway.close()
        self.witness.close()

    def opens(self, uid, record, at=None):
        """Does a gateway show him the record? At the witness all is seen that was written before."""
        api = Api((at or self.gateway).port, self.gateway.ca)
        revision = max(self.admin.search_s(self.world.suffix, ldap.SCOPE_BASE, attrlist=["contextCSN"])[0][1]["contextCSN"]).decode()
        status = api.get(f"/v1/records/{record}", token=self.who(uid).token, headers={"Scfgate-At-Least": revision}).status
        api.close()
        return status == 200

    def sees(self, uid, record, provider):
        """The directory by itself, asked in his name."""
        return sees(ThroughGateway(self.world, uid), self.world.record(record, provider))

    def audited(self, event, resource=None):
        return [line for line in self.gateway.audit_lines() if line.get("event") == event and resource in (None, line.get("resource"))]

    def token(self, address, path, body):
        before = len(self.mail.to(address))
        assert self.gateway.api().post(path, body).status == 202
        return self.mail.token(address, before)

    def attempt(self, after, act):
        """(answer or None, writes): runs act, and kills the gateway before the write after so many."""
        answer = None
        with self.relay.cut_after(after, self.gateway.kill9) as cut:
            try:
                answer = act()
            except (OSError, http.client.HTTPException):
                assert cut.happened.wait(5), self.gateway.log.read_text()[-3000:]
        return answer, cut.writes

    def everywhere(self, prepare, act, dead, alive, writes, status=200):
        """prepare() → thing; act(thing) → answer. dead(thing, writes) looks at the directory when there is no gateway;
        alive(thing, writes) at the next one, and once more when nothing was cut off. writes: so many at least."""
        for after in range(MOST):
            thing = prepare()
            answer, made = self.attempt(after, lambda: act(thing))
            if answer is not None:
                assert answer.status == status, answer
                assert len(made) >= writes, made
                alive(thing, made)
                return
            assert len(made) == after
            dead(thing, made)
            self.start()
            alive(thing, made)
        raise AssertionError("it never comes to an end")


@pytest.fixture(scope="module")
def house():
    with World(nppes=False) as world, MailServer(world) as mail, Relay(world) as relay:
        house = House(world, mail, relay)
        try:
            yield house
        finally:
            house.close()


def nothing(thing, made):
    pass


def wrote(made, word, text):
    return any(w == word and text in dn for w, dn in made)


def wish(tin):
    return {"name": "Hillside Dental Group, P.C.", "tin": tin, "tin_kind": "ein", "roles": ["provider"]}


def register(house, uid):
    answer = house.who(uid).post("/v1/organizations", wish(f"33{house.count:07d}"))
    assert answer.status == 201, answer
    house.count += 1
    return answer.json["id"]


def hand_in(api, organization):
    return api.post(f"/v1/organizations/{organization}/claims?document_kind=cp575", PDF, headers={"Content-Type": "application/pdf"})


def claim(house, uid, organization):
    answer = hand_in(house.who(uid), organization)
    assert answer.status == 201, answer
    return answer.json["id"]


def reservations(house, owner):
    return house.below("ou=reservations", f"(scfOwner={owner})")


# ---- organizations and their officials ----

def test_an_organization_is_registered(house):
    outsider = house.who("outsider")

    def prepare():
        house.count += 1
        return f"34{house.count:07d}"

    def alive(tin, made):
        added = [dn for word, dn in made if dn.startswith("scfOrgId=")]
        again = outsider.post("/v1/organizations", wish(tin))
        assert again.status == (409 if added else 201), again
        mine = [o["id"] for o in outsider.get("/v1/organizations?limit=200").json["organizations"]]
        name = again.json["id"] if not added else added[0].split(",")[0].split("=")[1]
        assert name in mine
        if added:
            assert name in again.json["detail"] and house.audited("organization.register", name)
        assert hand_in(outsider, name).status == 201, "what is missing of its folders is made when it is needed"
        assert len(reservations(house, name)) == 1, "one registration, and no second one of a first attempt"
        assert outsider.post(f"/v1/claims/{outsider.get('/v1/claims').json['claims'][0]['id']}/withdraw").status == 200

    house.everywhere(prepare, lambda tin: outsider.post("/v1/organizations", wish(tin)), nothing, alive, 10, 201)


def test_an_organizations_number_is_changed(house):
    outsider = house.who("outsider")

    def prepare():
        name = register(house, "outsider")
        house.count += 1
        return name, outsider.get(f"/v1/organizations/{name}").json["tin"], f"37{house.count:07d}"

    def change(thing):
        tag = outsider.get(f"/v1/organizations/{thing[0]}").headers["ETag"]
        return outsider.request("PATCH", f"/v1/organizations/{thing[0]}", {"tin": thing[2], "tin_kind": "ein"}, headers={"If-Match": tag})

    def alive(thing, made):
        name, before, after = thing
        changed = wrote(made, "modify", f"scfOrgId={name},")
        assert outsider.get(f"/v1/organizations/{name}").json["tin"] == (after if changed else before)
        for dn in house.below("ou=reservations", f"(scfOwner={name})"):
            house.age(dn, "scfRequestedAt")
        other = outsider.post("/v1/organizations", wish(before if changed else after))
        assert other.status == 201, "the number that it has not is free for another"
        if not changed:
            assert change(thing).status == 422
            assert outsider.post("/v1/organizations", wish(before)).status == 409, "and the one that it has is not"

    house.everywhere(prepare, change, nothing, alive, 3)


def test_a_claim_is_handed_in(house):
    outsider = house.who("outsider")

    def attachments(organization=None):
        return set(house.below("ou=attachments", "(objectClass=scfAttachmentHead)"))

    def prepare():
        return register(house, "outsider"), attachments()

    def alive(thing, made):
        organization, before = thing
        there = [c for c in outsider.get("/v1/claims?state=submitted").json["claims"] if c["provider"] == organization]
        assert len(there) == wrote(made, "add", "scfClaimId=")
        again = hand_in(outsider, organization)
        assert again.status == (409 if there else 201), again
        claimed = outsider.get("/v1/claims?state=submitted").json["claims"][0]["id"]
        assert house.who("desk1").get(f"/v1/claims/{claimed}/document").body == PDF
        assert len(attachments() - before) == 1, "the document was met again"
        assert outsider.post(f"/v1/claims/{claimed}/withdraw").status == 200

    house.everywhere(prepare, lambda thing: hand_in(outsider, thing[0]), nothing, alive, 4, 201)


def test_a_document_that_nobody_asks_for_again_is_removed(house):
    outsider = house.who("outsider")
    before = set(house.below("ou=attachments"))
    for after in (1, 2, 3):
        organization = register(house, "outsider")
        answer, made = house.attempt(after, lambda: hand_in(outsider, organization))
        assert answer is None and wrote(made, "add", "scfAttachmentId=")
        house.start()
    left = set(house.below("ou=attachments")) - before
    assert left, "it may be under way still"
    for dn in left:
        if dn.startswith("scfAttachmentId="):
            house.age(dn, "scfRequestedAt")
    house.gateway.kill9()
    house.start()
    assert set(house.below("ou=attachments")) == before


def aged(house, organization, name):
    """What an approval had begun counts as given up after a minute; what it reserved, after ten."""
    house.age(f"scfClaimId={name},ou=claims,{house.world.organization(organization)}", "scfDecidedAt")
    for dn in reservations(house, organization):
        if house.values(dn, "scfPurpose") == ["tin"]:
            house.age(dn, "scfRequestedAt")


def test_a_claim_is_approved(house):
    desk1, desk2, outsider = house.who("desk1"), house.who("desk2"), house.who("outsider")

    def prepare():
        organization = register(house, "outsider")
        return organization, claim(house, "outsider", organization)

    def alive(thing, made):
        organization, name = thing
        installed = any(word == "modify" and dn.startswith(f"scfOrgId={organization},") for word, dn in made)
        done = any(word == "modify" and dn.startswith(f"scfClaimId={name},") for word, dn in made[1:])
        if made and not done:
            early = desk2.post(f"/v1/claims/{name}/reject", WHY)
            assert (early.status, early.reason) == (409, "already_decided"), "somebody could still be at it"
            aged(house, organization, name)
            house.gateway.kill9()
            house.start()
        now = desk1.get(f"/v1/claims/{name}").json
        there = desk1.get(f"/v1/organizations/{organization}").json
        assert (now["state"], there["state"], there.get("official")) == (
            ("approved", "active", "outsider") if installed else ("submitted", "registered", None)), (made, now)
        assert house.audited("claim.approve", name) or not installed
        again = desk1.post(f"/v1/claims/{name}/approve", WHY)
        assert again.status == (409 if installed else 200), again
        assert desk1.get(f"/v1/organizations/{organization}").json["official"] == "outsider"
        assert len(reservations(house, organization)) == 2, "its number, and that he registered it"

    house.everywhere(prepare, lambda thing: desk1.post(f"/v1/claims/{thing[1]}/approve", WHY), nothing, alive, 4)


def test_an_official_is_replaced(house):
    desk1 = house.who("desk1")
    old, new = house.person(), house.person()

    def prepare():
        provider, record = house.provider(old, scfTin=f"35{house.count:07d}", scfTinKind="ein")
        house.meet(lambda: house.who(old).get(f"/v1/records/{record}").status == 200)
        return provider, record, claim(house, new, provider)

    def installed(thing, made):
        return any(word == "modify" and dn.startswith(f"scfOrgId={thing[0]},") for word, dn in made)

    def dead(thing, made):
        provider, record, _ = thing
        for uid, now in ((old, not installed(thing, made)), (new, installed(thing, made))):
            assert house.sees(uid, record, provider) == house.opens(uid, record, house.witness) == now

    def alive(thing, made):
        provider, record, name = thing
        now = installed(thing, made)
        dead(thing, made)
        assert (house.opens(old, record), house.opens(new, record)) == (not now, now)
        aged(house, provider, name)
        if made:
            house.gateway.kill9()
            house.start()
        assert desk1.get(f"/v1/claims/{name}").json["state"] == ("approved" if now else "submitted")
        again = desk1.post(f"/v1/claims/{name}/replace", WHY)
        assert again.status == (409 if now else 200), again
        assert house.who(old).get(f"/v1/records/{record}").status == 404
        assert len(reservations(house, provider)) == 1

    house.everywhere(prepare, lambda thing: desk1.post(f"/v1/claims/{thing[2]}/replace", WHY), dead, alive, 4)


def test_an_organization_is_closed_and_gives_its_number_back(house):
    desk1, outsider = house.who("desk1"), house.who("outsider")

    def prepare():
        organization = register(house, "outsider")
        name = claim(house, "outsider", organization)
        assert desk1.post(f"/v1/claims/{name}/approve", WHY).status == 200
        return organization, desk1.get(f"/v1/organizations/{organization}").json["tin"]

    def alive(thing, made):
        organization, tin = thing
        again = desk1.post(f"/v1/organizations/{organization}/close", WHY)
        assert again.status == (409 if made else 200), again
        assert outsider.get(f"/v1/organizations/{organization}").json["state"] == "closed"
        other = outsider.post("/v1/organizations", wish(tin))
        assert other.status == 201, other
        name = claim(house, "outsider", other.json["id"])
        assert desk1.post(f"/v1/claims/{name}/approve", WHY).status == 200, "the number can be held by another"
        assert not reservations(house, organization)

    house.everywhere(prepare, lambda thing: desk1.post(f"/v1/organizations/{thing[0]}/close", WHY), nothing, alive, 3)


def test_an_official_is_removed_for_fraud(house):
    desk1 = house.who("desk1")

    def prepare():
        official, associate = house.person(), house.person()
        mine = [house.provider(official) for _ in range(2)]
        for provider, _ in mine:
            house.tie(associate, provider, provider)
        house.who(official), house.who(associate)
        for provider, record in mine:
            house.meet(lambda: house.who(associate).get(f"/v1/records/{record}").status == 200)
        return official, associate, mine

    def dead(thing, made):
        official, associate, mine = thing
        for provider, record in mine:
            assert house.sees(official, record, provider) == house.opens(official, record, house.witness) == (not made)
            suspended = any(dn.startswith(f"scfOrgId={provider},") for _, dn in made)
            assert house.sees(associate, record, provider) == house.opens(associate, record, house.witness) == (not suspended)

    def alive(thing, made):
        official, associate, mine = thing
        if made:
            assert house.who(official).get("/v1/me").status == 401
            assert house.audited("account.fraud", official)
        for provider, record in mine:
            assert house.state(house.world.organization(provider)) == ("suspended" if made else "active")
            assert house.opens(associate, record) == (not made)
            assert bool(house.audited("org.suspend", provider)) == bool(made)
        again = desk1.post(f"/v1/helpdesk/accounts/{official}/fraud", WHY)
        assert again.status == 200, again
        for provider, _ in mine:
            assert house.state(house.world.organization(provider)) == "suspended"

    house.everywhere(prepare, lambda thing: desk1.post(f"/v1/helpdesk/accounts/{thing[0]}/fraud", WHY), dead, alive, 3)


# ---- employers ----

def test_an_employers_access_is_revoked(house):
    desk1, desk2, official = house.who("desk1"), house.who("desk2"), house.person()

    def prepare():
        provider, record = house.provider(official)
        employer, associate = house.employer(), house.person()
        ties = [house.tie(associate, employer, provider), house.tie(house.person(), employer, provider, "pending")]
        forms = [house.consent(provider, employer)]
        house.meet(lambda: house.who(associate).get(f"/v1/records/{record}").status == 200)
        asked = house.who(official).post(f"/v1/organizations/{provider}/employers/{employer}/revocation-requests", {"reason": "we part"})
        assert asked.status == 201, asked
        return asked.json["id"], provider, record, associate, ties, forms

    def dead(thing, made):
        _, provider, record, associate, ties, forms = thing
        open_still = len(made) < 2  # the bar is the write that counts
        assert house.sees(associate, record, provider) == house.opens(associate, record, house.witness) == open_still

    def alive(thing, made):
        name, provider, record, associate, ties, forms = thing
        barred = len(made) >= 2
        dead(thing, made)
        assert house.opens(associate, record) == (not barred)
        case = desk2.get(f"/v1/revocation-requests/{name}").json
        assert case["state"] == ("executed" if barred else "submitted")
        assert [house.state(dn) for dn in ties + forms] == (["ended", "rejected", "revoked"] if barred else ["approved", "pending", "approved"])
        if barred:
            assert case["decided_by"] == "desk1" and case["ticket"] == "T-7"
            assert house.audited("employer.revocation.execute", provider)
        again = desk2.post(f"/v1/revocation-requests/{name}/execute", WHY)
        assert again.status == (409 if barred else 200), again
        assert [house.state(dn) for dn in ties + forms] == ["ended", "rejected", "revoked"]
        assert house.who(associate).get(f"/v1/records/{record}").status == 404

    house.everywhere(prepare, lambda thing: desk1.post(f"/v1/revocation-requests/{thing[0]}/execute", WHY), dead, alive, 6)


def test_somebody_leaves_an_employer(house):
    official = house.person()

    def prepare():
        leaver, employer = house.person(), house.employer()
        provider, record = house.provider(official)
        house.consent(provider, employer)
        ties = [house.tie(leaver, employer, provider), house.tie(leaver, employer, "lakeside", "pending")]
        house.meet(lambda: house.who(leaver).get(f"/v1/records/{record}").status == 200)
        return leaver, employer, provider, record, ties

    def dead(thing, made):
        leaver, _, provider, record, ties = thing
        assert house.opens(leaver, record, house.witness) == (not made)
        assert house.sees(leaver, record, provider) == (house.state(ties[0]) == "approved"), "this wall has no word for leaving"

    def alive(thing, made):
        leaver, employer, provider, record, ties = thing
        gone = bool(made)
        assert house.opens(leaver, record) == (not gone)
        assert house.sees(leaver, record, provider) == (not gone), "by now its state says so"
        assert [house.state(dn) for dn in ties] == (["ended", "cancelled"] if gone else ["approved", "pending"])
        assert not house.values(house.world.person(leaver), "scfLeavingEmployer")
        assert [line["actor"] for line in house.audited("employer.leave", employer)][0] == leaver
        assert house.who(leaver).post(f"/v1/me/employers/{employer}/leave").status == 200
        assert [house.state(dn) for dn in ties] == ["ended", "cancelled"]
        asked = house.who(leaver).post("/v1/associations", {"provider": provider, "employer": employer})
        assert asked.status == 201, "he may come back"

    house.everywhere(prepare, lambda thing: house.who(thing[0]).post(f"/v1/me/employers/{thing[1]}/leave"), dead, alive, 4)


def test_an_employer_is_verified(house):
    desk1 = house.who("desk1")

    def prepare():
        house.count += 1
        made = house.who("outsider").post("/v1/organizations", {**wish(f"36{house.count:07d}"), "roles": ["employer"]})
        assert made.status == 201, made
        return made.json["id"]

    def alive(name, made):
        done = wrote(made, "modify", f"scfOrgId={name},")
        assert house.state(house.world.organization(name)) == ("active" if done else "registered")
        assert desk1.post(f"/v1/organizations/{name}/verify", WHY).status == (409 if done else 200)
        assert house.state(house.world.organization(name)) == "active" and len(reservations(house, name)) == 2
        assert house.audited("org.verify", name)

    house.everywhere(prepare, lambda name: desk1.post(f"/v1/organizations/{name}/verify", WHY), nothing, alive, 2)


def test_a_scan_of_a_form_is_kept(house):
    rivera, desk1 = house.who("rivera"), house.who("desk1")

    def heads():
        return set(house.below("ou=attachments", "(objectClass=scfAttachmentHead)"))

    def prepare():
        made = rivera.post("/v1/consents", {"provider": "lakeside", "employer": house.employer_known()})
        assert made.status == 201, made
        return made.json["id"], heads()

    def keep(thing):
        return desk1.request("POST", f"/v1/consents/{thing[0]}/scan?ticket=P-3", body=PDF, headers={"Content-Type": "application/pdf"})

    def alive(thing, made):
        name, before = thing
        there = desk1.get(f"/v1/consents/{name}").json.get("scan", False)
        assert there == wrote(made, "modify", f"scfConsentId={name},")
        assert keep(thing).status == 200
        assert desk1.get(f"/v1/consents/{name}/scan").body == PDF and len(heads() - before) == 1
        assert house.state(house.world.consent(name)) == "prepared"

    house.everywhere(prepare, keep, nothing, alive, 4)


# ---- accounts ----

def test_an_account_is_registered(house):
    def ask(address):
        return house.token(address, "/v1/accounts", {"name": "Ana Luz", "mail": address})

    def prepare():
        address = house.new("ana") + "@new.example"
        return address, ask(address)

    def finish(thing):
        return house.gateway.api().post(f"/v1/accounts/{thing[1]}", {"password": GOOD})

    def accounts(address):
        return house.below("ou=people", f"(mail={address})")

    def alive(thing, made):
        address, token = thing
        there = accounts(address)
        assert len(there) == wrote(made, "add", "uid=")
        assert finish(thing).status == (404 if made else 201)
        if not accounts(address):  # the link is used up: another one
            for dn in house.below("ou=reservations", "(scfPurpose=mail)"):
                house.age(dn, "scfRequestedAt")
            assert finish((address, ask(address))).status == 201
        uid = accounts(address)[0].split(",")[0].split("=")[1]
        if not wrote(made, "password", "") and there:  # it has no password yet: its owner sets one
            assert house.gateway.api().login(uid, GOOD).status == 401
            token = house.token(address, "/v1/password-resets", {"mail": address})
            assert house.gateway.api().post(f"/v1/password-resets/{token}", {"new_password": GOOD}).status == 204
        house.meet(lambda: house.gateway.api().login(uid, GOOD).status == 200)
        assert len(accounts(address)) == 1 and len(reservations(house, uid)) == 1
        owners = [house.values(dn, "scfOwner")[0] for dn in house.below("ou=reservations", "(scfPurpose=mail)")]
        assert all(house.values(house.world.person(owner), "uid") for owner in owners), "a reservation of nobody"
        assert house.audited("account.create")

    house.everywhere(prepare, finish, nothing, alive, 4, 201)


def test_a_password_is_reset(house):
    def prepare():
        uid = house.person()
        house.who(uid)
        return uid, house.token(f"{uid}@people.example", "/v1/password-resets", {"username": uid})

    def finish(thing, password=GOOD):
        return house.gateway.api().post(f"/v1/password-resets/{thing[1]}", {"new_password": password})

    def alive(thing, made):
        uid, token = thing
        changed = wrote(made, "password", "")
        assert house.who(uid).get("/v1/me").status == (401 if changed else 200)
        assert house.gateway.api().login(uid, GOOD).status == (200 if changed else 401)
        assert house.gateway.api().login(uid).status == (401 if changed else 200)
        assert finish(thing, GOOD + " 2").status == (404 if made else 204)
        assert bool(house.audited("password.reset", uid))
        token = house.token(f"{uid}@people.example", "/v1/password-resets", {"username": uid})
        assert finish((uid, token), GOOD + " 3").status == 204
        assert house.gateway.api().login(uid, GOOD + " 3").status == 200
        assert house.gateway.api().login(uid, GOOD).status == 401

    house.everywhere(prepare, finish, nothing, alive, 2, 204)


def test_a_mail_address_is_changed(house):
    def prepare():
        uid = house.person()
        before, after = f"{uid}@people.example", house.new("moved") + "@new.example"
        api = house.who(uid)
        tag = api.get("/v1/me/profile").headers["ETag"]
        asked = api.request("PATCH", "/v1/me/profile", {"mail": after}, headers={"If-Match": tag})
        assert asked.status == 200, asked
        return uid, before, after, house.mail.token(after)

    def confirm(thing):
        return house.gateway.api().post(f"/v1/mail-confirmations/{thing[3]}")

    def alive(thing, made):
        uid, before, after, token = thing
        moved = wrote(made, "modify", f"uid={uid},")
        assert house.values(house.world.person(uid), "mail") == [after if moved else before]
        assert confirm(thing).status == (404 if made else 204)
        for dn in house.below("ou=reservations", "(scfPurpose=mail)"):
            house.age(dn, "scfRequestedAt")
        free = before if moved or not made else after
        token = house.token(free, "/v1/accounts", {"name": "Ana Luz", "mail": free})
        assert house.gateway.api().post(f"/v1/accounts/{token}", {"password": GOOD}).status == 201, "nobody has that address"

    house.everywhere(prepare, confirm, nothing, alive, 3, 204)


def test_the_help_desk_mails_a_reset(house):
    desk1 = house.who("desk1")

    def prepare():
        uid = house.person()
        house.who(uid)
        house.meet(lambda: desk1.get(f"/v1/helpdesk/accounts/{uid}").status == 200)
        return uid

    def alive(uid, made):
        assert house.who(uid).get("/v1/me").status == (401 if made else 200)
        assert bool(house.audited("account.reset", uid))
        again = desk1.post(f"/v1/helpdesk/accounts/{uid}/reset", WHY)
        assert again.status == 200, again
        # The letter of the reset before may come first; its link is void now.
        house.meet(lambda: house.gateway.api().post(f"/v1/password-resets/{house.mail.token(f'{uid}@people.example')}",
                                                    {"new_password": GOOD}).status == 204)
        assert house.gateway.api().login(uid, GOOD).status == 200

    house.everywhere(prepare, lambda uid: desk1.post(f"/v1/helpdesk/accounts/{uid}/reset", WHY), nothing, alive, 2)


# ---- submissions ----

def test_a_submission_is_accepted(house):
    processor, author, colleague = house.who("proc1"), house.who("novak"), house.who("okafor")
    document = json.loads(house.values(house.world.record(RECORD), "scfDocument")[0])

    def prepare():
        made = author.post("/v1/organizations/lakeside/submissions", {"form": "855B", "document": document})
        assert made.status == 201, made
        assert author.post(f"/v1/submissions/{made.json['id']}/submit").status == 200
        return made.json["id"]

    def of(name):
        return f"scfSubmissionId={name},ou=submissions,{house.world.organization('lakeside')}"

    def decided(name, made):
        return any(word == "modify" and dn.startswith(f"scfSubmissionId={name},") for word, dn in made)

    def alive(name, made):
        was = decided(name, made)
        assert house.state(of(name)) == ("accepted" if was else "submitted")
        if was:
            assert house.audited("submission.accept", name) and house.audited("record.create")
            late = processor.post(f"/v1/submissions/{name}/return", {"reason": "after all"})
            assert late.status in (404, 409), late
        again = processor.post(f"/v1/submissions/{name}/accept", {"ticket": "T-1"})
        assert again.status == (409 if was else 200), again
        record = house.values(of(name), "scfEnrollmentId")[0]
        assert len(reservations(house, name)) == 1, "it asks for the same number again"
        assert colleague.get(f"/v1/records/{record}").json["document"] == document
        assert len(house.below("ou=organizations", f"(&(objectClass=scfEnrollment)(scfSubmissionId={name}))")) == 1
        # Its author's employer has no consent: what is on file he sees no more, neither as a record nor as what he wrote.
        assert author.get(f"/v1/records/{record}").reason == "no_consent"
        assert author.get(f"/v1/submissions/{name}").reason == "no_consent"
        assert not house.sees("novak", record, "lakeside")
        assert processor.get(f"/v1/submissions/{name}").status in (403, 404)

    house.everywhere(prepare, lambda name: processor.post(f"/v1/submissions/{name}/accept", {"ticket": "T-1"}), nothing, alive, 4)
