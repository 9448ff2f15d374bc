"""What scripts ask and switch before they train: libraries, determinism, precision, GPUs."""

from __future__ import annotations

import pytest

import gradwire as torch


def test_libraries_that_are_not_here_say_so_and_keep_their_switches():
    backends = torch.backends
    assert (
        not backends.cudnn.is_available()
        and backends.cudnn.version() is None
        and not backends.mps.is_available()
    )
    backends.cudnn.benchmark = True
    assert backends.cudnn.benchmark is True
    backends.cudnn.benchmark = False
    with backends.cudnn.flags(enabled=True, deterministic=False):
        assert backends.cudnn.enabled
    assert not backends.cudnn.enabled and backends.cudnn.deterministic
    backends.cuda.matmul.allow_tf32 = False
    with pytest.raises(AttributeError, match="no switch 'benchmrk'"):
        backends.cudnn.benchmrk = True
    assert backends.cpu.get_cpu_capability() in ("AVX512F", "AVX2", "DEFAULT")


def test_everything_is_deterministic_whatever_is_asked_for():
    torch.use_deterministic_algorithms(True)
    torch.use_deterministic_algorithms(False)
    assert torch.are_deterministic_algorithms_enabled() and torch.get_deterministic_debug_mode() == 2
    torch.set_deterministic_debug_mode("warn")
    torch.set_float32_matmul_precision("high")
    assert torch.get_float32_matmul_precision() == "highest" and torch.get_num_interop_threads() == 1
    torch.set_num_interop_threads(4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: torch.use_deterministic_algorithms("yes"),
        lambda: torch.set_deterministic_debug_mode("maybe"),
        lambda: torch.set_num_interop_threads(0),
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises((RuntimeError, TypeError)):
        wrong()


def test_without_a_gpu_the_answers_are_no_and_zero_and_questions_about_it_say_why():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert (
        torch.cuda.device_count() == torch.cuda.memory_allocated() == torch.cuda.max_memory_allocated() == 0
    )
    assert not torch.cuda.is_initialized() and not torch.cuda.is_bf16_supported()
    torch.cuda.empty_cache()
    for ask in (
        torch.cuda.current_device,
        torch.cuda.get_device_name,
        torch.cuda.synchronize,
        torch.cuda.get_device_capability,
    ):
        with pytest.raises(RuntimeError, match="device 'cuda' needs"):
            ask()
