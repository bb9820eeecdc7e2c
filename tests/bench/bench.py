"""./dev bench: speed as ratios, measured side by side in one run. Writes docs/bench/results.json, results.md and results.svg.

    ./dev bench              everything
    ./dev bench P1 P4        some

Two cores: the server that is measured has core 0, the load generator core 1. Rounds of the competitors are interleaved and
the median of the rounds is told, because these machines are noisy."""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import ldap  # noqa: E402

from api import PASSWORD, Api  # noqa: E402
from gateway import ROOT, Gateway  # noqa: E402
from world import TOOLS, World, free_ports, run  # noqa: E402

OUT = ROOT / "docs" / "bench"
RECORD = "O20240115000001"
ROUNDS, SECONDS, CONNECTIONS = 7, 2, 32
LONG = {"http.drain_seconds": 1, "replica.heartbeat_ms": 500, "replica.max_staleness_ms": 5000}


class Program:
    """A server that is measured: on core 0, ended when the block ends."""

    def __init__(self, *command, ready=None, env=None):
        self.process = subprocess.Popen(["taskset", "-c", "0", *map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**os.environ, "PATH": TOOLS, **(env or {})})
        self.port = None
        if ready:
            self.port = int(re.match(ready, self.process.stdout.readline()).group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def wrk(url, headers=(), seconds=SECONDS, connections=CONNECTIONS):
    """Requests a second over HTTPS keep-alive; a load with errors is no measurement."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    text = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


class Rates(dict):
    """{name: median}. A ratio is the median of the rounds' ratios: what the machine does meanwhile hits neighbours alike."""

    def __init__(self, rounds):
        super().__init__({name: statistics.median(values) for name, values in rounds.items()})
        self.rounds = rounds

    def ratio(self, one, other):
        return statistics.median(a / b for a, b in zip(self.rounds[one], self.rounds[other]))


def interleaved(competitors, rounds=ROUNDS):
    """{name: function → number} → Rates; every round asks each once, in turns from the front and from the back, after one
    round that does not count."""
    values = {name: [] for name in competitors}
    for round_ in range(rounds + 1):
        for name in list(competitors)[::1 if round_ % 2 else -1]:
            value = competitors[name]()
            if round_:
                values[name].append(value)
    return Rates(values)


def wait_for(port, ca, path="/", headers=None):
    end = time.monotonic() + 20
    while True:
        try:
            return Api(port, ca).get(path, headers=headers)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {tls}/server.pem; ssl_certificate_key {tls}/server.key;
           ssl_protocols TLSv1.2 TLSv1.3; location / {{ return 200; }} }}
}}
"""

APACHE = """
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache-error.log
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
ServerLimit 1
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests 0
DocumentRoot {folder}/htdocs
SSLEngine on
SSLCertificateFile {tls}/server.pem
SSLCertificateKeyFile {tls}/server.key
LDAPTrustedGlobalCert CA_BASE64 {ca}
LDAPCacheTTL 600
<Location "/">
  AuthType Basic
  AuthName scfgate
  AuthBasicProvider ldap
  AuthLDAPURL "{ldaps}/ou=people,{suffix}?uid?one?(scfState=active)"
  AuthLDAPBindDN "{reader}"
  AuthLDAPBindPassword "{password}"
  Require valid-user
