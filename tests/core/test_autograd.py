"""The recorded graph and the backward pass, as PyTorch has them."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import torch as real

import gradwire as torch


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


# Graph attributes


def test_a_leaf_has_no_grad_fn_and_a_result_has_one():
    x = leaf(1, 2)
    y = x * 3
    assert (x.is_leaf, x.grad_fn, x.requires_grad) == (True, None, True)
    assert (y.is_leaf, y.grad_fn.name(), y.requires_grad) == (False, "MulBackward0", True)


def test_next_functions_lead_back_to_the_leaves_in_order():
    a, b = leaf(1), leaf(2)
    product = a * b
    total = product + torch.ones(1, dtype=torch.float64)
    assert total.grad_fn.next_functions == ((product.grad_fn, 0), (None, 0))
    assert [f.variable for f, _ in product.grad_fn.next_functions] == [a, b]
    assert product.grad_fn.next_functions[0][0].name() == "struct torch::autograd::AccumulateGrad"


def test_requires_grad_spreads_from_any_input_and_from_none():
    a, b = leaf(1), torch.ones(1, dtype=torch.float64)
    assert (a + b).requires_grad and (b + a).requires_grad and not (b + b).requires_grad


def test_integers_and_comparisons_carry_no_gradient():
    x = leaf(1, 2)
    assert not (x > 1).requires_grad and not x.argmax().requires_grad and not x.long().requires_grad
    with pytest.raises(RuntimeError, match="floating point"):
        torch.arange(3).requires_grad_()


def test_requires_grad_of_a_result_can_not_be_taken_away():
    with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf variables"):
        (leaf(1) * 2).requires_grad_(False)


def test_detach_shares_memory_and_leaves_the_graph():
    x = leaf(1, 2)
    d = (x * 1).detach()
    assert not d.requires_grad and d.is_leaf
    y = x.detach()
    y[0] = 7
    assert x.tolist() == [7, 2]


# Accumulation


def test_gradients_add_up_over_backwards_and_over_uses():
    x = leaf(3)
    (x * x + x).sum().backward()
    assert x.grad.tolist() == [7]
    (x * 2).sum().backward()
    assert x.grad.tolist() == [9]


def test_the_gradient_of_a_broadcast_input_has_its_shape():
    x, y = leaf(2), torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    (x * y).sum().backward()
    assert x.grad.tolist() == [12] and y.grad.tolist() == [[2.0] * 4] * 3


def test_a_gradient_does_not_share_memory_with_the_one_given():
    x, g = leaf(1, 2), torch.ones(2, dtype=torch.float64)
    (x + 0).backward(g)
    g[0] = 100
    assert x.grad.tolist() == [1, 1]


def test_two_leaves_do_not_share_one_gradient():
    a, b = leaf(1), leaf(2)
    (a + b).sum().backward()
    a.grad.zero_()
    assert b.grad.tolist() == [1]


def test_the_gradient_has_the_dtype_of_the_leaf():
    x = torch.ones(2, requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype is torch.float32


def test_backward_twice_needs_retain_graph():
    x = leaf(2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8]
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


def test_a_graph_that_saved_nothing_may_be_walked_twice():
    x = leaf(2)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.backward(), "grad can be implicitly created only for scalar outputs"),
        (lambda x: x.detach().sum().backward(), "element 0 of tensors does not require grad and does not"),
        (lambda x: x.backward(torch.ones(3, dtype=torch.float64)), "Mismatch in shape"),
        (lambda x: torch.autograd.backward([x], [None, None]), "got 1 tensors and 2 gradients"),
        (lambda x: x.detach().retain_grad(), "can't retain_grad on Tensor that has requires_grad=False"),
        (
            lambda x: x.detach().register_hook(print),
            "cannot register a hook on a tensor that doesn't require gradient",
        ),
        (lambda x: x.numpy(), "Can't call numpy\\(\\) on Tensor that requires grad"),
    ],
)
def test_a_wrong_call_says_what_pytorch_says(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(leaf(1, 2) * 1)


def test_backward_of_several_tensors_adds_their_gradients():
    x = leaf(1, 2)
    torch.autograd.backward([x.sum(), (x * x).sum()], [None, torch.tensor(10.0, dtype=torch.float64)])
    assert x.grad.tolist() == [21, 41]


def test_backward_with_inputs_fills_only_these():
    a, b = leaf(1), leaf(2)
    (a * b).sum().backward(inputs=[a])
    assert a.grad.tolist() == [2] and b.grad is None


def test_the_gradient_of_a_leaf_itself_is_the_one_given():
    x = leaf(5)
    x.backward()
    assert x.grad.tolist() == [1]


# Modes


def test_no_grad_stops_recording_as_context_class_and_decorator():
    x = leaf(1)

    @torch.no_grad()
    def called():
        return x * 2

    @torch.no_grad
    def bare():
        return x * 2

    with torch.no_grad():
        inside = x * 2
    with torch.no_grad:
        within = x * 2
    assert not any(t.requires_grad for t in (called(), bare(), inside, within))
    assert torch.is_grad_enabled() and called.__name__ == "called"


def test_modes_nest_and_come_back_after_an_error():
    seen = []
    with torch.no_grad():
        with torch.enable_grad():
            seen.append(torch.is_grad_enabled())
            with torch.no_grad:
                seen.append(torch.is_grad_enabled())
        seen.append(torch.is_grad_enabled())
    with pytest.raises(ZeroDivisionError), torch.no_grad():
        raise ZeroDivisionError
    assert [*seen, torch.is_grad_enabled()] == [True, False, False, True]


def test_set_grad_enabled_acts_at_once_and_as_a_context():
    try:
        torch.set_grad_enabled(False)
        assert not torch.is_grad_enabled()
        with torch.set_grad_enabled(True):
            assert torch.is_grad_enabled()
        assert not torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)


def test_one_set_grad_enabled_may_be_entered_again():
    mode = torch.set_grad_enabled(False)
    with mode:
        pass
    assert torch.is_grad_enabled()
    with mode:
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_set_grad_enabled_decorates_without_changing_the_mode_around_it():
    @torch.set_grad_enabled(False)
    def mode():
        return torch.is_grad_enabled()

    assert torch.is_grad_enabled() and mode() is False and torch.is_grad_enabled()


def test_inference_mode_does_not_record():
    x = leaf(1)

    @torch.inference_mode()
    def called():
        return x * 2

    with torch.inference_mode():
        assert not (x * 2).requires_grad
    with torch.inference_mode(False):
        assert (x * 2).requires_grad
    assert not called().requires_grad


def test_the_mode_belongs_to_the_thread():
    seen = []
    with torch.no_grad():
        t = threading.Thread(target=lambda: seen.append(torch.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


def test_a_generator_function_keeps_the_mode_of_its_decorator_while_it_runs():
    @torch.no_grad()
    def numbers():
        yield torch.is_grad_enabled()
        yield torch.is_grad_enabled()

    seen = []
    for inside in numbers():
        seen += [inside, torch.is_grad_enabled()]
    assert seen == [False, True, False, True]


# retain_grad and hooks


def test_retain_grad_keeps_the_gradient_of_a_result():
    x = leaf(1, 2)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [6, 12] and y.retains_grad


def test_hooks_run_in_order_and_replace_the_gradient():
    x = leaf(1)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(("first", g.item())) or g * 10)
    y.register_hook(lambda g: seen.append(("second", g.item())))
    y.sum().backward()
    assert seen == [("first", 1.0), ("second", 10.0)] and x.grad.tolist() == [20]


def test_a_hook_on_a_leaf_sees_its_whole_gradient_once():
    seen, x = [], leaf(1)
    handle = x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).sum().backward()
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [5.0] and x.grad.tolist() == [7]


def test_a_hook_registered_twice_is_removed_once():
    seen, x = [], leaf(1)

    def hook(g):
        seen.append(1)

    x.register_hook(hook)
    second = x.register_hook(hook)
    second.remove()
    second.remove()
    x.sum().backward()
    assert seen == [1]


def test_a_post_accumulate_hook_runs_after_the_gradient_is_there():
    seen, x = [], leaf(1)
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert seen == [2.0, 4.0]


def test_a_leaf_hook_replaces_what_grad_returns():
    x = leaf(1)
    x.register_hook(lambda g: g * 10)
    (g,) = torch.autograd.grad((x * 2 + x).sum(), x)
    assert g.tolist() == [30]


# autograd.grad


def test_grad_returns_gradients_and_leaves_the_attribute_alone():
    a, b = leaf(2), leaf(3)
    ga, gb = torch.autograd.grad((a * b).sum(), [a, b])
    assert (ga.item(), gb.item(), a.grad, b.grad) == (3, 2, None, None)


def test_grad_of_several_outputs_is_weighted_by_grad_outputs():
    x = leaf(1, 2)
    w = torch.tensor([1.0, 10.0], dtype=torch.float64)
    (g,) = torch.autograd.grad([x * 2, x * x], [x], [w, w])
    assert g.tolist() == [4, 60]


def test_an_unused_input_is_an_error_none_or_zeros():
    x, other = leaf(1), leaf(1, 2)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        torch.autograd.grad(x.sum(), [x, other])
    assert torch.autograd.grad(x.sum(), [x, other], allow_unused=True)[1] is None
    assert torch.autograd.grad(x.sum(), [x, other], materialize_grads=True)[1].tolist() == [0, 0]
    with pytest.raises(ValueError, match="Expected allow_unused to be True or not passed"):
        torch.autograd.grad(x.sum(), [x, other], allow_unused=False, materialize_grads=True)


def test_grad_goes_to_results_and_to_one_tensor_asked_for_twice():
    x = leaf(2)
    y = x * 3
    gy, gx, again = torch.autograd.grad((y * y).sum(), [y, x, x])
    assert (gy.item(), gx.item(), again.item()) == (12, 36, 36)


def test_a_returned_gradient_shares_no_memory_with_another():
    a, b = leaf(1), leaf(1)
    ga, gb = torch.autograd.grad((a + b).sum(), [a, b])
    ga.zero_()
    assert gb.item() == 1


def test_second_and_third_derivatives_come_from_create_graph():
    x = leaf(2)
    (first,) = torch.autograd.grad((x**4).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    assert (first.item(), second.item(), third.item()) == (32, 48, 48)


def test_a_gradient_penalty_equals_torchs():
    values = [[0.5, -1.0], [2.0, 0.25]]

    def penalty(t):
        w = t.tensor(values, dtype=t.float64, requires_grad=True)
        x = t.tensor([[1.0, 2.0]], dtype=t.float64, requires_grad=True)
        (g,) = t.autograd.grad((x @ w).tanh().sum(), x, create_graph=True)
        ((g * g).sum() - 1).pow(2).backward()
        return w.grad.tolist()

    np.testing.assert_allclose(penalty(torch), penalty(real), rtol=1e-12)


def test_without_create_graph_a_gradient_carries_no_graph():
    x = leaf(2)
    (g,) = torch.autograd.grad((x * x).sum(), x)
    assert not g.requires_grad


def test_backward_with_create_graph_gives_a_gradient_with_a_graph():
    x = leaf(3)
    (x**3).sum().backward(create_graph=True)
    g, x.grad = x.grad, None
    g.sum().backward()
    assert g.item() == 27 and x.grad.item() == 18


# Size, memory, threads


def test_a_hundred_thousand_nodes_are_walked_and_freed_without_recursion():
    x = leaf(1)
    y = x
    for _ in range(100_000):
        y = y + x
    y.sum().backward()
    assert x.grad.item() == 100_001
    del y


def test_a_chain_of_a_hundred_thousand_saving_nodes_is_dropped_unused():
    x = leaf(1)
    y = x
    for _ in range(100_000):
        y = y * x
    gone = weakref.ref(y.grad_fn)
    del y
    assert gone() is None


@pytest.mark.parametrize(
    "build",
    [
        lambda x: (x * x).exp().sum(),
        lambda x: x.sigmoid().tanh().log_softmax(0).sum(),
        lambda x: (x.reshape(1, 2) @ x.reshape(2, 1)).sqrt().sum(),
        lambda x: torch.cat([x, x]).max(0).values,
    ],
)
@pytest.mark.parametrize("backward", [False, True])
def test_a_dropped_graph_is_freed_at_once_without_the_garbage_collector(build, backward):
    gc.collect()
    gc.disable()
    try:
        x = leaf(1, 2)
        y = build(x)
        node = weakref.ref(y.grad_fn)
        if backward:
            y.backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def test_a_retained_gradient_makes_no_cycle():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1)
        y = x * 2
        y.retain_grad()
        y.sum().backward()
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_threads_that_run_backward_over_shared_leaves_lose_no_gradient():
    x = torch.zeros(50_000, dtype=torch.float64, requires_grad=True)
    start = threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(25):
            (x * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (x.grad == 100).all()
