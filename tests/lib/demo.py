"""./dev demo: the rule, told on a running system, with the milliseconds between a write in the directory and the answer."""
import argparse
import time

import ldap
import ldap.modlist

from gateway import Gateway
from world import World

RECORD = "/v1/records/O20240115000001"


def told(answer):
    if answer.status == 200:
        return f"200, {answer.json['document']['legal_business_name']}"
    return f"{answer.status} {answer.reason}"


class Teller:
    def __init__(self):
        self.number = 0

    def say(self, text, answer=None):
        self.number += 1
        print(f"{self.number:2}  {text:84} {told(answer)}" if answer else f"{self.number:2}  {text}", flush=True)


def until(api, status, begun):
    """Asks until the answer has that status; returns it and the milliseconds since `begun`."""
    while True:
        answer = api.get(RECORD)
        elapsed = (time.perf_counter() - begun) * 1000
        if answer.status == status:
            return answer, elapsed
        if elapsed > 5000:
            raise SystemExit(f"still {told(answer)} after {elapsed:.0f} ms")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--build", required=True)
    o = options.parse_args()
    t = Teller()
    begun = time.perf_counter()
    with World() as w, Gateway(w, build=o.build) as g:
        admin = w.admin()
        t.say(f"a private directory with the sample world and a gateway over it run after {time.perf_counter() - begun:.2f} s")
        t.say("O20240115000001 is a record of lakeside; chen and novak both have an approved association with lakeside")
        chen = g.signed_in("chen")
        t.say(f"chen is lakeside's own employee, and lakeside consents to itself: he sees it", chen.get(RECORD))
        novak = g.signed_in("novak")
        t.say(f"novak works for harbor, and there is no consent form (lakeside → harbor): no", novak.get(RECORD))
        rivera = g.signed_in("rivera")
        t.say(f"rivera is lakeside's Authorized Official; the form (lakeside → lakeside) lets her", rivera.get(RECORD))
        t.say(f"an outsider does not even learn that it exists", g.signed_in('outsider').get(RECORD))
        consent = w.consent("c-lakeside-harbor")
        admin.add_s(consent, ldap.modlist.addModlist({
            "objectClass": [b"scfConsent"], "scfConsentId": [b"c-lakeside-harbor"], "scfState": [b"signed"],
            "scfProvider": [w.organization("lakeside").encode()], "scfEmployer": [w.organization("harbor").encode()]}))
        pending = until(novak, 403, time.perf_counter())[0]
        while pending.reason == "no_consent":
            pending = novak.get(RECORD)
        t.say(f"rivera signs a consent form for harbor; unless the help desk approves it: no", pending)
        w.set_state(consent, "approved")
        answer, elapsed = until(novak, 200, time.perf_counter())
        t.say(f"the help desk approves it, by ldapmodify: {elapsed:.1f} ms after its return novak sees it", answer)
        admin.modify_s(consent, [(ldap.MOD_REPLACE, "scfState", b"revoked")])
        answer, elapsed = until(novak, 403, time.perf_counter())
        t.say(f"it is revoked, by ldapmodify: {elapsed:.1f} ms later, in the same session, he does not", answer)
        w.set_values(w.organization("lakeside"), "scfBarredEmployer", w.organization("meridian"))
        okafor = g.signed_in("okafor")
        t.say(f"lakeside bars meridian: okafor is out, with everybody of meridian", okafor.get(RECORD))
        w.sigstop()
        time.sleep(2.5)
        t.say(f"the directory hangs: after max_staleness nobody sees anything, chen neither", chen.get(RECORD))
        w.sigcont()
        answer, elapsed = until(chen, 200, time.perf_counter())
        t.say(f"it goes on: {elapsed:.0f} ms later chen sees it again", answer)
        t.say(f"{len(g.audit_lines())} lines in the audit log say who did what, and on which entries each answer rests")


if __name__ == "__main__":
    main()