</Location>
"""


def apache_modules():
    folder = "/usr/lib/apache2/modules"
    names = "mpm_event authn_core authz_core auth_basic authz_user ldap authnz_ldap ssl socache_shmcb unixd dir mime".split()
    return "\n".join(f"LoadModule {n}_module {folder}/mod_{n}.so" for n in names if os.path.exists(f"{folder}/mod_{n}.so")) + \
        "\nTypesConfig /etc/mime.types\nUser nobody\nGroup nogroup\n"


def p1(build, results):
    """Forward-auth decision over HTTPS keep-alive, session + rule + audit on, 32 connections."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scfgate-bench-"))
    folder.chmod(0o755)
    try:
        with World() as w, Gateway(w, {**LONG, "http.threads": 1}, build=build, wrap=["taskset", "-c", "0"]) as g:
            token = g.signed_in("chen").token
            forward = [f"Authorization: Bearer {token}", "X-Original-Method: GET", f"X-Original-URI: /enrollments/{RECORD}"]
            port, apache_port = free_ports(2)
            (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, tls=w.tls))
            shutil.copy(w.ca_file, folder / "ca.pem")  # read by Apache's own user
            (folder / "htdocs").mkdir()
            (folder / "htdocs" / "index.html").write_text("ok")
            for part in folder.rglob("*"):
                part.chmod(0o755 if part.is_dir() else 0o644)
            (folder / "apache.conf").write_text(APACHE.format(
                folder=folder, port=apache_port, tls=w.tls, ca=folder / "ca.pem", ldaps=w.ldaps, suffix=w.suffix, reader=w.gateway_dn,
                password=w.password("gateway"), modules=apache_modules()))
            basic = __import__("base64").b64encode(f"chen:{PASSWORD}".encode()).decode()
            with Program(pathlib.Path(build) / "bare_mhd", 0, 1, w.tls / "server.pem", w.tls / "server.key", ready=r"ready (\d+)") as bare, \
                    Program("nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"), \
                    Program("apache2", "-d", folder, "-f", folder / "apache.conf", "-DFOREGROUND"):
                assert wait_for(port, w.ca_file).status == 200
                answer = wait_for(apache_port, w.ca_file, headers={"Authorization": f"Basic {basic}"})
                assert answer.status == 200, answer
                assert wait_for(apache_port, w.ca_file).status == 401
                rates = interleaved({
                    "scfgate": lambda: wrk(f"https://localhost:{g.port}/auth/nginx", forward),
                    "libmicrohttpd, constant": lambda: wrk(f"https://localhost:{bare.port}/auth/nginx", forward),
                    "nginx, constant, one worker": lambda: wrk(f"https://localhost:{port}/auth/nginx", forward),
                    "Apache mod_authnz_ldap, warm cache": lambda: wrk(f"https://localhost:{apache_port}/index.html",
                                                                      [f"Authorization: Basic {basic}"]),
                })
            lines = g.audit_lines()
            assert sum(line["class"] == "decision" for line in lines) > 1000
        results["P1"] = {
            "what": "forward-auth decision over HTTPS keep-alive, 32 connections, audit on; requests/s, one thread each",
            "values": rates,
            "ratios": [
                ("against a bare libmicrohttpd", rates.ratio("scfgate", "libmicrohttpd, constant"), 0.85),
                ("against nginx", rates.ratio("scfgate", "nginx, constant, one worker"), 0.65),
                ("against Apache mod_authnz_ldap", rates.ratio("scfgate", "Apache mod_authnz_ldap, warm cache"), 4.0),
            ]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def p2(build, results):
    """The rule with facts from the replica, in process: 10 k and 1 M of each kind in one run. With it P6, memory per entry."""
    text = subprocess.run(["taskset", "-c", "0", str(pathlib.Path(build) / "bench_replica")], capture_output=True, text=True, timeout=600,
                          check=True).stdout
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    results["P2"] = {"what": "rule with facts from the replica, in process; nanoseconds", "lines": lines, **judge_p2(lines)}


def judge_p2(lines):
    by = {(line["world"], line["skew"]): line for line in lines if line.get("bench") == "P2"}
    small, large = by[("10k", "uniform")], by[("1M", "uniform")]
    memory = next(line for line in lines if line.get("bench") == "P6")
    return {
        "values": {"p50 ns, 10 k": small["p50_ns"], "p50 ns, 1 M": large["p50_ns"], "p99 ns, 1 M": large["p99_ns"],
                   "mean ns, 10 k": small["mean_ns"], "mean ns, 1 M": large["mean_ns"], "bytes per entry": memory["bytes_per_entry"]},
        "ratios": [("p50 at 1 M, of 300 ns (at most)", large["p50_ns"] / 300, -1.0),
                   ("p99 at 1 M, of 2 us (at most)", large["p99_ns"] / 2000, -1.0),
                   ("cost at 1 M : cost at 10 k (at most)", large["mean_ns"] / small["mean_ns"], -2.0),
                   ("bytes per entry held, of 200 (at most)", memory["bytes_per_entry"] / 200, -1.0)]}


LOGIN = """
local users = { "chen", "okafor", "novak", "rivera", "silva", "quinn", "outsider", "desk1" }
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" },
    '{"username":"' .. users[n % #users + 1] .. '","password":"PASSWORD"}')
end
"""


def p3(build, results):
    """Sign-in over HTTPS (bind + session entry) against raw simple binds, and where hashing is cheap against raw adds."""
    values, ratios = {}, []
    for scheme, raw, bar in (("{ARGON2}", "binds", 0.9), ("{SSHA}", "adds", 0.8)):
        with World(scheme=scheme) as w, Gateway(w, {**LONG, "directory.binds": 8, "directory.writers": 8, "http.workers": 8}, build=build) as g:
            script = g.folder / "login.lua"
            script.write_text(LOGIN.replace("PASSWORD", PASSWORD))
            program = [str(pathlib.Path(build) / "bench_load"), w.ldapi, w.suffix, w.gateway_dn, str(w.gateway_password_file), raw]

            def sign_ins():
                text = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-s", str(script), f"https://localhost:{g.port}/v1/login"],
                                      capture_output=True, text=True, timeout=60, check=True).stdout
                if "Non-2xx" in text or "Socket errors" in text:
                    raise RuntimeError(text)
                return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))

            def raw_operations():
                return json.loads(subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout)["per_second"]

            rates = interleaved({"sign-ins": sign_ins, raw: raw_operations})
            values.update({f"{scheme} sign-ins/s": rates["sign-ins"], f"{scheme} raw {raw}/s": rates[raw]})
            ratios.append((f"{scheme}: sign-ins against raw {raw}", rates.ratio("sign-ins", raw), bar))
    results["P3"] = {"what": "sign-in over HTTPS, 8 connections, against the same slapd asked directly by 8 clients; per second",
                     "values": values, "ratios": ratios}


