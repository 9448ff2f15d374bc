"""Tokens as values: how one is made, what of it is kept, how long it holds. Pure; token_store.py keeps them.

A token is gw_ and 256 random bits. Of these the service keeps the SHA-256 and the last four characters: the
bits are too many to be guessed, so a slow hash would protect nothing more.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from gradwire.services.security.callers import Scope

PREFIX = "gw_"
LIFE = timedelta(days=90)
"""How long a token holds where nothing else is said."""
OVERLAP = timedelta(days=1)
"""How long a token that was rotated still holds."""
_SECRET = re.compile(r"gw_[A-Za-z0-9_-]{43}")
_OWNER = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class TokenError(Exception):
    """A token can't be made, found or changed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. `expires` None: it holds until it is revoked."""

    id: str
    owner: str
    scope: Scope
    last4: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    def trouble(self, now: datetime) -> str:
        """Why it does not hold at `now`: 'revoked', 'expired', or '' where it does."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else ""


def new_secret() -> str:
    """A new token's text."""
    return PREFIX + secrets.token_urlsafe(32)


def new_token_id() -> str:
    """A name by which a token can be revoked; it opens nothing."""
    return f"token-{base64.b32encode(secrets.token_bytes(5)).decode().lower()}"


def digest_of(secret: str) -> str:
    """What is kept of a token, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def looks_like_a_token(text: str) -> bool:
    """Whether it has a token's form; says nothing of whether it holds."""
    return _SECRET.fullmatch(text) is not None


def checked_owner(owner: str) -> str:
    """The owner's name. Raises TokenError."""
    if not _OWNER.fullmatch(owner):
        raise TokenError(
            f"expected an owner of 1 to 63 lower-case letters, digits, '.', '_', '@', '-', not {owner!r}"
        )
    return owner


def read_span(text: str) -> timedelta | None:
    """Reads 90d, 12h, 30m, 10s; 'never' is None. Raises TokenError."""
    if text == "never":
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        raise TokenError(f"expected a time like 90d, 12h, 30m, 10s, or never, not {text!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
