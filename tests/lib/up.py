"""./dev up and ./dev down: private directories, a gateway, and what one needs to know to use them."""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

import world as worlds
from api import PASSWORD, SECRET
from gateway import ROOT, Gateway

USERS = "chen okafor novak ito silva rivera patel quinn outsider desk1 desk2 audit1 proc1".split()


def say(name, value=""):
    print(f"{name} {value}".rstrip(), flush=True)


def pid_file(state):
    return state / "gateway" / "pid"


def end(file, name):
    try:
        pid = int(file.read_text())
        command = pathlib.Path(f"/proc/{pid}/cmdline")  # empty, or gone, when it has ended
        if name in command.read_bytes():
            os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + 20
            while name in command.read_bytes() and time.monotonic() < until:
                time.sleep(0.02)
    except (OSError, ValueError):
        pass


def down(state):
    """Ends what runs below state; what does not run is no error."""
    end(pid_file(state), b"scfgated")
    end(state / "mail" / "pid", b"smtp.py")
    worlds.stop_below(state)


def start_mailbox(state, bound):
    """A mail server that keeps every letter as a file: links and notices are read there. The process and its port."""
    folder = state / "mail"
    folder.mkdir(mode=0o700, exist_ok=True)
    process = subprocess.Popen([sys.executable, ROOT / "tests" / "lib" / "smtp.py", folder], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
                               preexec_fn=worlds._child(bound))
    (folder / "pid").write_text(f"{process.pid}\n")
    return process, int(process.stdout.readline())


def main():
    options = argparse.ArgumentParser(prog="./dev up")
    options.add_argument("--build", default=str(ROOT / ".build" / "gcc"))
    options.add_argument("--state", default=str(ROOT / ".state"), help="where the directories, certificates and logs are kept")
    options.add_argument("--port", type=int, default=8443, help="0: any free one")
    options.add_argument("--empty", action="store_true", help="no sample world")
    options.add_argument("--background", action="store_true", help="return when it is ready; `./dev down` ends it")
    options.add_argument("--down", action="store_true", help=argparse.SUPPRESS)
    o = options.parse_args()
    state = pathlib.Path(o.state).absolute()
    down(state)
    if o.down:
        return
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    os.umask(0o077)
    bound = not o.background
    world = worlds.World(scheme="{ARGON2}", sample=not o.empty, folder=state, bound=bound)
    gateway = mailbox = None
    try:
        mailbox, mail_port = start_mailbox(state, bound)
        settings = {"http.port": o.port, "replica.heartbeat_ms": 500, "replica.max_staleness_ms": 5000,
                    "http.drain_seconds": 10, "sign_in.guesses_per_address": 20,
                    "http.public_url": f"https://localhost:{o.port or 8443}", "mail.spool": state / "gateway" / "spool",
                    "mail.url": f"smtp://127.0.0.1:{mail_port}", "mail.plain": True, "mail.from": "scfgate@mail.example",
                    "mail.help_desk": "eus@mail.example", "mail.templates": ROOT / "conf" / "mail"}
        gateway = Gateway(world, settings, folder=state / "gateway", build=o.build, bound=bound)
        pid_file(state).write_text(f"{gateway.process.pid}\n")
        say("gateway", f"https://127.0.0.1:{gateway.port}")
        say("operations", f"http://127.0.0.1:{gateway.operations_port}")
        say("ldapi", world.ldapi)
        say("ldaps", world.ldaps)
        say("nppes", world.nppes.ldaps)
        say("slapd", world.pid)
        say("scfgated", gateway.process.pid)
        say("ca", gateway.ca)
        say("configuration", gateway.file)
        say("audit", gateway.audit)
        say("log", gateway.log)
        say("mail", state / "mail")
        if not o.empty:
            for user in USERS:
                say("user", f"{user} password '{PASSWORD}'")
            say("application", f"portal secret '{SECRET}'")
        say("ready")
        if o.background:
            world.process = world.nppes.process = gateway.process = mailbox = None  # they go on by themselves
            return
        while True:
            for part in (gateway.process, world.process, world.nppes.process, mailbox):
                if part.poll() is not None:
                    sys.exit(f"a server ended by itself; see {gateway.log}")
            time.sleep(0.2)
    finally:
        if not o.background:
            if gateway:
                gateway.stop()
            if mailbox:
                mailbox.terminate()
                mailbox.wait()
            world.close()


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError) as error:
        sys.exit(f"./dev up: {error}")
