"""Private slapds made from exactly the files in ldif/: the directory with the sample world, and a second one that plays
NPPES. For tests, benchmarks and ./dev up; as whoever runs it, without root, in a fraction of a second.

    with World() as w:
        w.bind("chen", SAMPLE_PASSWORD).search_s(...)

From the command line: `world.py --dir FOLDER` starts both and prints `name value` lines."""

import argparse
import base64
import ctypes
import hashlib
import os
import pathlib
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

import ldap
import ldap.sasl

LDIF = pathlib.Path(__file__).resolve().parents[2] / "ldif"
SUFFIX = "dc=scf,dc=example"
NPPES_SUFFIX = "dc=nppes,dc=example"
SAMPLE_PASSWORD = "sample passphrase 2026"
PORTAL_SECRET = "portal secret 2026"
TOOLS = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
CONNECTIONS = 4096  # slapd reserves memory for every descriptor that it might get


def run(*command, text=None, check=True):
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PATH": TOOLS, "LDAPNOINIT": "1"})
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def ssha(password):
    salt = secrets.token_bytes(8)
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()


def hashed(password, scheme):
    """The stored form of a password, as slapd itself would make it."""
    if scheme == "{SSHA}":
        return ssha(password)
    module = ["-o", "module-load=argon2 m=19456 t=2 p=1"] if scheme == "{ARGON2}" else []
    return run("slappasswd", *module, "-h", scheme, "-s", password).stdout.strip()


def fill(name, values):
    """The text of a file in ldif/ with its @NAMES@ replaced; a name without a value is an error."""
    text = (LDIF / name).read_text()
    body = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    for key, value in values.items():
        body = body.replace(f"@{key}@", str(value))
    left = {part for part in body.split("@")[1::2] if part.isupper()}
    if left:
        raise ValueError(f"ldif/{name}: no value for {sorted(left)}")
    return body


