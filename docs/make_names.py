"""Writes docs/names.md: every name that PyTorch documents, whether gradwire has it, and why not where it has not.

    python docs/make_names.py            writes the table
    python docs/make_names.py --check    fails where the table on disk is out of date

PyTorch (a development dependency) says which names there are: those of its namespaces that carry a docstring.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
import torch.func
import torch.utils.checkpoint
import torch.utils.data

import gradwire

TABLE = Path(__file__).with_name("names.md")

# What each namespace is, in the order of the table.
NAMESPACES = {
    "torch": "functions, dtypes and modes",
    "Tensor": "methods and attributes",
    "nn.functional": "functional forms of layers and losses",
    "linalg": "linear algebra",
    "special": "special functions",
    "autograd": "derivatives",
    "autograd.functional": "derivatives of functions",
    "autograd.graph": "nodes and saved tensors",
    "func": "function transforms",
    "utils.checkpoint": "recomputation",
    "nn": "modules",
    "nn.init": "initialisation",
    "nn.utils": "about parameters",
    "optim": "optimizers",
    "optim.lr_scheduler": "learning rate schedules",
    "optim.swa_utils": "averages of weights",
    "utils.data": "data",
    "distributions": "probability distributions",
    "amp": "mixed precision",
}

# Names that other libraries' machinery left in PyTorch's namespaces.
NOT_PUBLIC = re.compile(
    r"handle_torch_function|has_torch_function|boolean_dispatch|is_tensor_like|TorchDispatchMode|Weak(Key|Value)Dictionary|RemovableHandle"
    r"|bisect_right|.*_with_indices|merge_type_from_type_comment|parse_(ir|schema|type_comment)|import_ir_module.*|init_num_threads"
    r"|factory_kwargs|native_channel_shuffle|compiled_with_cxx11_abi|thread_safe_generator|Tag|AggregationType|DispatchKey|DeviceType"
    r"|NestedIOFunction|Profiler\w+|kineto_available|debug_unwrap|rearrange|UninitializedBuffer|is_(multithreading|view_replay)_enabled"
    r"|enforce_grad_layout_policy|ScriptFunction|set_override_stale_capture_stream|set_warn_on_accumulate_grad_stream_mismatch"
    r"|region_activation_memory_budget|swap_in_optimizer_params_and_state|noop_context_fn|detach_variable|check_backward_validity"
    r"|get_device_states|set_device_states|gen_recompute_tensor\w+|Any|Module|Callable|ContextManager|Enum|ABC|Iterable|Iterator"
    r"|set_checkpoint_early_stop|SelectiveCheckpointContext|CheckpointError|CheckpointPolicy|create_selective_checkpoint_contexts"
    r"|infer_device_type|get_device_\w+|DefaultDeviceType|NoopSaveInputs|GraphExecGroup|set_checkpoint_debug_enabled"
    r"|TorchFunctionMode|Optimizer|fork|wait|typename|unify_type_list|has_torch_function_\w+|tree_map|set_multithreading_enabled"
)  # fmt: skip

# Why names are left out: the first pattern that matches the whole name.
REASONS = [
    (r"complex\w*|c(float|double|half)|conj\w*|(is|resolve)_conj|resolve_neg|is_neg|imag|polar|angle|view_as_(complex|real)|i?stft|eig(vals)?|is_complex_\w+",
     "complex dtypes are not carried"),
    (r"\w*sparse\w*|\w*coo\w*|(h|ss?p?)?s?p?mm|smm|hspmm|sspaddmm|(coalesce|col_indices|crow_indices|dense_dim|indices|is_coalesced|values)(_copy)?|SparseAdam",
     "sparse layouts are not carried"),
    (r"q(u?int|_|scheme|uantiz).*|\w*quantize\w*|\w*quantized\w*|dequantize|int_repr|is_quantized|u?int[1-7]|bits\w*|bit|float[48]_\w+|(scaled_)?(grouped_)?mm_?|scaled_\w*mm|grouped_mm|S(caling|wizzle)Type",
     "quantized and sub-byte formats are not carried"),
    (r"[su]?u?int(16|32|64)", "PyTorch itself has few operations for unsigned integers above 8 bits"),
    (r"sym_\w+|Sym\w+|compile|while_loop|vmap|functionalize|linearize|is_functional", "belongs to PyTorch's tracing and compilation"),
    (r"\w+_copy|unsafe_\w+", "a helper of PyTorch's compiler; the name without it does the same"),
    (r"(is_)?(xla|xpu|ipu|mtia|mps|vulkan|meta|hpu)|\w*mkldnn\w*", "a backend that gradwire has not"),
    (r"(untyped_|typed_)?storage(_type)?|set_|is_set_to|is_storage|share_memory_|is_shared|from_file|const_data_ptr|module_load|as_subclass",
     "storages are arrays of NumPy or CuPy here"),
    (r"(get|set|is)_\w*(deterministic|warn_always|float32_matmul_precision|flush_denormal|interop)\w*|are_deterministic_algorithms_enabled|use_deterministic_algorithms",
     "nothing here has such a switch"),
    (r"is_inference|is_inference_\w+", "what inference_mode makes is an ordinary tensor here"),
    (r"pin_memory|OutOfMemoryError", "pinned memory and its errors are CuPy's"),
    (r"cond", "belongs to PyTorch's tracing and compilation"),
    (r"set_default_tensor_type", "deprecated; set_default_dtype"),
    (r"DataParallel|SyncBatchNorm|DistributedSampler", "jobs are data-parallel by themselves (docs/job-file.md)"),
    (r"(Iter|Map)DataPipe", "left PyTorch's own recommendation"),
    (r"record_stream|Stream|Event|get_device_module|Accelerator\w*", "streams are CuPy's"),
    (r"nested_\w+|to_padded_tensor|dim_order", "nested tensors are not carried"),
    (r"(lobpcg|pca|svd)_?\w*lowrank|lobpcg|geqrf|ldl\w*|triangular_solve|cholesky_solve_ex",
     "rarely used in training; linalg has what stands for it"),
    (r"(uniform|normal|constant|eye|dirac|xavier_\w+|kaiming_\w+|orthogonal|sparse)(?<!_)", "deprecated; the name with an underscore at its end"),
    (r"clip_grad_norm|upsample\w*|ger|range", "deprecated in PyTorch"),
    (r"(apply|map|map2)_|conv_tbc|segment_reduce|hash_tensor|histogramdd", "rarely used in training"),
]  # fmt: skip


def documented(space: Any) -> Iterator[str]:
    """The names of PyTorch's namespace that carry a docstring of PyTorch's own."""
    for name in dir(space):
        if name.startswith("_") or NOT_PUBLIC.fullmatch(name):
            continue
        thing = getattr(space, name)
        if isinstance(thing, torch.dtype):
            yield name
        elif callable(thing) or isinstance(thing, (property, types.GetSetDescriptorType)):
            home = getattr(thing, "__module__", None) or "torch"
            text = thing.__doc__
            if home.split(".")[0] == "torch" and isinstance(text, str) and text.strip():
                yield name


def has(path: str, name: str) -> bool:
    """Whether gradwire's namespace `path` has `name`; attributes of instances count for Tensor."""
    try:
        space = gradwire if path == "torch" else attrgetter(path)(gradwire)
    except AttributeError:
        return False
    return hasattr(space, name)