class Raw:
    """One keep-alive TLS connection and one request, prepared: as little between the write and the answer as Python can."""

    def __init__(self, g, token):
        context = ssl.create_default_context(cafile=g.ca)
        plain = __import__("socket").create_connection(("127.0.0.1", g.port), timeout=10)
        plain.setsockopt(6, 1, 1)
        self.tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self.request = (f"GET /auth/nginx HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nX-Original-Method: GET\r\n"
                        f"X-Original-URI: /enrollments/{RECORD}\r\n\r\n").encode()

    def status(self):
        self.tls.sendall(self.request)
        data = self.tls.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        size = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        while len(body) < size:
            body += self.tls.recv(65536)
        return int(head[9:12])


def revocations(w, g, count):
    """Milliseconds from the directory's acknowledgement of a revocation to the first deny over HTTPS."""
    consent = w.consent("c-lakeside-meridian")
    admin = w.admin()
    asker = Raw(g, g.signed_in("okafor").token)
    times = []
    for _ in range(count):
        admin.modify_s(consent, [(ldap.MOD_REPLACE, "scfState", [b"revoked"])])
        acknowledged = time.perf_counter()
        while asker.status() != 403:
            pass
        times.append((time.perf_counter() - acknowledged) * 1000)
        admin.modify_s(consent, [(ldap.MOD_REPLACE, "scfState", [b"approved"])])
        while asker.status() != 200:
            pass
    return sorted(times)


FLOOD = """
import ldap, sys, time
handle = ldap.initialize(sys.argv[1]); handle.sasl_non_interactive_bind_s("EXTERNAL")
end, n = time.time() + float(sys.argv[3]), 0
while time.time() < end:
    handle.modify_s(sys.argv[2], [(ldap.MOD_REPLACE, "description", [str(n).encode()])]); n += 1
print(n)
"""


