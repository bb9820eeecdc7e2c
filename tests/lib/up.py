"""./dev up and ./dev down: private directories, a gateway, and what one needs to know to use them."""
import argparse
import os
import pathlib
import signal
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


def down(state):
    """Ends what runs below state; what does not run is no error."""
    try:
        pid = int(pid_file(state).read_text())
        if b"scfgated" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 20
            while pathlib.Path(f"/proc/{pid}").exists() and time.monotonic() < end:
                time.sleep(0.02)
    except (OSError, ValueError):
        pass
    worlds.stop_below(state)


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
    gateway = None
    try:
        settings = {"http.port": o.port, "replica.heartbeat_ms": 500, "replica.max_staleness_ms": 5000,
                    "http.drain_seconds": 10, "sign_in.guesses_per_address": 20}
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
        if not o.empty:
            for user in USERS:
                say("user", f"{user} password '{PASSWORD}'")
            say("application", f"portal secret '{SECRET}'")
        say("ready")
        if o.background:
            world.process = world.nppes.process = gateway.process = None  # they go on by themselves
            return
        while True:
            for part in (gateway.process, world.process, world.nppes.process):
                if part.poll() is not None:
                    sys.exit(f"a server ended by itself; see {gateway.log}")
            time.sleep(0.2)
    finally:
        if not o.background:
            if gateway:
                gateway.stop()
            world.close()


if __name__ == "__main__":
    main()
