"""Does the time of an answer tell what the answer does not?"""
import random
import statistics
import time

from race import SANITIZED

SAMPLES = 40 if SANITIZED else 200
WARM = 20  # that do not count


def rank_p(a, b):
    """Two-sided p of the Mann-Whitney rank test, normal approximation with tie correction left out (times hardly tie)."""
    ranked = sorted((value, arm) for arm, values in ((0, a), (1, b)) for value in values)
    ranks = sum(i + 1 for i, (_, arm) in enumerate(ranked) if arm == 0)
    n, m = len(a), len(b)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5
    return 2 * (1 - statistics.NormalDist().cdf(abs(z)))


def times_of(arms):
    """Calls every arm(n) by turns, in an order of chance, so that what the machine does meanwhile, and whatever it does every
    second time, hits all of them: {name: seconds of each}. What is answered is for the arm to look at."""
    times, chance = {name: [] for name in arms}, random.Random(1)
    for n in range(WARM + SAMPLES):
        for name in chance.sample(list(arms), len(arms)):
            begun = time.perf_counter()
            arms[name](n)
            if n >= WARM:
                times[name].append(time.perf_counter() - begun)
    return times


def assert_alike(pairs, attempts):
    """pairs(): {name: (times, times)} of what is not to be told apart; asked again on a suspicion, for at p > 0.01 one
    comparison in a hundred looks suspicious by chance alone. A sanitizer's work depends on what is done, by much more than a
    stroke of the clock may be long: with one, only the answers count."""
    for _ in range(1 if SANITIZED else attempts):
        found = pairs()
        p = {name: rank_p(*of) for name, of in found.items()}
        if SANITIZED or min(p.values()) > 0.01:
            return
    assert min(p.values()) > 0.01, (p, {name: [f"{statistics.median(arm) * 1e6:.0f} us" for arm in of] for name, of in found.items()})
