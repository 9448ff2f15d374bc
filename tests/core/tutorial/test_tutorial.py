"""Every snippet of the tutorial runs as printed with `import gradwire as torch`, and every statement about it holds."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import gradwire
from gradwire import graph

SNIPPETS = dict(
    re.findall(
        r"^=== (\w+)\n(.*?)(?=^=== |\Z)", Path(__file__).with_name("snippets.txt").read_text(), re.S | re.M
    )
)


@pytest.fixture
def run(monkeypatch):
    """Runs snippets one after the other in one namespace, as a reader would."""
    monkeypatch.setitem(sys.modules, "torch", gradwire)
    names: dict = {"torch": gradwire}

    def run_one(name, **given):
        names.update(given)
        exec(compile(SNIPPETS[name], f"snippet {name}", "exec"), names)
        return names

    return run_one


def values(names, *wanted):
    return [names[n].detach().numpy() for n in wanted]


def test_the_file_holds_every_snippet():
    assert len(SNIPPETS) == 10


def test_an_uninitialised_tensor_has_the_asked_shape_and_prints(run, capsys):
    t = run("uninitialised")["tsr"]
    assert t.shape == (3, 5) and t.dtype is gradwire.float32 and not t.requires_grad
    assert capsys.readouterr().out.startswith("tensor([[")


def test_requires_grad_is_given_at_creation_or_set_afterwards(run):
    names = run("requires_grad")
    assert names["t1"].requires_grad and not names["t2"].requires_grad
    assert names["t2"].shape == (3, 3)
    names["t2"].requires_grad = True
    assert names["t2"].requires_grad


def test_requires_grad_is_contagious_and_grad_fn_names_the_operator(run):
    names = run("graph")
    assert names["a"].grad_fn is None and names["w1"].grad_fn is None
    assert [names[n].grad_fn.name() for n in "bcdL"] == [
        "MulBackward0",
        "MulBackward0",
        "AddBackward0",
        "RsubBackward1",
    ]
    assert all(names[n].requires_grad for n in "abcdL")
    assert all(names[n].is_leaf for n in ("a", "w1", "w2", "w3", "w4")) and not any(
        names[n].is_leaf for n in "bcdL"
    )
    plain = gradwire.ones(3, 3) * 2
    assert plain.is_leaf and plain.grad_fn is None and not plain.requires_grad


def test_backward_on_a_vector_raises_the_error_of_the_tutorial(run):
    with pytest.raises(RuntimeError, match=r"^grad can be implicitly created only for scalar outputs$"):
        run("vector_backward")


def test_the_gradients_are_those_of_the_chain_rule(run):
    names = run("sum_backward")
    a, w1, w2, w3, w4 = values(names, "a", "w1", "w2", "w3", "w4")
    expected = {"a": -(w3 * w1 + w4 * w2), "w1": -w3 * a, "w2": -w4 * a, "w3": -w1 * a, "w4": -w2 * a}
    for name, value in expected.items():
        np.testing.assert_allclose(names[name].grad.numpy(), value, rtol=1e-6, atol=1e-7)
    assert names["b"].grad_fn is not None and not names["b"].retains_grad


def test_a_vector_of_ones_stands_for_the_sum(run):
    run("graph")
    names = run("ones_backward")
    a, w3 = values(names, "a", "w3")
    np.testing.assert_allclose(names["w1"].grad.numpy(), -w3 * a, rtol=1e-6, atol=1e-7)


def test_the_update_by_hand_makes_a_new_tensor(run):
    before = run("sum_backward")["w1"]
    old, g = before.detach().numpy().copy(), before.grad.numpy()
    after = run("update", learning_rate=0.1)["w1"]
    np.testing.assert_allclose(after.detach().numpy(), old - np.float32(0.1) * g, rtol=1e-6)
    assert after is not before and after.grad_fn.name() == "SubBackward0"


def test_the_graph_appears_as_the_code_runs(run):
    names = run("dynamic")
    assert names["a"].grad_fn is None and names["w1"].grad_fn is None
    node = names["b"].grad_fn
    assert node.name() == "MulBackward0"
    assert [f.variable for f, _ in node.next_functions] == [names["w1"], names["a"]]


def test_a_second_backward_raises_the_error_of_the_tutorial(run):
    names = run("sum_backward")
    with pytest.raises(
        RuntimeError, match=r"^Trying to backward through the graph a second time.*retain_graph=True"
    ):
        names["L"].backward()


def test_with_retain_graph_gradients_accumulate(run):
    names = run("graph")
    loss = names["L"].sum()
    run("retain", loss=loss)
    once = names["w1"].grad.numpy().copy()
    run("retain", loss=loss)
    np.testing.assert_array_equal(names["w1"].grad.numpy(), once * 2)


def test_the_next_forward_makes_new_buffers_and_shares_the_leaves(run):
    first = run("graph")
    leaf, b = first["a"], first["b"]
    again = first["w1"] * leaf
    assert again.grad_fn is not b.grad_fn and again.grad_fn.next_functions[1][0].variable is leaf


def test_frozen_tensors_take_no_part():
    w, frozen = gradwire.randn(3, 3, requires_grad=True), gradwire.randn(3, 3, requires_grad=True)
    frozen.requires_grad = False
    (frozen * w).sum().backward()
    assert frozen.grad is None and w.grad is not None
    assert (frozen * 2).grad_fn is None


@pytest.mark.parametrize("form", ["with torch.no_grad:", "with torch.no_grad():"])
def test_no_graph_is_made_under_no_grad_in_both_forms(run, form):
    run("no_grad")
    names = {"torch": gradwire, "w": gradwire.ones(2, requires_grad=True)}
    exec(f"{form}\n    inside = w * 2\noutside = w * 2", names)
    assert names["inside"].grad_fn is None and not names["inside"].requires_grad
    assert names["outside"].grad_fn is not None and gradwire.is_grad_enabled()


NAMES = ("a", "w1", "w2", "w3", "w4")


def test_the_five_neuron_graph_is_drawn_as_dot(run):
    names = run("graph")
    text = graph.to_dot(names["L"], {n: names[n] for n in (*NAMES, "L")})
    labels = re.findall(r'label="([^"]*)", shape=(\w+)', text)
    assert sorted(label for label, shape in labels if shape == "box") == sorted(NAMES)
    assert sorted(label for label, shape in labels if shape == "ellipse") == [
        "Add",
        "Mul",
        "Mul",
        "Mul",
        "Mul",
        "Rsub → L",
    ]
    number = {label: i for i, label in ((i, m) for i, m in re.findall(r'(n\d+) \[label="(\w+)"', text))}
    assert text.count(f"{number['a']} -> ") == 2 and text.count(f"{number['w1']} -> ") == 1
    assert text.count("->") == 11


def test_the_five_neuron_graph_is_drawn_as_svg(run):
    names = run("graph")
    picture = ElementTree.fromstring(graph.to_svg(names["L"], {n: names[n] for n in NAMES}))
    inside = "{http://www.w3.org/2000/svg}"
    texts = [t.text for t in picture.iter(f"{inside}text") if t.get("class") != "form"]
    assert sorted(texts) == sorted([*NAMES, "Mul", "Mul", "Mul", "Mul", "Add", "Rsub"])
    assert len(list(picture.iter(f"{inside}path"))) == 11 + 1  # and the arrow's head
    width, height = float(picture.get("width")), float(picture.get("height"))
    for box in picture.iter(f"{inside}rect"):
        assert float(box.get("x")) >= 0 and float(box.get("x")) + float(box.get("width")) <= width
        assert float(box.get("y")) >= 0 and float(box.get("y")) + 32 <= height