def reason(name: str) -> str:
    return next((why for pattern, why in REASONS if re.fullmatch(pattern, name)), "not yet")


def section(path: str, what: str) -> tuple[str, int, int]:
    """A namespace's part of the table, how many of its names gradwire has, and how many there are."""
    names = sorted(documented(torch if path == "torch" else attrgetter(path)(torch)), key=str.lower)
    present = [n for n in names if has(path, n)]
    missing: dict[str, list[str]] = {}
    for n in names:
        if not has(path, n):
            missing.setdefault(reason(n), []).append(n)
    title = path if path == "torch" else f"torch.{path}"
    lines = [f"## {title}: {what}", "", f"{len(present)} of {len(names)} names.", ""]
    if present:
        lines += ["**There**: " + " ".join(f"`{n}`" for n in present), ""]
    if missing:
        lines += ["| not there | why |", "|---|---|"]
        order = sorted(missing, key=lambda why: (why != "not yet", why))
        lines += [f"| {' '.join(f'`{n}`' for n in missing[why])} | {why} |" for why in order]
        lines.append("")
    return "\n".join(lines), len(present), len(names)


def table() -> str:
    parts = {path: section(path, what) for path, what in NAMESPACES.items()}
    have, of = (sum(p[i] for p in parts.values()) for i in (1, 2))
    head = [
        "# PyTorch's names in gradwire",
        "",
        "Made by `docs/make_names.py` from the names that PyTorch "
        + torch.__version__.split("+")[0]
        + " documents; do not edit.",
        f"gradwire has {have} of {of}.",
        "",
        "| namespace | there | of |",
        "|---|---|---|",
        *(
            f"| {path if path == 'torch' else 'torch.' + path} | {p[1]} | {p[2]} |"
            for path, p in parts.items()
        ),
        "",
    ]
    return "\n".join(head) + "\n" + "\n".join(p[0] for p in parts.values())


def main() -> int:
    text = table()
    if "--check" in sys.argv[1:]:
        if not TABLE.exists() or TABLE.read_text() != text:
            print("docs/names.md is out of date: run python docs/make_names.py", file=sys.stderr)
            return 1
        return 0
    TABLE.write_text(text)
    print(text[: text.index("## ")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