def make_certificates(folder):
    """A CA and a certificate for this host's loopback names, in folder: ca.pem, server.pem, server.key."""
    folder = pathlib.Path(folder)
    if (folder / "server.pem").exists():
        return folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "365")
    run("openssl", "req", "-x509", *ec, "-subj", "/CN=scfgate test CA", "-keyout", folder / "ca.key",
        "-out", folder / "ca.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    # req -x509 -CA came with OpenSSL 3.0
    run("openssl", "req", "-x509", *ec, "-subj", "/CN=localhost", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
        "-keyout", folder / "server.key", "-out", folder / "server.pem",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "extendedKeyUsage=serverAuth,clientAuth")
    return folder


_certificates = None


def certificates():
    """One set of certificates per process."""
    global _certificates
    if _certificates is None:
        import atexit
        folder = tempfile.mkdtemp(prefix="scfgate-ca-")
        atexit.register(shutil.rmtree, folder, True)
        _certificates = make_certificates(folder)
    return _certificates


def free_ports(count):
    """Ports below those that clients are given, so that nobody takes one while its server is down."""
    ports = set()
    while len(ports) < count:
        port = 15000 + secrets.randbelow(17000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                ports.add(port)
            except OSError:
                pass
    return sorted(ports)


def _child(bound):
    """In the child before exec: dies with its parent if bound to it, dumps no core, opens no more than it needs."""
    def prepare():
        if bound:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return prepare


class Slapd:
    """One slapd with its databases below folder. An existing database is used again."""

    def __init__(self, folder, suffix, data, tls, scheme="{SSHA}", changes=(), bound=True, gateways="ldapi"):
        self.folder, self.suffix, self.bound, self.tls = pathlib.Path(folder), suffix, bound, pathlib.Path(tls)
        self.process = self.pid = None
        self.ca_file = self.tls / "ca.pem"
        self.gateway_dn = f"cn=gateway,ou=services,{suffix}"
        self.gateway_password_file = self.folder / "gateway.password"
        # The folder keeps others away from the socket, which is 0777.
        socket_file = str(self.folder / "run" / "ldapi")
        if len(os.fsencode(socket_file)) > 107:
            raise RuntimeError(f"{socket_file}: the name of a socket has at most 107 bytes; choose a folder that is less deep")
        self.ldapi = "ldapi://" + urllib.parse.quote(socket_file, safe="")
        self.ports = self.folder / "ports"  # written last, when the database is whole
        self.is_new = not self.ports.exists()
        if self.is_new:
            self._create(data, scheme, changes, gateways)
            self._choose_ports()
        self.ldaps_port, self.ldap_port = map(int, self.ports.read_text().split())

    ldaps = property(lambda self: f"ldaps://127.0.0.1:{self.ldaps_port}")
    ldap = property(lambda self: f"ldap://127.0.0.1:{self.ldap_port}")  # StartTLS, or no password is taken

    def password(self, service):
        return (self.folder / f"{service}.password").read_text().strip()

    def _create(self, data, scheme, changes, gateways):
        for part in ("", "run", "database", "database/data", "database/log", "config"):
            (self.folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        values = {
            "LDIF": urllib.parse.quote(str(LDIF)), "DATABASE": self.folder / "database", "RUN": self.folder / "run",
            "SUFFIX": self.suffix, "DC": self.suffix.split(",")[0].split("=")[1], "PASSWORD_HASH": scheme,
            "ADMIN_UID": os.getuid(), "ADMIN_GID": os.getgid(),
            "GATEWAY_LISTENER": "^ldapi://" if gateways == "ldapi" else "^ldap",
            "UPDATE_SSF": 512 if gateways == "ldapi" else 71,
            "TLS_CA": self.ca_file, "TLS_CERTIFICATE": self.tls / "server.pem", "TLS_KEY": self.tls / "server.key",
            "DECOY_PASSWORD": hashed(secrets.token_hex(32), scheme), "SAMPLE_PASSWORD": hashed(SAMPLE_PASSWORD, scheme),
            "NOW": stamp(time.time()), "SOON": stamp(time.time() + 60 * 86400),
        }
        for service in ("gateway", "replicator", "monitor"):
            secret = secrets.token_urlsafe(32)
            file = self.folder / f"{service}.password"
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
                f.write(secret + "\n")
            values[f"{service.upper()}_PASSWORD"] = ssha(secret)
        config = self.folder / "config"
        run("slapadd", "-n", "0", "-F", config, text=fill("config.ldif", values))
        run("slapmodify", "-n", "0", "-F", config, text=fill("acl.ldif", values))
        for change in changes:
            run("slapmodify", "-n", "0", "-F", config, text=change)
        if data:
            entries = "\n\n".join(part if "\n" in part else fill(part, values) for part in data)
            run("slapadd", "-q", "-b", self.suffix, "-F", config, text=entries)  # with -w as well it crashes at times

    def _choose_ports(self):
        self.ldaps_port, self.ldap_port = free_ports(2)
        self.ports.write_text(f"{self.ldaps_port} {self.ldap_port}\n")

    def start(self):
        """Starts slapd and returns when it answers. Listens on the same addresses each time."""
        for attempts_left in (4, 3, 2, 1, 0):
            if self._start_once():
                self.is_new = False
                return self
            if self.is_new and attempts_left:
                self._choose_ports()  # somebody else may have been quicker
            else:
                break
        told = run("slapd", "-T", "test", "-F", self.folder / "config", check=False)
        raise RuntimeError(f"slapd ended: {told.stdout}{told.stderr}{(self.folder / 'slapd.out').read_text()[-2000:]}")

    def _start_once(self):
        where = f"{self.ldapi} {self.ldaps} {self.ldap}"
        with open(self.folder / "slapd.out", "ab") as out:
            self.process = subprocess.Popen(
                ["slapd", "-d", "0", "-h", where, "-F", str(self.folder / "config")], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, env={**os.environ, "PATH": TOOLS}, preexec_fn=_child(self.bound),
                start_new_session=True)
        self.pid = self.process.pid
        end = time.monotonic() + 20
        while self.process.poll() is None:
            try:
                self.admin().unbind_s()
                return True
            except ldap.SERVER_DOWN:
                if time.monotonic() > end:
                    self.kill9()
                    raise
                time.sleep(0.003)
        self.process = self.pid = None
        return False

    def stop(self):
        """Ends slapd in order; a stopped one too."""
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill9()
            self.process = self.pid = None

    def kill9(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = self.pid = None

    def sigstop(self):
        """Returns when none of its threads runs any more: the signal alone lets them finish what they are at."""
        self.process.send_signal(signal.SIGSTOP)
        tasks, end = pathlib.Path(f"/proc/{self.pid}/task"), time.monotonic() + 10
        while not all(" T " in (task / "stat").read_text() for task in tasks.iterdir()):
            assert time.monotonic() < end, "slapd does not stop"
            time.sleep(0.001)

    def sigcont(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self):
        self.stop()
        return self.start()

    def connect(self, uri=None):
        handle = ldap.initialize(uri or self.ldapi)
        handle.set_option(ldap.OPT_REFERRALS, 0)
        handle.set_option(ldap.OPT_NETWORK_TIMEOUT, 5)
        handle.set_option(ldap.OPT_TIMEOUT, 20)
        handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(self.ca_file))
        handle.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        return handle

    def admin(self):
        """A handle of the directory administrator: whoever runs this, by SASL EXTERNAL."""
        handle = self.connect()
        handle.sasl_non_interactive_bind_s("EXTERNAL")
        return handle

    def gateway(self, uri=None):
        return self.bind_dn(self.gateway_dn, self.password("gateway"), uri or self.ldapi)

    def bind_dn(self, dn, password, uri=None):
        handle = self.connect(uri or self.ldaps)
        handle.simple_bind_s(dn, password)
        return handle

    def bind(self, uid, password=SAMPLE_PASSWORD, uri=None):
        """A handle of that person, over ldaps unless told otherwise."""
        return self.bind_dn(self.person(uid), password, uri)

    def modify_ldif(self, text):
        """Applies LDIF with the real ldapmodify, as administrator; @SUFFIX@ may stand for the suffix."""
        return run("ldapmodify", "-Y", "EXTERNAL", "-Q", "-H", self.ldapi, text=text.replace("@SUFFIX@", self.suffix))

    def person(self, uid):
        return f"uid={uid},ou=people,{self.suffix}"

    def organization(self, name):
        return f"scfOrgId={name},ou=organizations,{self.suffix}"

    def association(self, name, provider="lakeside"):
        return f"scfAssociationId={name},ou=associations,{self.organization(provider)}"

    def consent(self, name, provider="lakeside"):
        return f"scfConsentId={name},ou=consents,{self.organization(provider)}"

    def record(self, name, provider="lakeside"):
        return f"scfEnrollmentId={name},ou=records,{self.organization(provider)}"

    def application(self, name):
        return f"scfApplicationId={name},ou=applications,{self.suffix}"

    def replica(self, folder):
        """A running read-only copy of this directory, below folder."""
        change = fill("replica.ldif", {"PROVIDER": self.ldaps, "REPLICATOR_SECRET": self.password("replicator"),
                                       "SUFFIX": self.suffix, "TLS_CA": self.ca_file})
        return Slapd(folder, self.suffix, [], self.tls, changes=[change]).start()

    def set_state(self, dn, state):
        self.modify_ldif(f"dn: {dn}\nchangetype: modify\nreplace: scfState\nscfState: {state}\n")

    def set_values(self, dn, attribute, *values):
        lines = "".join(f"{attribute}: {value}\n" for value in values)
        self.modify_ldif(f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{lines}")


def stamp(seconds):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))


class World(Slapd):
    """The directory, and beside it NPPES (attribute nppes; None if nppes=False). Both run after construction.

    scheme   {SSHA}, or {ARGON2} as in production
    sample   with the sample world
    extra    more LDIF entries, @SUFFIX@ for the suffix
    changes  LDIF changes of cn=config, applied before the start
    gateways ldapi: changes are taken over ldapi only, as in production; tls: over the two other listeners as well
    folder   where; None: a temporary folder, removed by close
    bound    the servers die with this process"""

    def __init__(self, scheme="{SSHA}", sample=True, extra="", changes=(), gateways="ldapi", folder=None, nppes=True,
                 bound=True, tls=None):
        self.temporary = folder is None
        self.root = pathlib.Path(folder or tempfile.mkdtemp(prefix="scfgate-")).absolute()
        tls = tls or (certificates() if self.temporary else make_certificates(self.root / "tls"))
        data = ["base.ldif"] + (["sample.ldif"] if sample else [])
        data += ["\n" + extra.replace("@SUFFIX@", SUFFIX)] if extra else []
        self.nppes = None
        try:
            super().__init__(self.root / "main", SUFFIX, data, tls, scheme, changes, bound, gateways)
            if nppes:
                self.nppes = Slapd(self.root / "nppes", NPPES_SUFFIX, ["nppes.ldif"], tls, scheme, (), bound, gateways)
                self.nppes.start()
            self.start()
        except BaseException:
            self.close()
            raise

    def close(self):
        for server in (self.nppes, self):
            if server is not None and getattr(server, "process", None):
                server.stop()
        if self.temporary:
            shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def lines(self):
        """What a program needs to know of it, as `name value` lines."""
        pairs = [("ldapi", self.ldapi), ("ldaps", self.ldaps), ("ldap", self.ldap), ("suffix", self.suffix),
                 ("ca", self.ca_file), ("slapd", self.pid), ("gateway-dn", self.gateway_dn),
                 ("gateway-password-file", self.gateway_password_file)]
        if self.nppes:
            n = self.nppes
            pairs += [("nppes-ldapi", n.ldapi), ("nppes-ldaps", n.ldaps), ("nppes-suffix", n.suffix),
                      ("nppes-slapd", n.pid), ("nppes-gateway-password-file", n.gateway_password_file)]
        return "".join(f"{name} {value}\n" for name, value in pairs)


def _pid_of(folder):
    """The slapd that runs below folder, or None: its pid file names it and its command line names the folder."""
    try:
        pid = int((folder / "run" / "slapd.pid").read_text())
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (OSError, ValueError):
        return None
    return pid if str(folder / "config") in command else None


def stop_below(root):
    """Ends the slapds that an earlier run left running below root."""
    pids = [pid for pid in (_pid_of(pathlib.Path(root).absolute() / name) for name in ("main", "nppes")) if pid]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 20
    while any(_pid_of(pathlib.Path(root).absolute() / name) for name in ("main", "nppes")):
        if time.monotonic() > end:
            raise RuntimeError(f"slapd {pids} does not end")
        time.sleep(0.01)


def main():
    options = argparse.ArgumentParser(description="Starts a private directory and a private NPPES from ldif/.")
    options.add_argument("--dir", required=True, help="folder of the databases; used again if it holds some")
    options.add_argument("--hash", default="{ARGON2}", help="password scheme of a new database")
    options.add_argument("--gateways", choices=("ldapi", "tls"), default="ldapi", help="where changes are taken from")
    options.add_argument("--empty", action="store_true", help="no sample world")
    options.add_argument("--background", action="store_true", help="return when both answer; they go on")
    options.add_argument("--stop", action="store_true", help="end those that run in this folder, start none")
    o = options.parse_args()
    stop_below(o.dir)
    if o.stop:
        return
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    os.umask(0o077)
    w = World(scheme=o.hash, sample=not o.empty, gateways=o.gateways, folder=o.dir, bound=not o.background)
    sys.stdout.write(w.lines())
    sys.stdout.flush()
    if o.background:
        return
    try:
        while w.process.poll() is None and w.nppes.process.poll() is None:
            time.sleep(0.2)
        sys.exit("a slapd ended by itself")
    finally:
        w.close()


if __name__ == "__main__":
    main()
