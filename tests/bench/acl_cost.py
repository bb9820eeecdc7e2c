#!/usr/bin/python3
"""What the directory's access rules cost per entry looked at: one search over 10,000 records of one provider that has
2,000 associations, for each kind of client. Prints µs of slapd's
processor time per candidate entry, the median of five searches.

    /usr/bin/python3 tests/bench/acl_cost.py [--records N] [--associations N]"""

import argparse
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import ldap  # noqa: E402

from world import SUFFIX, World  # noqa: E402

NO_LIMITS = """dn: olcDatabase={2}mdb,cn=config
changetype: modify
replace: olcLimits
olcLimits: users size=unlimited time=unlimited
"""


def entry(dn, **attributes):
    lines = [f"dn: {dn},@SUFFIX@"]
    for name, values in attributes.items():
        lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n"


def crowd(records, associations):
    lakeside = "scfOrgId=lakeside,ou=organizations"
    for number in range(records):
        name = f"O20250101{number:06d}"
        yield entry(f"scfEnrollmentId={name},ou=records,{lakeside}", objectClass="scfEnrollment", scfEnrollmentId=name,
                    scfProvider=f"{lakeside},@SUFFIX@", scfForm="855B", scfEnrollmentStatus="approved",
                    scfDocument='{"legal_business_name": "Lakeside"}')
    for number in range(associations):
        yield entry(f"scfAssociationId=x{number},ou=associations,{lakeside}", objectClass="scfAssociation",
                    scfAssociationId=f"x{number}", scfUser=f"uid=x{number},ou=people,@SUFFIX@", scfState="approved",
                    scfEmployer="scfOrgId=meridian,ou=organizations,@SUFFIX@", scfProvider=f"{lakeside},@SUFFIX@")


def processor_seconds(pid):
    user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--records", type=int, default=10000)
    options.add_argument("--associations", type=int, default=2000)
    o = options.parse_args()
    with World(extra="\n".join(crowd(o.records, o.associations)), changes=[NO_LIMITS], nppes=False) as w:
        clients = [("administrator", w.admin()), ("gateway", w.gateway()),
                   *((f"{name} {uid}", w.bind(uid, uri=w.ldapi)) for name, uid in (
                       ("auditor", "audit1"), ("AO", "rivera"), ("direct employee", "chen"), ("through employer", "okafor"),
                       ("no consent", "novak"), ("pending", "ito"), ("employer suspended", "silva"),
                       ("outsider", "outsider")))]
        base = f"ou=organizations,{SUFFIX}"
        for what, attributes in (("one attribute", ["scfForm"]), ("all attributes", None)):
            for name, client in clients:
                times = []
                for _ in range(5):
                    start = processor_seconds(w.pid)
                    found = client.search_s(base, ldap.SCOPE_SUBTREE, "(objectClass=scfEnrollment)", attributes)
                    times.append(processor_seconds(w.pid) - start)
                each = statistics.median(times) / (o.records + 3) * 1e6
                print(f"{what:15} {name:27} {each:6.1f} µs per entry, {len(found)} seen")


if __name__ == "__main__":
    main()
