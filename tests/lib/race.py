"""Two or more who act at the same moment, a thousand times over; and waiting for what comes of it."""
import contextlib
import os
import random
import tempfile
import threading
import time

from gateway import Gateway

SANITIZED = os.environ.get("SCF_SANITIZER", "no") != "no"  # everything is slower by a factor of several
ROUNDS = int(os.environ.get("SCF_RACE_ROUNDS", 60 if SANITIZED else 1000))


@contextlib.contextmanager
def quiet_disk(world):
    """A gateway with its audit log in memory, if there is such a place: here it is not the disk that is raced."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        with Gateway(world, {"audit.file": folder + "/audit.log"}) as g:
            yield g


def until(holds, seconds=5, pause=0.01, what="it does not become so"):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(pause)


def broken(call):
    """Of a gateway that is killed meanwhile."""
    try:
        call()
    except OSError:
        pass
    except Exception as e:  # http.client's own
        assert type(e).__module__ == "http.client", e


def race(rounds, acts, check, prepare=None, spread=None):
    """In each round calls every act(round) in a thread of its own, all from the same moment on, and then
    check(round, results), with the results in the order of the acts. What an act raises is raised here. One of them, by
    chance, begins a little later, up to `spread` seconds or the time that they take: so now this one and now that one is
    first."""
    barrier = threading.Barrier(len(acts) + 1)
    results, stop, chance = [None] * len(acts), threading.Event(), random.Random(1)
    late, took = [0.0] * len(acts), [0.001] * len(acts)
    number = 0

    def run(place, act):
        while True:
            barrier.wait()
            if stop.is_set():
                return
            time.sleep(late[place])
            begin = time.perf_counter()
            try:
                results[place] = act(number)
            except BaseException as e:  # told in the thread that waits
                results[place] = e
            took[place] += (time.perf_counter() - begin - took[place]) / 8
            barrier.wait()

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    try:
        for number in range(rounds):
            if prepare:
                prepare(number)
            late[:] = [0.0] * len(acts)
            late[chance.randrange(len(acts))] = chance.random() * (spread or max(took))
            barrier.wait()
            barrier.wait()
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            check(number, list(results))
    finally:
        stop.set()
        if barrier.n_waiting < len(acts):
            time.sleep(0.05)
        try:
            barrier.wait(5)
        except threading.BrokenBarrierError:
            pass
