"""Special functions, functions of integers' bits, signs and neighbours of floating-point numbers."""

from __future__ import annotations

import numpy as np

from .driver import D, bad, case, elementwise
from .samples import positive, signed, special, unit, within_one

FLOATS = "float64 float32 float16 bfloat16"
FULL = "float64 float32 int64 bool"
ints = np.array([[-7, 3, 0], [12, -18, 5]])
other_ints = np.array([[4, -6, 0], [18, 27, -1]])


def _unary(name, make=signed, points=True, **options):
    """`make` keeps to the domain; the special values go beyond it."""
    cases = elementwise(name, make, **options)
    options.pop("twice", None), options.pop("grad", None)
    return [*cases, *([case(name, special(), note="special", grad=False, **options)] if points else ())]


def _large(*shape):
    return np.asarray(signed(*shape) * 12)


def _no_poles(*shape):
    """Positive and negative, 0.1 away from whole numbers."""
    return np.asarray(np.floor(signed(*shape) * 3) + unit(*shape) * 0.8 + 0.1)


edges = np.array([-0.5, 0.0, 0.3, 1.0, 1.5])
POINTWISE = [
    *(case(name, edges, note="edges-of-the-domain", twice=False, dtypes=FLOATS) for name in ("logit", "special.logit")),
    case("logit", edges, 0.1, note="clamped", twice=False, dtypes=FLOATS),
    *(case(name, np.array([0.0, 0.0, 2.0, -1.0]), np.array([2.0, 0.3, 0.4, 1.5]), note="zeros", twice=False, dtypes=FLOATS)
      for name in ("xlogy", "special.xlogy", "special.xlog1py")),
    *(case(name, np.array([0.0, 0.0]), np.array([-2.0, -1.0]), note="zeros-below", twice=False, dtypes=FLOATS, forms=False)
      for name in ("xlogy", "special.xlog1py")),
    case("sinc", np.array([0.0, 1e-3, -0.02, 0.05]), note="near-0", twice=False, tolerance=1e-4),
    *(case(name, np.array([-1e-8, -7.3, 1e-6]), note="near-poles", dtypes="float64", twice=False, tolerance=1e-6) for name in ("lgamma", "digamma")),
    case("special.log_ndtr", np.array([-40.0, -5.0, 5.0, 40.0, 800.0]), note="tails", dtypes="float64", twice=False),
    *(case(name, a, b, note=note) for name in ("bitwise_left_shift", "bitwise_right_shift") for note, a, b in (
        ("matrix", ints, np.array([1, 2, 62])), ("number", ints, 3), ("beyond", ints, np.array([64, -1, 100])),
        ("narrow", ints.astype(np.int8), np.array([[1], [7]], np.int8)), ("wide-beside-narrow", ints.astype(np.int32), ints),
        ("unsigned", abs(ints).astype(np.uint8), np.array(3, np.uint8)), ("bool", ints > 0, 2), ("empty", ints[:, :0], 1))),
    *(case(name, a, b, note=note) for name in ("gcd", "lcm") for note, a, b in (
        ("matrix", ints, other_ints), ("broadcast", ints, other_ints[:, :1]), ("0d", ints[0, 0], other_ints[1, 1]),
        ("mixed", ints.astype(np.int8), abs(other_ints).astype(np.uint8)), ("empty", ints[:, :0], ints[:, :0]))),
    *elementwise("copysign", signed, signed),
    case("copysign", signed(3), -0.0, note="number"),
    case("copysign", special(), special()[::-1].copy(), note="special", grad=False),
    *elementwise("nextafter", signed, signed, dtypes=FLOATS, grad=False),
    case("nextafter", special(), special()[::-1].copy(), note="special", grad=False, dtypes=FLOATS),
    *elementwise("logaddexp2", signed, signed, dtypes=FLOATS),
    case("logaddexp2", np.array([1e4, -1e4]), np.array([1e4, -1e3]), note="large", grad=False, dtypes="float64 float32"),
    *(case(name, np.array([np.inf, 0.0, -np.inf, 800.0]), np.array([0.0, np.inf, 1.0, -800.0]), note="infinite", twice=False,
           dtypes="float64 float32") for name in ("logaddexp", "logaddexp2")),
    *elementwise("heaviside", signed, signed, grad=False),
    case("heaviside", special(), np.array(0.5), note="special", grad=False, dtypes=FLOATS),
    *elementwise("float_power", positive, signed, dtypes="float64 float32 float16 int64 bool"),
    case("float_power", positive(3), 2, note="number"),
    case("float_power", 2, positive(3), note="of-a-number", keywords=False),
    *elementwise("frexp", signed, dtypes=FLOATS),
    case("frexp", special()[:-3], note="special", grad=False, dtypes=FLOATS),
    case("frexp", np.array([5e-324, 1e-310, -2e-308]), note="subnormal", grad=False, dtypes="float64"),
    *elementwise("ldexp", signed, signed, dtypes=FLOATS),
    case("ldexp", signed(2, 3), np.array([1, -3, 5]), note="integers", grad=False, forms=False),  # PyTorch's gradient takes 2^-3 for 0
    *(c for name in ("isposinf", "isneginf", "isreal") for c in (
        case(name, special(), note="special", grad=False), case(name, signed(3, 0), note="empty"))),
    *elementwise("positive", signed, dtypes="float64 float16 int64 uint8"),
    *elementwise("rsub", signed, signed, dtypes=FLOATS + " int64"),
    case("rsub", signed(3), 2.5, note="number", alpha=2, dtypes=FLOATS),
    case("rsub", signed(3), signed(3), note="alpha", alpha=3),
    *_unary("angle", twice=False),
    *(case(name, signed(2, 3)) for name in ("conj", "resolve_conj", "resolve_neg", "real", "conj_physical")),
    *_unary("sinc"),
    *(case("div", signed(2, 3) * 4, b, note="trunc-" + note, rounding_mode="trunc", dtypes=FLOATS + " int64 int8") for note, b in (
        ("number", 2), ("negative", -3), ("tensor", positive(3) + 1), ("float", -0.7))),
    case("round", signed(2, 3), note="decimals", decimals=2, dtypes="float64 float32"),
    case("round", signed(2, 3) * 100, note="tens", decimals=-1, dtypes="float64 float32"),
]  # fmt: skip
TRIGAMMA = {"tolerance": 1e-8}  # PyTorch's is good to 5e-10
CASES = [
    *POINTWISE,
    *_unary("erfc"), *_unary("erfinv", within_one), *_unary("i0", points=False), *_unary("lgamma", _no_poles, points=False, **TRIGAMMA),
    *_unary("digamma", _no_poles, points=False, **TRIGAMMA),
    case("i0", special()[:-3], note="special", grad=False),
    *elementwise("true_divide", signed, positive),
    case("lgamma", np.array([0.0, -0.0, -3.0, np.inf, -np.inf, np.nan, 1e5, 1e-9]), note="poles", grad=False),
    case("digamma", np.array([0.0, -0.0, -3.0, np.inf, -np.inf, np.nan, 1e5, 1e-9]), note="poles", grad=False, dtypes=FLOATS),
    *(case("polygamma", n, _no_poles(2, 3), note=f"order-{n}", dtypes=FLOATS, **TRIGAMMA) for n in (0, 1, 2, 3)),
    case("polygamma", 2, positive(), note="0d"),
    *elementwise("mvlgamma", lambda *s: positive(*s) + 1.5, p=3, **TRIGAMMA),
    *(c for name in ("igamma", "igammac") for c in (
        *elementwise(name, positive, positive, dtypes=FLOATS, grad=False),
        case(name, np.array([0.0, 0.0, 1.0, -1.0, np.inf, 2.0, 1.0, np.nan]), np.array([0.0, 1.0, 0.0, 1.0, 1.0, np.inf, -1.0, 1.0]),
             note="special", grad=False, dtypes="float64 float32"),
        case(name, np.array([1e-3, 0.5, 5.0, 20.0, 300.0, 1e4]), np.array([0.5, 1.05, 30.0, 19.0, 330.0, 1.01e4]), note="large",
             grad=False, dtypes="float64 float32", tolerance=1e-9))),
    *(c for name in ("erf", "erfc", "expit", "expm1", "i0e", "i1e", "sinc", "exp2") for c in _unary("special." + name)),
    *(c for name in ("i0", "i1") for c in _unary("special." + name, points=False)),
    *(c for name in ("erfcx", "log_ndtr") for c in _unary("special." + name, dtypes=FULL)),
    *_unary("special.ndtr"),
    *_unary("special.erfinv", within_one), *_unary("special.ndtri", unit, dtypes=FULL), *_unary("special.log1p", positive),
    *_unary("special.entr", positive), *_unary("special.logit", unit),
    *(c for name in ("digamma", "psi", "gammaln") for c in _unary("special." + name, _no_poles, points=False, **TRIGAMMA)),
    case("special.polygamma", 2, positive(2, 3)),
    case("special.multigammaln", positive(3) + 1.0, 2, **TRIGAMMA),
    case("special.gammainc", positive(3), positive(3), grad=False, dtypes=FLOATS),
    case("special.gammaincc", positive(3), positive(3), grad=False, dtypes=FLOATS),
    case("special.round", signed(3) * 10, dtypes=FLOATS),
    case("special.softmax", signed(2, 3), 1, dtypes=FLOATS),
    case("special.log_softmax", signed(2, 3), 0, dtypes=FLOATS),
    case("special.softmax", signed(2, 3), 1, note="dtype", dtype=D("float64"), dtypes=FLOATS + " int64"),
    case("special.logsumexp", signed(2, 3), 1, dtypes=FLOATS),
    *elementwise("special.xlogy", signed, positive),
    *elementwise("special.xlog1py", signed, positive),
    case("special.xlog1py", np.array([0.0, 0.0, 2.0, 0.0]), np.array([-1.0, np.nan, 0.0, np.inf]), note="special", grad=False),
    case("special.xlog1py", signed(3), 2.5, note="number"),
    *elementwise("special.zeta", lambda *s: positive(*s) + 1.2, positive, dtypes=FULL, grad=False, keywords=False),
    case("special.zeta", 2.5, positive(3), note="number", dtypes=FULL, keywords=False),
    case("special.zeta", np.array([1.0, 0.5, 2.0, 2.5, 2.0, 3.0, np.nan]), np.array([2.0, 1.0, 0.0, -1.5, -2.0, -1.5, 1.0]), note="special",
         grad=False, dtypes="float64 float32"),
    *(case("special." + name, make(5), note=note, grad=False, dtypes="float64", tolerance=1e-6)  # PyTorch's own are good to 5e-7
      for name in ("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1") for note, make in (("near", positive), ("far", lambda n: positive(n) * 20))),
    *(case("special." + name, make(5), note=note, grad=False, dtypes=FULL)
      for name in ("modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0",
                   "scaled_modified_bessel_k1", "spherical_bessel_j0")
      for note, make in (("near", positive), ("far", lambda n: positive(n) * 20))),
    case("special.airy_ai", np.array([-60.0, -11.3, -4.01, -3.9, -1.0, 0.0, 1.9, 2.1, 9.0, 30.0, np.nan]), grad=False,
         dtypes="float64 float32", tolerance=1e-9),
    *(case("special." + name, np.array([0.0, -1.0, np.nan]), note="special", grad=False, dtypes="float64")
      for name in ("bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1")),
]  # fmt: skip

