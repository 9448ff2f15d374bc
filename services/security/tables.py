"""Tables of tokens and of the audit log, in the job store's file, and the statements on them.

Used by token_store.py, audit.py and store.py; migrations.py makes them in an older store.
"""

from sqlalchemy import Column, Index, Integer, String, Table, bindparam, or_, select, update

from gradwire.services.prepared import Prepared
from gradwire.services.schema import WIDE, insert_into, metadata

tokens = Table(
    "tokens",
    metadata,
    Column("sequence", WIDE, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("last4", String(4), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("scope", Integer, nullable=False),
    Column("created_us", WIDE, nullable=False),
    Column("expires_us", WIDE),
    Column("revoked_us", WIDE),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", WIDE, primary_key=True, autoincrement=True),
    Column("time_us", WIDE, nullable=False),
    # Who: the owner, its token's id ('' without one) and where it called from.
    Column("owner", String(64), nullable=False),
    Column("token", String(64), nullable=False),
    Column("peer", String, nullable=False),
    # What was done, and to which job or token.
    Column("action", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Index("audit_by_subject", "subject", "sequence"),
    sqlite_autoincrement=True,
)

INSERT_TOKEN = Prepared(insert_into(tokens, "sequence"))
SELECT_TOKEN = Prepared(select(tokens).where(tokens.c.sha256 == bindparam("sha256")))
SELECT_TOKEN_BY_ID = Prepared(select(tokens).where(tokens.c.id == bindparam("id")))
SELECT_TOKENS = select(tokens).order_by(tokens.c.sequence)
REVOKE_TOKEN = Prepared(
    update(tokens).where(tokens.c.id == bindparam("which")).values(revoked_us=bindparam("revoked_us"))
)
EXPIRE_TOKEN = Prepared(
    update(tokens).where(tokens.c.id == bindparam("which")).values(expires_us=bindparam("expires_us"))
)

INSERT_AUDIT = Prepared(insert_into(audit, "sequence"))
SELECT_AUDIT = (
    select(audit)
    .where(or_(bindparam("subject") == "", audit.c.subject == bindparam("subject")))
    .order_by(audit.c.sequence.desc())
    .limit(bindparam("size"))
)