def p4(build, results):
    """Revocation: directory acknowledges → first deny over HTTPS; alone, and during a flood of writes."""
    with World() as w, Gateway(w, LONG, build=build) as g:
        quiet = revocations(w, g, 1000)
        flood = [subprocess.Popen(["/usr/bin/python3", "-c", FLOOD, w.ldapi, w.application("portal"), "12"], stdout=subprocess.PIPE)
                 for _ in range(2)]
        time.sleep(0.5)
        busy = revocations(w, g, 400)
        writes = sum(int(f.communicate()[0]) for f in flood) / 12

    def at(values, share):
        return values[min(len(values) - 1, int(len(values) * share))]

    values = {"p50 ms": at(quiet, 0.5), "p99 ms": at(quiet, 0.99), "p50 ms in a flood": at(busy, 0.5), "p99 ms in a flood": at(busy, 0.99),
              "writes/s of the flood": writes}
    results["P4"] = {"what": "revocation: the directory's acknowledgement → first deny over HTTPS; milliseconds", "values": values,
                     "ratios": [("p50, of 1 ms (at most)", values["p50 ms"], -1.0), ("p99, of 10 ms (at most)", values["p99 ms"] / 10, -1.0),
                                ("p99 in a flood, of 20 ms (at most)", values["p99 ms in a flood"] / 20, -1.0)]}


def many_entries(organizations, people):
    """LDIF of a world: each person has an approved association with one organization, each organization a consent and a record."""
    parts = []
    for n in range(organizations):
        o = f"scfOrgId=org{n},ou=organizations,@SUFFIX@"
        parts.append(f"dn: {o}\nobjectClass: scfOrganization\nobjectClass: scfProviderRole\nobjectClass: scfEmployerRole\nscfOrgId: org{n}\n"
                     f"o: Organization {n}\nscfState: active\nscfProviderKind: organization\n")
        for folder in ("associations", "consents", "records"):
            parts.append(f"dn: ou={folder},{o}\nobjectClass: organizationalUnit\nou: {folder}\n")
        parts.append(f"dn: scfConsentId=c{n},ou=consents,{o}\nobjectClass: scfConsent\nscfConsentId: c{n}\nscfProvider: {o}\nscfEmployer: {o}\n"
                     "scfState: approved\n")
        parts.append(f"dn: scfEnrollmentId=O20240101{n:06d},ou=records,{o}\nobjectClass: scfEnrollment\nscfEnrollmentId: O20240101{n:06d}\n"
                     f"scfProvider: {o}\nscfForm: 855B\nscfEnrollmentStatus: approved\nscfDocument: {{}}\n")
    for n in range(people):
        o = f"scfOrgId=org{n % organizations},ou=organizations,@SUFFIX@"
        u = f"uid=user{n},ou=people,@SUFFIX@"
        parts.append(f"dn: {u}\nobjectClass: inetOrgPerson\nobjectClass: scfPerson\nuid: user{n}\ncn: User {n}\nsn: {n}\nscfState: active\n"
                     "scfRealm: local\n")
        parts.append(f"dn: scfAssociationId=a{n},ou=associations,{o}\nobjectClass: scfAssociation\nscfAssociationId: a{n}\nscfUser: {u}\n"
                     f"scfEmployer: {o}\nscfProvider: {o}\nscfState: approved\n")
    return "\n".join(parts)


def p5(build, results):
    """Replica load at start against a bare libldap reader of the same entries from the same slapd."""
    with World(extra=many_entries(10000, 30000), nppes=False) as w:
        program = ["taskset", "-c", "1", str(pathlib.Path(build) / "bench_load"), w.ldapi, w.suffix, w.gateway_dn, str(w.gateway_password_file)]

        sent = 0

        def measure(kind):
            nonlocal sent
            done = json.loads(subprocess.run([*program, kind], capture_output=True, text=True, timeout=120, check=True).stdout)
            sent = done.get("entries", sent)
            return sent / done["seconds"]

        measure("bare")  # counts what slapd sends
        rates = interleaved({"bare reader": lambda: measure("bare"), "replica": lambda: measure("replica")}, rounds=5)
    results["P5"] = {"what": f"replica load at start, {sent:,} entries sent; entries/s", "values": rates,
                     "ratios": [("against a bare libldap reader", rates.ratio("replica", "bare reader"), 0.8)]}