POLYNOMIALS = [
    *("chebyshev_polynomial_" + k for k in "tuvw"), *("shifted_chebyshev_polynomial_" + k for k in "tuvw"), "hermite_polynomial_h",
    "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p",
]  # fmt: skip
CASES += [
    *(case("special." + name, x, n, note=note, grad=False, keywords=note != "number", dtypes=FULL, tolerance=1e-9)
      for name in POLYNOMIALS for note, x, n in (
          ("degree-4", signed(2, 3), 4), ("degree-0", signed(3), 0), ("below", signed(3), -2), ("degrees", unit(3), np.array([1, 2, 9])),
          ("cut", signed(3), 2.7), ("number", 0.3, np.array([1.0, 5.0])), ("edges", np.array([1.0, -1.0, 0.0]), np.array([[3], [10]])),
          ("none", np.zeros((0,)), 3))),
]  # fmt: skip

BAD = [
    bad("bitwise_left_shift", signed(3), 1),
    bad("bitwise_left_shift", ints > 0, ints > 0),
    bad("bitwise_right_shift", ints, 1.5),
    bad("bitwise_and", signed(3), signed(3)),
    bad("bitwise_xor", ints, 1.5),
    bad("gcd", signed(3), signed(3)),
    bad("gcd", ints, 4),
    bad("lcm", ints, other_ints[:, :2]),
    bad("heaviside", signed(3), ints[0]),
    bad("frexp", ints),
    bad("ldexp", signed(3), 2),
    bad("nextafter", ints, ints),
    bad("logaddexp2", ints, ints),
    bad("positive", ints > 0),
    bad("rsub", ints > 0, ints > 0),
    bad("div", signed(3), 2.0, rounding_mode="up"),
    bad("div", ints, 0, rounding_mode="trunc"),
    bad("div", ints > 0, ints > 0, rounding_mode="trunc"),
    bad("mvlgamma", signed(3), 0),
    bad("polygamma", -1, signed(3)),
    bad("special.polygamma", 1.5, signed(3)),
    bad("igamma", ints, ints),
    bad("special.zeta", 1, 2),
    bad("special.xlog1py", 1, 2),
    bad("special.bessel_j0", signed(3).astype(np.float16)),
    bad("special.erfcx", signed(3).astype(np.float16)),
    bad("special.legendre_polynomial_p", signed(3).astype(np.float16), 2),
    bad("special.legendre_polynomial_p", 0.5, 2),
]
