"""What an owner has had and has: its dominant share, decayed over time, divided by its weight. Called by passes.py and the runner.

Dominant share: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011. Decay: an owner that used everything yesterday stands
behind one that used nothing, and for a few half-lives only.
"""

from math import exp, log

from gradwire.services.scheduling.model import Account


def dominant_share(gpus: int, cpus: int, all_gpus: int, all_cpus: int) -> float:
    """The larger of the parts of all GPUs and of all CPUs that something takes, 0 to 1."""
    return max(gpus / all_gpus if all_gpus else 0.0, cpus / all_cpus if all_cpus else 0.0)


def decayed(usage: float, seconds: float, half_life_s: float) -> float:
    """A recent average of dominant share after `seconds` of holding nothing."""
    return usage * exp(-log(2) * max(seconds, 0.0) / half_life_s)


def charged(usage: float, share: float, seconds: float, half_life_s: float) -> float:
    """A recent average of dominant share after `seconds` of holding `share`; tends to `share`.

    >>> charged(0.0, 0.5, 3600, half_life_s=3600)
    0.25
    """
    kept = exp(-log(2) * max(seconds, 0.0) / half_life_s)
    return usage * kept + share * (1 - kept)


def score(account: Account, held: float, asked: float, now: float, half_life_s: float) -> float:
    """Who is served first among jobs of one level: the lowest (held + recent + half of what is asked for) / weight.

    The half makes the rounding to whole jobs even-handed between large and small weights (Webster's and Sainte-Laguë's method):
    without it the small ones get up to a job too much each.
    """
    recent = decayed(account.usage, now - account.usage_at, half_life_s)
    return (held + recent + asked / 2) / account.weight
