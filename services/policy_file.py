"""The scheduler's settings from a TOML file, for `gradwire serve --policy`. One key for each field of scheduling.Policy."""

import tomllib
from dataclasses import fields
from pathlib import Path

from gradwire.services.scheduling import Policy


class PolicyError(ValueError):
    """The file can't be read, or has wrong settings: names all of them."""


def read_policy(path: Path) -> Policy:
    """The policy that a file describes; what it leaves out is the default. Raises PolicyError.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "policy.toml"
    >>> _ = file.write_text("aging_s = inf\\npreempt = false\\n")
    >>> read_policy(file).aging_s, read_policy(file).preempt, read_policy(file).half_life_s
    (inf, False, 14400.0)
    """
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise PolicyError(f"{path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} is no TOML: {error}") from None
    known = {field.name: field.default for field in fields(Policy)}
    wrong: list[str] = []
    values: dict[str, object] = {}
    for name, value in found.items():
        if name not in known:
            wrong.append(f"{name} is no setting (those are {', '.join(known)})")
        elif isinstance(known[name], bool):
            if isinstance(value, bool):
                values[name] = value
            else:
                wrong.append(f"{name}: expected true or false, not {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            wrong.append(f"{name}: expected a number of seconds, not {value!r}")
        else:
            values[name] = float(value)
            try:
                Policy(**{name: float(value)})  # type: ignore[arg-type]
            except ValueError as error:
                wrong.append(str(error).removeprefix("Policy: "))
    if wrong:
        raise PolicyError(f"{path}: {'; '.join(wrong)}")
    return Policy(**values)  # type: ignore[arg-type]