def p8(build, results):
    """Audit on against audit off, under P1's load."""
    on_off = {}
    with World() as w, Gateway(w, {**LONG, "http.threads": 1}, build=build, wrap=["taskset", "-c", "0"]) as on, \
            Gateway(w, {**LONG, "http.threads": 1, "audit.off": True}, build=build, wrap=["taskset", "-c", "0"]) as off:
        for name, g in (("audit on", on), ("audit off", off)):
            token = g.signed_in("chen").token
            forward = [f"Authorization: Bearer {token}", "X-Original-Method: GET", f"X-Original-URI: /enrollments/{RECORD}"]
            on_off[name] = lambda g=g, forward=forward: wrk(f"https://localhost:{g.port}/auth/nginx", forward)
        rates = interleaved(on_off, rounds=5)
    results["P8"] = {"what": "audit on : audit off, forward-auth decisions; requests/s", "values": rates,
                     "ratios": [("audit on : off", rates.ratio("audit on", "audit off"), 0.85)]}


WORKFLOW = """
local n = FIRST
request = function()
  n = n + 1
  PATH_AND_BODY
  return wrk.format("POST", path, { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer TOKEN" }, body)
end
"""
A_ROUND = 6000  # more requests or approvals than there can be in a round


def to_be_asked(providers):
    """LDIF of providers of rivera's that okafor can ask, each with a request of ito's that waits."""
    parts = []
    for n in range(providers):
        o = f"scfOrgId=org{n},ou=organizations,@SUFFIX@"
        parts.append(f"dn: {o}\nobjectClass: scfOrganization\nobjectClass: scfProviderRole\nscfOrgId: org{n}\no: Organization {n}\nscfState: active\n"
                     f"scfProviderKind: organization\nscfAuthorizedOfficial: uid=rivera,ou=people,@SUFFIX@\n\n"
                     f"dn: ou=associations,{o}\nobjectClass: organizationalUnit\nou: associations\n\n"
                     f"dn: scfAssociationId=ask{n},ou=associations,{o}\nobjectClass: scfAssociation\nscfAssociationId: ask{n}\n"
                     f"scfUser: uid=ito,ou=people,@SUFFIX@\nscfEmployer: scfOrgId=meridian,ou=organizations,@SUFFIX@\nscfProvider: {o}\n"
                     "scfState: pending\n")
    o = "scfOrgId=lakeside,ou=organizations,@SUFFIX@"
    parts += [f"dn: scfAssociationId=bench{n},ou=associations,{o}\nobjectClass: scfAssociation\nscfAssociationId: bench{n}\n"
              f"scfUser: uid=outsider,ou=people,@SUFFIX@\nscfEmployer: scfOrgId=harbor,ou=organizations,@SUFFIX@\nscfProvider: {o}\nscfState: approved\n"
              for n in range(8)]
    return "\n".join(parts)


def w(build, results):
    """Workflow writes over HTTPS: associations asked for against raw adds, and approved against raw guarded changes in the same
    name, all by eight connections."""
    rounds = 3
    with World(extra=to_be_asked((rounds + 1) * A_ROUND)) as world, \
            Gateway(world, {**LONG, "directory.writers": 8, "directory.searches": 8, "http.workers": 8}, build=build) as g:
        program = [str(pathlib.Path(build) / "bench_load"), world.ldapi, world.suffix, world.gateway_dn, str(world.gateway_password_file)]
        done = {}

        def workflow(name, uid, path_and_body):
            first = done[name] = done.get(name, -A_ROUND) + A_ROUND
            script = g.folder / f"{name}.lua"
            script.write_text(WORKFLOW.replace("FIRST", str(first - 1)).replace("PATH_AND_BODY", path_and_body)
                              .replace("TOKEN", g.signed_in(uid).token))
            text = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-s", str(script), f"https://localhost:{g.port}"],
                                  capture_output=True, text=True, timeout=60, check=True).stdout
            if "Non-2xx" in text or "Socket errors" in text:
                raise RuntimeError(text)
            return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))

        def raw(kind):
            return json.loads(subprocess.run([*program, kind], capture_output=True, text=True, timeout=60, check=True).stdout)["per_second"]

        rates = interleaved({
            "requests": lambda: workflow("requests", "okafor", 'local path = "/v1/associations"; '
                                         'local body = \'{"provider":"org\' .. n .. \'","employer":"harbor"}\''),
            "raw adds": lambda: raw("adds"),
            "approvals": lambda: workflow("approvals", "rivera", 'local path = "/v1/associations/ask" .. n .. "/approve"; local body = "{}"'),
            "raw guarded changes": lambda: raw("changes"),
        }, rounds)
    results["W"] = {"what": "workflow writes over HTTPS, judged, audited on disk, and seen by the replica; writes/s", "values": rates,
                    "ratios": [("associations asked for, against raw adds", rates.ratio("requests", "raw adds"), 0.4),
                               ("and approved, against raw guarded changes", rates.ratio("approvals", "raw guarded changes"), 0.4)]}


