"""The tokens of a service, in its job store's file. Used by the gate, which looks them up, and by `gradwire token`.

The command works on the store itself, whether a service runs on the home or not: who can write it is its
administrator, and several processes write in turn.
"""

import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Row
from sqlalchemy.exc import DBAPIError

from gradwire.services.connections import from_us, open_engine, to_us, transaction
from gradwire.services.errors import StorageError
from gradwire.services.home import Home, HomeInUseError
from gradwire.services.migrations import VersionError, check_version, prepare_tables
from gradwire.services.security import audit, tables
from gradwire.services.security.callers import Caller, Scope
from gradwire.services.security.tokens import (
    Token,
    TokenError,
    checked_owner,
    digest_of,
    new_secret,
    new_token_id,
)


class TokenStore:
    """The tokens in an engine's store, whose tables are there."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine, self._now = engine, now

    @classmethod
    def of_home(cls, home: Path, store: URL | None = None) -> "TokenStore":
        """The tokens of the service whose home this is; see open_store_of_home."""
        return cls(open_store_of_home(home, store))

    def close(self) -> None:
        """Closes the file."""
        self._engine.dispose()

    def find(self, secret: str) -> Token | None:
        """The token whose text this is, None where there is none. Whether it holds is asked of it. Raises StorageError."""
        sha256 = digest_of(secret)
        try:
            with self._engine.connect() as connection:
                row = tables.SELECT_TOKEN(connection, {"sha256": sha256}).first()
        except DBAPIError as error:
            raise StorageError(f"the tokens can't be read: {error.orig}") from error
        if row is None or not hmac.compare_digest(row.sha256, sha256):
            return None
        return _token(row)

    def tokens(self) -> list[Token]:
        """All that there ever were, in the order they were made."""
        with self._engine.connect() as connection:
            return [_token(row) for row in connection.execute(tables.SELECT_TOKENS).all()]

    def audit(self, size: int, subject: str = "") -> Sequence[audit.AuditRow]:
        """The newest rows of the audit log; see audit.read."""
        return audit.read(self._engine, size, subject)

    def create(self, owner: str, scope: Scope, life: timedelta | None, by: Caller) -> tuple[Token, str]:
        """A new token and its text, which is kept nowhere. `life` None: it does not expire. Raises TokenError."""
        checked_owner(owner)
        with transaction(self._engine) as connection:
            token, secret = self._insert(connection, owner, scope, life)
            audit.note(connection, token.created, by, "CreateToken", token.id)
        return token, secret

    def revoke(self, token_id: str, by: Caller) -> Token:
        """Ends a token for good; one that was revoked stays as it is. Raises TokenError."""
        with transaction(self._engine) as connection:
            if _named(connection, token_id).revoked is None:
                now = self._now()
                tables.REVOKE_TOKEN(connection, {"which": token_id, "revoked_us": to_us(now)})
                audit.note(connection, now, by, "RevokeToken", token_id)
            return _named(connection, token_id)

    def rotate(self, token_id: str, overlap: timedelta, by: Caller) -> tuple[Token, Token, str]:
        """A token's successor with the same owner, scope and length of life: (old, new, the new one's text).

        The old one holds for `overlap` more, or less where it would have expired before. Raises TokenError.
        """
        with transaction(self._engine) as connection:
            old, now = _named(connection, token_id), self._now()
            if trouble := old.trouble(now):
                raise TokenError(
                    f"token {token_id} is {trouble}: make a new one with `gradwire token create`"
                )
            life = None if old.expires is None else old.expires - old.created
            new, secret = self._insert(connection, old.owner, old.scope, life)
            end = now + overlap if old.expires is None else min(old.expires, now + overlap)
            tables.EXPIRE_TOKEN(connection, {"which": token_id, "expires_us": to_us(end)})
            audit.note(connection, now, by, "RotateToken", token_id)
            audit.note(connection, now, by, "CreateToken", new.id)
            return _named(connection, token_id), new, secret

    def _insert(
        self, connection: Connection, owner: str, scope: Scope, life: timedelta | None
    ) -> tuple[Token, str]:
        secret, now = new_secret(), self._now()
        expires = None if life is None else now + life
        token = Token(new_token_id(), owner, scope, secret[-4:], now, expires)
        row: dict[str, object] = {
            "id": token.id,
            "sha256": digest_of(secret),
            "last4": token.last4,
            "owner": owner,
        }
        row |= {"scope": int(scope), "created_us": to_us(now), "revoked_us": None}
        tables.INSERT_TOKEN(connection, {**row, "expires_us": None if expires is None else to_us(expires)})
        return token, secret


def open_store_of_home(home: Path, store: URL | None = None) -> Engine:
    """The store of the service whose home this is, running or not; the home is made where there is none.

    `store`: a PostgreSQL database instead of the file in the home. Raises TokenError where a running service has a store of
    another version, StorageError where the database does not answer.
    """
    if store is not None:
        engine = open_engine(store)
        try:
            prepare_tables(engine)
        except VersionError as error:
            engine.dispose()
            raise TokenError(str(error)) from error
        return engine
    path = home.expanduser().absolute()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_engine(path / "jobs.db")
    try:
        check_version(engine)
    except VersionError:
        try:
            held = Home(path)
        except HomeInUseError as error:
            engine.dispose()
            raise TokenError(f"{error} (that service is of another version than this command)") from error
        try:
            prepare_tables(engine)
        finally:
            held.close()
    return engine


def _named(connection: Connection, token_id: str) -> Token:
    row = tables.SELECT_TOKEN_BY_ID(connection, {"id": token_id}).first()
    if row is None:
        raise TokenError(f"no token {token_id!r}: `gradwire token list` shows those there are")
    return _token(row)


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        owner=row.owner,
        scope=Scope(row.scope),
        last4=row.last4,
        created=from_us(row.created_us),
        expires=None if row.expires_us is None else from_us(row.expires_us),
        revoked=None if row.revoked_us is None else from_us(row.revoked_us),
    )
