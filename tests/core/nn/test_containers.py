"""Lists and dictionaries of modules and parameters, told by both libraries."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from tests.core.stories import same


def seq(t):
    return t.nn.Sequential(t.nn.Tanh(), t.nn.ReLU(), t.nn.Sigmoid())


def ml(t):
    return t.nn.ModuleList([t.nn.Tanh(), t.nn.ReLU(), t.nn.Sigmoid()])


def md(t):
    return t.nn.ModuleDict({"a": t.nn.Tanh(), "b": t.nn.ReLU()})


def pl(t):
    return t.nn.ParameterList([t.ones(2), t.nn.Parameter(t.zeros(3, 1)), 5])


def pd(t):
    return t.nn.ParameterDict({"a": t.ones(2, dtype=t.float64), "b": t.nn.Parameter(t.zeros(3)), "c": "x"})


def statement(code):
    def run(t, m):
        scope = {"t": t, "m": m, "nn": t.nn, "OrderedDict": OrderedDict}
        exec(code, scope)
        return repr(scope["m"]), list(scope["m"].state_dict()), len(scope["m"])

    return run


STORIES = {
    seq: """m[1]; m = m[1:]; m = m[::2]
m[-1] = nn.ReLU6() if 0 else nn.Tanh()
m.append(nn.Linear(1, 1))
m.extend([nn.Tanh(), nn.Tanh()])
m.insert(1, nn.Tanh())
m.insert(-1, nn.Tanh())
m.insert(9, nn.Tanh())
m.insert(0, 3)
del m[0]
del m[0:2]
del m[5]
m.pop(1)
m.pop(-1)
m = m + nn.Sequential(nn.Tanh())
m += nn.Sequential(nn.Tanh())
m = m + [1]
m = m * 2
m *= 2
m = 2 * m
m = m * 0
m = m * 1.5
m = m[7]
m[7] = nn.Tanh()
m = nn.Sequential(OrderedDict(x=nn.Tanh(), y=nn.ReLU()))[1:]
m = nn.Sequential(OrderedDict(x=nn.Tanh(), y=nn.ReLU())); del m[0]
m = nn.Sequential(3)""",
    ml: """m.append(nn.Tanh())
m.extend([nn.Tanh(), nn.Linear(1, 2)])
m.extend(3)
m.insert(1, nn.Linear(1, 1))
m += [nn.Tanh()]
m = m + [nn.Tanh()]
m = m[1:]
m[0] = nn.Linear(1, 1)
m[-1] = nn.Linear(1, 1)
m[9] = nn.Tanh()
m = m[9]
del m[1]
del m[::2]
m.pop(0)
m.append(3)
assert m[0] in m
m(1)
m = nn.ModuleList([nn.Sequential(nn.Linear(1, 1), nn.Tanh()) for _ in range(3)])
m = nn.ModuleList()""",
    md: """m['c'] = nn.Linear(1, 1)
m['a'] = nn.Linear(1, 1)
m['x.y'] = nn.Tanh()
m['keys'] = nn.Tanh()
m[3] = nn.Tanh()
del m['a']
del m['z']
m.pop('a')
m.clear()
m.update({'z': nn.Tanh(), 'y': nn.ReLU()})
m.update([('z', nn.Tanh()), ['y', nn.ReLU()]])
m.update(nn.ModuleDict({'q': nn.Tanh()}))
m.update(3)
m.update([('z',)])
assert 'a' in m and 'z' not in m and list(m) == ['a', 'b'] and list(m.keys()) == list(dict(m.items()))
m = nn.ModuleDict([('k', nn.Tanh())])
m['q'] = 3""",
    pl: """m.append(t.ones(1, dtype=t.float64))
m.extend([t.ones(1), 'x'])
m.extend(t.ones(2))
m.extend(3)
m += [t.ones(2)]
m = m[:2]
m[0] = t.ones(4)
m[-1] = t.ones(4)
m[7] = t.ones(1)
m = m[7]
assert [type(x).__name__ for x in m] == ['Parameter', 'Parameter', 'int']
m(1)
m = nn.ParameterList()""",
    pd: """m['d'] = t.ones(1)
m['c'] = t.ones(1)
m[3] = t.ones(1)
del m['a']
del m['z']
m.pop('b')
m.popitem()
m.clear()
m.setdefault('a', 3); m.setdefault('n', t.ones(2))
m.update({'z': t.ones(1)})
m.update([('z', t.ones(1)), ('y', 3)])
m = m | nn.ParameterDict({'z': t.ones(1)})
m |= nn.ParameterDict({'z': t.ones(1)})
m = m.copy()
m = m.fromkeys(['u', 'v'], 7)
assert m.get('zz') is None and m.get('c') == 'x' and list(reversed(m)) == ['c', 'b', 'a']
assert [k for k, _ in m.items()] == list(m.keys()) and len(list(m.values())) == 3
m(1)
m = nn.ParameterDict()""",
}


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(make, line, id=f"{make.__name__}-{line}")
        for make, lines in STORIES.items()
        for line in lines.split("\n")
    ],
)
def test_containers_do_what_torchs_do(make, code):
    same(lambda t: statement(code)(t, make(t)))