BENCHES = {"P1": p1, "P2": p2, "P3": p3, "P4": p4, "P5": p5, "P8": p8, "W": w}


def holds(ratio, bar):
    """A bar below zero is a ceiling."""
    return ratio >= bar if bar > 0 else ratio <= -bar


def picture(results):
    """One bar a ratio, the line where it must be."""
    rows = [(f"{name}: {what}", ratio, bar) for name, r in results.items() for what, ratio, bar in r["ratios"]]
    height = 40 + 26 * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" font-family="sans-serif" font-size="12">',
             f'<rect width="860" height="{height}" fill="white"/>',
             '<text x="8" y="20" font-weight="bold">measured ratio, with the line at the bar it must reach (or, striped labels “at most”, stay under)</text>']
    for i, (label, ratio, bar) in enumerate(rows):
        y = 34 + 26 * i
        unit = 200 / abs(bar)  # the bar's line stands at 200 px
        width = min(420.0, ratio * unit)
        color = "#4a7a4a" if holds(ratio, bar) else "#b04a3a"
        parts.append(f'<text x="8" y="{y + 14}">{label}</text><rect x="400" y="{y + 3}" width="{width:.0f}" height="14" fill="{color}"/>'
                     f'<line x1="600" y1="{y}" x2="600" y2="{y + 20}" stroke="black"/>'
                     f'<text x="{406 + width:.0f}" y="{y + 14}">{ratio:.2f}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def report(results):
    lines = ["# Measured", "", "By `./dev bench`: ratios, side by side in one run; the server on one core, the load on the other.", "",
             f"Machine: {os.cpu_count()} cores, {platform.machine()}, Linux {platform.release().split('-')[0]}. Figures move by a tenth from run to run.", "",
             "| what | measured | bar | holds |", "|---|---|---|---|"]
    for name, r in results.items():
        for what, ratio, bar in r["ratios"]:
            lines.append(f"| {name} {what} | {ratio:.2f} | {'≥' if bar > 0 else '≤'} {abs(bar):g} | {'yes' if holds(ratio, bar) else '**no**'} |")
    for name, r in results.items():
        lines += ["", f"**{name}** {r['what']}", ""]
        lines += [f"- {key}: {value:,.2f}" if value < 100 else f"- {key}: {value:,.0f}" for key, value in r["values"].items()]
    return "\n".join(lines) + "\n\n![ratios](results.svg)\n"


def main():
    options = argparse.ArgumentParser(prog="./dev bench")
    options.add_argument("--build", required=True)
    options.add_argument("names", nargs="*", choices=[[], *BENCHES], metavar="NAME")
    o = options.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / "results.json"
    results = json.loads(file.read_text()) if o.names and file.exists() else {}
    for name, bench in BENCHES.items():
        if o.names and name not in o.names:
            continue
        begun = time.monotonic()
        bench(pathlib.Path(o.build).absolute(), results)
        for what, ratio, bar in results[name]["ratios"]:
            print(f"{name}  {what:45} {ratio:6.2f}   {'>=' if bar > 0 else '<='} {abs(bar):g}   {'holds' if holds(ratio, bar) else 'FALLS SHORT'}", flush=True)
        print(f"    {name} took {time.monotonic() - begun:.0f} s", file=sys.stderr)
    results = dict(sorted(results.items()))
    file.write_text(json.dumps(results, indent=1) + "\n")
    (OUT / "results.md").write_text(report(results))
    (OUT / "results.svg").write_text(picture(results))


if __name__ == "__main__":
    main()
