"""Pictures of graphs: what they show, that their texts are well formed, and that they stay small."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import gradwire as torch
from gradwire import graph, nn
from gradwire.graph import Box

SVG = "{http://www.w3.org/2000/svg}"
X = "\u00d7"


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))


class Net(nn.Module):
    def __init__(self, blocks=4):
        super().__init__()
        self.inp = nn.Linear(3, 4)
        self.blocks = nn.Sequential(*[Block(4) for _ in range(blocks)])
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.blocks(self.inp(x)))


def _recorded(model, x):
    with graph.record(model) as calls:
        return model(x).pow(2).mean(), calls


def _labels(box):
    return [v.label for v in box.vertices()]


def _titles(box):
    return [t for item in box.items if isinstance(item, Box) for t in (item.title, *_titles(item))]


def test_edges_carry_shapes_and_dtypes():
    a = torch.ones(2, 3, requires_grad=True)
    b = torch.ones(3, dtype=torch.float64, requires_grad=True)
    top = graph.picture((a.double() * b).sum(), {"a": a, "b": b})
    found = [(e.source.label, v.label, e.form) for v in top.vertices() for e in v.inputs]
    assert found == [
        ("a", "ToCopy", f"2{X}3 float32"),
        ("ToCopy", "Mul", f"2{X}3 float64"),
        ("b", "Mul", "3 float64"),
        ("Mul", "Sum", f"2{X}3 float64"),
    ]


def test_results_and_leaves_have_the_names_given_and_unnamed_ones_their_shapes():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    c = a * b
    assert _labels(graph.picture(c, {"a": a, "c": c})) == ["a", "tensor [2]", "Mul → c"]
    assert _labels(graph.picture(a, {"a": a})) == ["a"]
    assert _labels(graph.picture(a.detach())) == ["tensor [2]"]
    model = nn.Linear(2, 1)
    assert _labels(graph.picture(model(torch.ones(1, 2)), model)) == ["weight", "bias", "Addmm"]


def test_several_results_share_one_picture():
    a = torch.ones(3, requires_grad=True)
    values, indices = (a * 2).max(0)
    top = graph.picture([values, (a * 3).sum(), indices])
    assert sorted(_labels(top)) == ["Max", "Mul", "Mul", "Sum", "tensor [3]", "tensor []"]


def test_a_tensor_whose_base_was_written_is_drawn_as_it_is_now():
    a = torch.ones(3, requires_grad=True)
    b = a * 1
    v = b[0:1]
    b.mul_(2)
    labels = _labels(graph.picture(v))
    assert "Mul" in labels and labels.count("tensor [3]") == 1


def test_modules_are_boxes_and_hold_their_parameters():
    model = Net(2)
    loss, calls = _recorded(model, torch.ones(5, 3))
    top = graph.picture(loss, calls)
    assert _titles(top) == [
        "Net", "inp: Linear", "blocks: Sequential",
        "blocks.0: Block", "blocks.0.fc1: Linear", "blocks.0.fc2: Linear",
        "blocks.1: Block", "blocks.1.fc1: Linear", "blocks.1.fc2: Linear",
        "out: Linear",
    ]  # fmt: skip
    for v in top.vertices():
        if v.kind == "leaf":
            assert v.box.label.split(":")[0] == v.label.rpartition(".")[0]
    assert [item.label for item in top.items if not isinstance(item, Box)] == ["Pow", "Mean"]


def test_a_shared_parameter_is_in_the_box_of_all_its_uses():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2, bias=False)
            self.b = nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    loss, calls = _recorded(Tied(), torch.ones(1, 2))
    (leaf,) = [v for v in graph.picture(loss, calls).vertices() if v.kind == "leaf"]
    assert leaf.box.label == "Tied" and leaf.label == "a.weight"


def test_a_module_that_is_called_twice_has_two_boxes_and_an_error_ends_the_recording():
    model = nn.Linear(2, 2)
    with graph.record(model) as calls:
        out = model(model(torch.ones(1, 2)))
    assert _titles(graph.picture(out, calls)) == ["Linear", "Linear"]
    assert not model._forward_hooks and not model._forward_pre_hooks
    with pytest.raises(RuntimeError), graph.record(model) as calls:
        model(torch.ones(1, 5))
    assert not model._forward_hooks and all(c.end for c in calls.all)
    assert graph.to_dot(model(torch.ones(1, 2)), calls).count("subgraph") == 0


def test_equal_modules_that_follow_each_other_are_folded():
    loss, calls = _recorded(Net(6), torch.ones(5, 3))
    top = graph.picture(loss, calls)
    assert _titles(top) == [
        "Net", "inp: Linear", "blocks: Sequential", f"blocks.0 … blocks.5: Block {X} 6",
        "blocks.0.fc1: Linear", "blocks.0.fc2: Linear", "out: Linear",
    ]  # fmt: skip
    (out,) = [v for v in top.vertices() if v.box.label == "out: Linear" and v.kind == "operation"]
    feeding = [e.source for e in out.inputs if e.source.kind == "operation"]
    assert [(v.label, v.box.title) for v in feeding] == [("Add", f"blocks.0 … blocks.5: Block {X} 6")]
    assert len(_titles(graph.picture(loss, calls, fold=False))) == 22
    small = graph.picture(_recorded(Net(2), torch.ones(5, 3))[0], fold=True)
    assert _titles(small) == []


def test_repeated_steps_without_modules_are_folded_around_what_they_share():
    w, h = torch.ones(4, 4, requires_grad=True), torch.zeros(4, requires_grad=True)
    x = h
    for _ in range(20):
        x = torch.tanh(w @ x)
    top = graph.picture(x.sum(), {"w": w, "h": h})
    assert _titles(top) == [f"{X} 19"]
    assert _labels(top) == ["w", "h", "Mv", "Tanh", "Mv", "Tanh", "Sum"]
    two = torch.tanh(w @ torch.tanh(w @ h))
    assert _titles(graph.picture(two)) == []


def test_different_steps_are_not_folded():
    x = torch.ones(4, requires_grad=True)
    y = x.exp()
    for i in range(6):
        y = y.sin() if i % 2 else y.reshape(2, 2).reshape(4)
    z = x * 1
    for i in range(1, 5):
        z = z.repeat(2).sum() * torch.ones(i)
    assert _titles(graph.picture(z)) == []
    assert _titles(graph.picture(y)) == [f"{X} 3"]


def test_what_is_too_much_is_left_out_with_a_note():
    x = torch.ones(2, requires_grad=True)
    y = x
    for i in range(50):
        y = y.sin() if i % 3 else y.exp().cos() if i % 2 else y * x
    top = graph.picture(y, fold=False, max_nodes=10)
    labels = _labels(top)
    assert len(labels) == 11 and re.fullmatch(r"… \d+ operations not drawn", labels[0])
    note = next(top.vertices())
    assert any(e.source is note for v in top.vertices() for e in v.inputs)
    whole = graph.picture(y, fold=False, max_nodes=1000)
    assert int(re.search(r"\d+", labels[0])[0]) == sum(v.kind == "operation" for v in whole.vertices()) - 10


def test_a_graph_of_twenty_thousand_operations_is_drawn():
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y + 1.0
        y = y * 2.0
    text = graph.to_mermaid(y)
    assert f"{X} 9999" in text and len(text) < 1000


# The texts

HOSTILE = 'a "b" <c> & \\N #1; `x` {y}|z]\n\x00é漢'


def _hostile():
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    return (a * b).sum(), {HOSTILE: a, "b": b}


def test_names_of_any_characters_stay_within_their_quotes():
    loss, names = _hostile()
    dot = graph.to_dot(loss, names)
    assert re.findall(r'label="((?:[^"\\]|\\.)*)", shape=box', dot)[0].replace("\\\\", "\\").replace(
        '\\"', '"'
    ) == HOSTILE.replace("\n", "\\n")
    mermaid = graph.to_mermaid(loss, names)
    for line in mermaid.splitlines():
        assert line.count('"') in (0, 2)
    assert "<c>" not in mermaid and "#35;1;" in mermaid
    picture = ElementTree.fromstring(graph.to_svg(loss, names))
    texts = [t.text for t in picture.iter(f"{SVG}text")]
    assert HOSTILE.replace("\x00", "\ufffd") in texts


def test_dot_names_each_vertex_once_and_closes_its_boxes():
    loss, calls = _recorded(Net(4), torch.ones(5, 3))
    dot = graph.to_dot(loss, calls)
    declared = re.findall(r"(n\d+) \[label=.*shape=", dot)
    assert len(declared) == len(set(declared)) and dot.count("{") == dot.count("}")
    assert set(re.findall(r"(n\d+) -> ", dot) + re.findall(r"-> (n\d+)", dot)) == set(declared)
    clusters = re.findall(r"subgraph (\w+)", dot)
    assert len(clusters) == len(set(clusters)) == 7


def test_mermaid_names_each_vertex_once_and_closes_its_boxes():
    loss, calls = _recorded(Net(4), torch.ones(5, 3))
    text = graph.to_mermaid(loss, calls)
    assert text.startswith("flowchart BT\n")
    assert len(re.findall(r"^\s*subgraph ", text, re.M)) == len(re.findall(r"^\s*end$", text, re.M)) == 7
    declared = re.findall(r"^\s*(n\d+)[\[(>]", text, re.M)
    assert len(declared) == len(set(declared))
    assert text.count("-->") == sum(len(v.inputs) for v in graph.picture(loss, calls).vertices())


def _frames(element, kind):
    for g in element.iter(f"{SVG}g"):
        if g.get("class") in kind:
            r = g.find(f"{SVG}rect")
            yield tuple(float(r.get(k)) for k in ("x", "y", "width", "height"))


def _apart(a, b):
    return a[0] + a[2] <= b[0] + 1e-6 or b[0] + b[2] <= a[0] + 1e-6 or a[1] + a[3] <= b[1] + 1e-6 or b[1] + b[3] <= a[1] + 1e-6  # fmt: skip


def _inside(a, b):
    return b[0] <= a[0] and b[1] <= a[1] and a[0] + a[2] <= b[0] + b[2] and a[1] + a[3] <= b[1] + b[3]


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("boxes", [True, False])
def test_nothing_overlaps_in_svg_and_boxes_hold_what_is_theirs(fold, boxes):
    loss, calls = _recorded(Net(4), torch.ones(5, 3))
    root = ElementTree.fromstring(graph.to_svg(loss, calls if boxes else calls.module, fold=fold))
    page = (0.0, 0.0, float(root.get("width")) + 0.5, float(root.get("height")) + 0.5)
    vertices, frames = list(_frames(root, ("leaf", "operation"))), list(_frames(root, ("box",)))
    top = graph.picture(loss, calls if boxes else calls.module, fold=fold)
    assert len(vertices) == len(_labels(top)) and len(frames) == len(_titles(top))
    assert all(_inside(f, page) for f in vertices + frames)
    assert all(_apart(a, b) for a, b in itertools.combinations(vertices, 2))
    for a, b in itertools.combinations(frames, 2):
        assert _apart(a, b) or _inside(a, b) or _inside(b, a)
    for a, b in itertools.product(vertices, frames):
        assert _apart(a, b) or _inside(a, b)
    paths = [p for p in root.iter(f"{SVG}path") if p.get("class") == "edge"]
    assert len(paths) == sum(len(v.inputs) for v in top.vertices())


def test_the_same_program_draws_the_same_picture():
    program = (
        "import gradwire as torch; from gradwire import nn, graph\n"
        "m = nn.Sequential(*[nn.Linear(2, 2) for _ in range(5)])\n"
        "with graph.record(m) as calls: y = m(torch.ones(1, 2)).sum() + m[0].weight.exp().sum()\n"
        "print(graph.to_svg(y, calls), graph.to_dot(y, m), graph.to_mermaid(y, calls, fold=False))"
    )
    texts = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1 and len(texts.pop()) > 3000


@pytest.mark.parametrize(("name", "start"), [("a.svg", "<svg"), ("a.dot", "digraph"), ("a.gv", "digraph"), ("a.mmd", "flowchart")])  # fmt: skip
def test_a_picture_is_saved_in_the_form_of_its_ending(tmp_path, name, start):
    loss, names = _hostile()
    graph.save(tmp_path / name, loss, names)
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_bad_calls_are_refused(tmp_path):
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match="graph: expected a tensor, got float"):
        graph.to_svg([2.0])
    with pytest.raises(TypeError, match="params must be a mapping"):
        graph.to_dot(x, 3)
    with pytest.raises(TypeError, match=r"params\['x'\] must be a tensor"):
        graph.to_dot(x, {"x": 3})
    with pytest.raises(ValueError, match="max_nodes"):
        graph.to_dot(x, max_nodes=0)
    with pytest.raises(ValueError, match="must end in one of"):
        graph.save(tmp_path / "a.png", x)


def test_leaves_of_another_device_are_drawn(device):
    x = torch.ones(2, requires_grad=True, device=device)
    assert _labels(graph.picture((x * 2).sum(), {"x": x})) == ["x", "Mul", "Sum"]
