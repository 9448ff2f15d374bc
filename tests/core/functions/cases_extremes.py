"""The largest, the smallest, and where they are."""

from __future__ import annotations

import numpy as np

from .cases_reduction import ENDLESS, FLOATS, NANS, over
from .driver import bad, case
from .samples import distinct, signed

TIES = np.array([[2.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, 3.0, 3.0]])
PAIRS = ("max", "min")

CASES = [
    *(c for name in ("amax", "amin") for c in over(name)),
    *(case(name, TIES, d, note=f"ties-{d}") for name in ("amax", "amin") for d in (0, 1, (0, 1), ())),
    *(case(name, NANS, 1, note="nan", dtypes=FLOATS, twice=False) for name in ("amax", "amin")),
    *(case(name, np.zeros((0, 3)), 1, note="no-rows") for name in ("amax", "amin", *PAIRS)),
    *(c for name in PAIRS for c in over(name, distinct, several=False)),
    *(case(name, TIES, note="ties-all") for name in PAIRS),
    *(case(name, TIES, d, note=f"ties-{d}") for name in PAIRS for d in (0, 1)),
    *(case(name, NANS, 1, note="nan", dtypes=FLOATS) for name in PAIRS),
    *(case(name, NANS, note="nan-all", dtypes=FLOATS, twice=False) for name in PAIRS),
    *(case(name, signed(2, 3), signed(3), note="other", keywords=False) for name in PAIRS),
    *(case(name, signed(2, 3), axis=1, keepdims=True, note="axis", keywords=False) for name in (*PAIRS, "amax", "amin", "argmax")),
    *(case(name, ENDLESS, d, note=f"inf-{d}", dtypes=FLOATS, grad=False) for name in (*PAIRS, "amax", "amin", "argmax") for d in (0, 1)),
    *(case(name, ENDLESS, note="inf-all", dtypes=FLOATS, grad=False) for name in (*PAIRS, "amax", "argmin")),
    case("aminmax", distinct(2, 3), note="all"),
    *(case("aminmax", distinct(2, 3), dim=d, keepdim=k, note=f"{d}-{k}") for d in (0, -1) for k in (True, False)),
    case("aminmax", distinct(2, 3), keepdim=True, note="keep"),
    case("aminmax", distinct(), note="0d"),
    case("aminmax", distinct(), dim=0, note="0d-dim"),
    case("aminmax", TIES, dim=1, note="ties"),
    case("aminmax", NANS, dim=1, note="nan", dtypes=FLOATS, twice=False),
    case("aminmax", distinct(3, 0), dim=0, note="empty"),
    *(c for name in ("argmax", "argmin") for c in over(name, distinct, several=False, grad=False)),
    *(case(name, TIES, d, note=f"ties-{d}", grad=False) for name in ("argmax", "argmin") for d in (None, 0, 1)),
    *(case(name, NANS, 1, note="nan", grad=False, dtypes=FLOATS) for name in ("argmax", "argmin")),
    *(case(name, distinct(2, 3), None, True, note="keep-all", grad=False) for name in ("argmax", "argmin")),
]  # fmt: skip

BAD = [
    *(bad(name, np.zeros((0, 3)), 0) for name in ("amax", "amin", "max", "min", "argmax", "argmin")),
    *(bad(name, np.zeros((0, 3))) for name in ("amax", "amin", "max", "min", "argmax", "argmin", "aminmax")),
    *(bad(name, np.array([True, False])) for name in ("argmax", "argmin")),
    *(bad(name, signed(2, 3), None) for name in PAIRS),
    *(bad(name, signed(2, 3), (0, 1)) for name in PAIRS),
    *(bad(name, signed(2, 3), signed(2)) for name in PAIRS),
    bad("aminmax", signed(2, 3), 0),
    bad("aminmax", signed(2, 3), dim=2),
    bad("aminmax", np.zeros((0, 3)), dim=0),
]  # fmt: skip
