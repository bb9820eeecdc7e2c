"""The real daemon, started on a private world: for tests, benchmarks, ./dev up and ./dev demo."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import world as worlds
from api import Api

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SCF_BUILD", ROOT / ".build" / "gcc"))

# What the tests want to be quicker than the defaults. A setting is named as in the file: "replica.heartbeat_ms".
QUICK = {
    "replica.heartbeat_ms": 100,
    "replica.max_staleness_ms": 2000,
    "http.drain_seconds": 2,
    "sign_in.guesses_per_address": 100000,
}

ROUTES = """routes = (
  { method = "GET"; path = "/enrollments/{record}"; action = "record.view"; },
  { method = "PUT"; path = "/enrollments/{record}"; action = "record.update"; },
  { method = "GET"; path = "/organizations/{provider}/enrollments"; action = "record.list"; },
  { method = "POST"; path = "/organizations/{provider}/applications"; action = "submission.create"; }
);
"""


def value_text(value):
    """A Python value as libconfig writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[ " + ", ".join(value_text(v) for v in value) + " ]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def configuration(settings, routes=ROUTES):
    """The text of a configuration file; a setting whose value is None is left out."""
    groups, lines = {}, []
    for name, value in settings.items():
        if value is None:
            continue
        group, _, member = name.rpartition(".")
        if group:
            groups.setdefault(group, []).append(f"  {member} = {value_text(value)};")
        else:
            lines.append(f"{name} = {value_text(value)};")
    for group, members in groups.items():
        lines.append(f"{group} : {{\n" + "\n".join(members) + "\n};")
    return "\n".join(lines) + "\n" + routes


class Gateway:
    """One scfgated. Started by the constructor unless start=False; `settings` override the quick defaults; `mail` is a
    MailServer (tests/lib/smtp.py) that it sends to, else there is no mail."""

    def __init__(self, world, settings=None, routes=ROUTES, folder=None, build=None, start=True, bound=True, wrap=(),
                 mail=None):
        self.world, self.bound, self.wrap = world, bound, list(wrap)
        self.program = pathlib.Path(build or BUILD).absolute() / "scfgated"
        self.temporary = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="scfgate-gw-")).absolute()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file = self.folder / "scfgate.conf"
        self.log = self.folder / "scfgated.log"
        self.audit = self.folder / "audit.log"
        self.process = None
        self.port = self.operations_port = None
        tls = pathlib.Path(world.tls)
        self.ca = str(world.ca_file)
        self.settings = {
            "directory.uris": [world.ldapi],
            "directory.base": world.suffix,
            "directory.bind_dn": world.gateway_dn,
            "directory.password_file": world.gateway_password_file,
            "directory.ca_file": world.ca_file,
            "http.listen": "127.0.0.1",
            "http.port": 0,
            "http.operations_port": 0,
            "http.public_url": "https://gateway.test",
            "http.certificate": tls / "server.pem",
            "http.key": tls / "server.key",
            "http.client_ca": world.ca_file,
            "http.peers": ["127.0.0.1/32"],
            "audit.file": self.audit,
            "forms": ROOT / "conf" / "forms",
            "consent.text": ROOT / "conf" / "consent.txt",
            "help.topics": ROOT / "conf" / "help.json",
            **QUICK,
        }
        if world.nppes:
            self.settings.update({
                "nppes.uris": [world.nppes.ldaps],
                "nppes.people": f"ou=people,{world.nppes.suffix}",
                "nppes.ca_file": world.nppes.ca_file,
            })
        if mail:
            self.settings.update({"mail.spool": self.folder / "spool", **mail.settings(self.folder)})
        self.settings.update(settings or {})
        self.routes = routes
        self.write()
        if start:
            self.start()

    def write(self, **changes):
        """Writes the configuration; keyword names use __ for the dot."""
        self.settings.update({name.replace("__", "."): value for name, value in changes.items()})
        self.file.write_text(configuration(self.settings, self.routes))

    def run(self, *options):
        """Runs scfgated with these options to its end: for -n, -t, -V."""
        return subprocess.run([self.program, *options], capture_output=True, text=True, timeout=30)

    def start(self, wait=True):
        """Starts and, with wait, returns once the replica is loaded and everything is ready."""
        begun = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [*self.wrap, str(self.program), "-d", "-c", str(self.file)], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, preexec_fn=worlds._child(self.bound), start_new_session=True)
        end = time.monotonic() + 30
        while True:
            with open(self.log, "rb") as log:
                log.seek(begun)
                text = log.read().decode(errors="replace")
            started = re.search(r" start\.done .*https=(\d+) operations=(\d+)", text)
            if started:
                break
            if self.process.poll() is not None:
                raise RuntimeError(f"scfgated ended with {self.process.returncode}: {text[-3000:]}")
            if time.monotonic() > end:
                self.kill9()
                raise RuntimeError(f"scfgated does not start: {text[-3000:]}")
            time.sleep(0.003)
        self.port, self.operations_port = map(int, started.groups())
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        end = time.monotonic() + timeout
        while True:
            status, body = self.operations("/health/ready")
            if status == 200:
                return self
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"not ready: {status} {body} {self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.005)

    def operations(self, path):
        """GET on the operations listener: (status, text); (0, why) if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operations_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def api(self, **more):
        return Api(self.port, self.ca, **more)

    def signed_in(self, username, **more):
        """A client that has signed in; fails the test if it cannot. On a machine whose disk stalls, the directory may be
        too late for a moment and the answer is 503, as it must be: that is asked again."""
        api = self.api(**more)
        answer = api.login(username)
        end = time.monotonic() + 10
        while answer.status == 503 and time.monotonic() < end:
            time.sleep(0.1)
            answer = api.login(username)
        assert answer.status == 200, f"{username} cannot sign in: {answer}\n{self.log.read_text(errors='replace')[-3000:]}"
        return api

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """Ends in order and returns the exit code. A sanitizer's report is an exit code too."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise RuntimeError("scfgated does not end")
        self.process = None
        return code

    def kill9(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def audit_lines(self):
        import json
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def close(self):
        """Stops; a daemon that did not end with 0, or that a sanitizer complained about, fails the test."""
        code = self.stop()
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)
        complaint = re.search(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:", text)
        if complaint:
            raise AssertionError("the daemon's sanitizer reports:\n" + text[complaint.start():][:8000])
        if code not in (0, None):
            raise AssertionError(f"scfgated ended with {code}:\n{text[-4000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
