"""Contexts: services that `gradwire login` knows by name. A file without secrets; tokens lie in files of their own.

$GRADWIRE_CONFIG, else $XDG_CONFIG_HOME/gradwire, else ~/.config/gradwire: contexts.json and tokens/NAME.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gradwire.services.security.secret_files import replace_file

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class ContextError(Exception):
    """A context can't be found or kept; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Context:
    """A service: its address, the file of the token for it, and the TLS files; see access.Access."""

    address: str
    token_file: str = ""
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""


@dataclass(frozen=True, slots=True)
class Contexts:
    """What the file says; `current` names the context of commands that name no service."""

    folder: Path
    known: Mapping[str, Context]
    current: str = ""

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> "Contexts":
        """Reads the file; none known where there is none. Raises ContextError."""
        folder = _folder(os.environ if environment is None else environment)
        path = folder / "contexts.json"
        try:
            fields = json.loads(path.read_text())
            known = {str(name): Context(**each) for name, each in fields["contexts"].items()}
            return cls(folder, known, str(fields["current"]))
        except (FileNotFoundError, NotADirectoryError):
            return cls(folder, {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ContextError(f"{path} can't be read ({error}): remove it and log in again") from None

    def named(self, name: str) -> Context:
        """The context of that name. Raises ContextError."""
        if name not in self.known:
            known = ", ".join(sorted(self.known)) or "none"
            raise ContextError(
                f"no context {name!r} (known: {known}): `gradwire login ADDRESS --context {name}` makes it"
            )
        return self.known[name]

    def of_address(self, address: str) -> Context | None:
        """The context of an address, the current one first."""
        names = sorted(self.known, key=lambda name: (name != self.current, name))
        return next((self.known[name] for name in names if self.known[name].address == address), None)

    def chosen(self) -> Context | None:
        """The current one."""
        return self.known.get(self.current)

    def with_context(self, name: str, context: Context, token: str = "") -> "Contexts":
        """Writes the context, the token into its own file, and makes it the current one. Raises ContextError."""
        if not _NAME.fullmatch(name):
            raise ContextError(
                f"expected a name of letters, digits, '.', '_', '-', not {name!r}: use --context"
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if token:
            (self.folder / "tokens").mkdir(exist_ok=True, mode=0o700)
            file = self.folder / "tokens" / name
            replace_file(file, token + "\n")
            context = replace(context, token_file=str(file))
        after = Contexts(self.folder, {**self.known, name: context}, name)
        after._write()
        return after

    def using(self, name: str) -> "Contexts":
        """Makes a known context the current one. Raises ContextError."""
        self.named(name)
        after = replace(self, current=name)
        after._write()
        return after

    def _write(self) -> None:
        fields = {
            "current": self.current,
            "contexts": {name: asdict(each) for name, each in self.known.items()},
        }
        replace_file(self.folder / "contexts.json", json.dumps(fields, indent=2) + "\n")


def _folder(environment: Mapping[str, str]) -> Path:
    if wanted := environment.get("GRADWIRE_CONFIG"):
        return Path(wanted).expanduser().absolute()
    base = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser().absolute() / "gradwire"
