"""Mutated and made-up archives: whatever comes, nothing outside the target is written, and what fails is one kind of error."""

import gzip
import io
import stat
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
from archives.archive_files import member, snapshot, tar, tar_of, zip_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradwire.services.archives import ArchiveError, Limits, extract

LIMITS = Limits(archive_bytes=2_000_000, entries=60, file_bytes=900_000, total_bytes=1_000_000, seconds=5.0)
SECONDS = 6.0
SHORT = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(SHORT, max_examples=60_000, derandomize=False)

FILES = {"job.py": b"pass\n" * 9, "pkg/__init__.py": b"", "caf\u00e9/x": bytes(700)}
SEEDS = [
    tar_of(FILES, tarfile.USTAR_FORMAT),
    tar_of({"a/" * 60 + "b": b"x", **FILES}, tarfile.GNU_FORMAT),
    tar_of({"a/" * 60 + "b": b"x", **FILES}, tarfile.PAX_FORMAT),
    zip_of({"a": b"x", "b/c": b"yy" * 50}),
    zip_of({"a": b"x", "b/c": b"yy" * 50}, zipfile.ZIP_STORED),
    zip_of({"a": b"x", "b/c": b"yy" * 50}, streamed=True),
]
SEEDS += [gzip.compress(seed, 1, mtime=0) for seed in SEEDS[:3]]
WORDS = [
    b"..",
    b"/",
    b"../../../x",
    b"\0",
    b"\\",
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"ustar",
    b"\xff" * 4,
    b"\x80" + b"\xff" * 11,
    b"9" * 12,
    b"30 path=../../../outside/x\n",
    b"20 linkpath=/etc/x\n",
    b"1",
    b"2",
    b"5",
    b"L",
    b"x",
    bytes(512),
]


def examine(archive: bytes) -> bool:
    """Unpacks it between things that must stay as they are; True where it was taken."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "outside").mkdir()
        (place / "outside" / "x").write_bytes(b"kept")
        (place / "home").mkdir()
        (place / "home" / "archive").write_bytes(archive)
        before = snapshot(place)
        target = place / "home" / "target"
        began = time.monotonic()
        taken = True
        try:
            told = extract(place / "home" / "archive", target, LIMITS)
        except ArchiveError as error:
            assert str(error).isprintable()
            taken = False
        assert time.monotonic() - began < SECONDS
        after = snapshot(place)
        inside = {key: after.pop(key) for key in list(after) if key.startswith("home/target")}
        assert after == before
        if not taken:
            assert not inside
            return False
        assert inside.pop("home/target")[0] == stat.S_IFDIR | 0o700
        files = {}
        for key, (mode, body) in inside.items():
            assert mode in (stat.S_IFREG | 0o600, stat.S_IFDIR | 0o700), (key, oct(mode))
            if stat.S_ISREG(mode):
                files[key.removeprefix("home/target/")] = len(body)
        assert files == {each.path: each.size for each in told}
        assert 0 < len(inside) <= LIMITS.entries
        assert sum(files.values()) <= LIMITS.total_bytes
        return True


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An honest archive with a few changes: bytes, runs removed or doubled, words put in."""
    body = draw(st.sampled_from(SEEDS))
    packed = body.startswith(b"\x1f\x8b") and draw(st.booleans())
    if packed:
        # Under its gzip, or the sum there would refuse every change.
        body = gzip.decompress(body)
    for _ in range(draw(st.integers(1, 4))):
        # Headers are at the beginning and the end; the bytes between them matter less.
        span = draw(st.sampled_from([120, 1024, 4096, len(body)]))
        at = draw(st.integers(0, min(span, len(body))))
        if draw(st.booleans()):
            at = len(body) - at
        length = draw(st.sampled_from([1, 2, 4, 12, 100, 512]))
        match draw(st.sampled_from(["set", "remove", "double", "word", "cut"])):
            case "set":
                body = body[:at] + draw(st.binary(min_size=1, max_size=4)) + body[at + 4 :]
            case "remove":
                body = body[:at] + body[at + length :]
            case "double":
                body = body[:at] + body[at : at + length] * 2 + body[at + length :]
            case "word":
                word = draw(st.sampled_from(WORDS))
                body = body[:at] + word + body[at + len(word) :]
            case "cut":
                body = body[:at]
    return gzip.compress(body, 1, mtime=0) if packed else _with_sums(body, draw(st.booleans()))


def _with_sums(body: bytes, wanted: bool) -> bytes:
    """The sums of a tar's headers made right again, so that what a change did to them is looked at."""
    if not wanted or b"ustar" not in body[:512]:
        return body
    mended = bytearray(body)
    for at in range(0, len(body) - 511, 512):
        if body[at + 257 : at + 262] == b"ustar":
            mended[at + 148 : at + 156] = b"        "
            mended[at + 148 : at + 156] = b"%06o\0 " % sum(mended[at : at + 512])
    return bytes(mended)


PARTS = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "..",
        ".",
        "",
        "\u00e9",
        "e\u0301",
        "\u00df",
        "ss",
        "x" * 130,
        "\u540d" * 90,
        "c:",
        "~",
        "-rf",
        "\\",
        "\n",
    ]
)
ODD_NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join) | st.text(max_size=12) | st.just("a/" * 140)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Mostly one that is taken, so that the odd ones stand among members that are unpacked."""
    if draw(st.integers(0, 9)) == 9:
        return draw(ODD_NAMES)
    folders = draw(st.lists(st.sampled_from(["pkg", "sub", "\u00fc"]), max_size=3))
    return "/".join([*folders, f"f{draw(st.integers(0, 10_000))}.py"])


NAMES = names()
KINDS = st.integers(0, 19).flatmap(
    lambda n: st.sampled_from([*tarfile.SUPPORTED_TYPES, b"Z"]) if n == 19 else st.just(tarfile.REGTYPE)
)
PAX = st.dictionaries(
    st.sampled_from(["path", "linkpath", "size", "hdrcharset", "GNU.sparse.map", "comment", "mtime"]),
    ODD_NAMES | st.sampled_from(["0", "-1", "9" * 30, "BINARY"]),
    max_size=2,
)


@st.composite
def made_up_tars(draw: st.DrawFn) -> bytes:
    """Headers that no honest tool writes, in any order."""
    members = []
    for _ in range(draw(st.integers(1, 4))):
        fields = {
            "linkname": draw(NAMES).replace("\0", ""),
            "mode": draw(st.sampled_from([0, 0o644, 0o7777])),
        }
        if draw(st.integers(0, 9)) == 9:
            fields["pax_headers"] = draw(PAX)
        info, content = member(draw(NAMES), draw(st.binary(max_size=600)), draw(KINDS), **fields)
        members.append((info, content))
    form = draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    try:
        body = tar(members, form)
    except (ValueError, OSError, UnicodeError):
        body = bytes(1024)
    return gzip.compress(body, 1, mtime=0) if draw(st.booleans()) else body


@st.composite
def made_up_zips(draw: st.DrawFn) -> bytes:
    """Names and modes that no honest tool writes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for _ in range(draw(st.integers(1, 4))):
            info = zipfile.ZipInfo("x")
            info.filename = draw(NAMES)
            info.create_system = draw(st.sampled_from([0, 3]))
            info.external_attr = draw(st.sampled_from([0, *[0o100644] * 9, 0o120777, 0o40755, 0o20666])) << 16
            info.extra = draw(st.sampled_from([*[b""] * 6, b"\x01\x00\x10\x00" + b"\xff" * 16, b"\x01"]))
            info.comment = draw(st.sampled_from([b"", b"PK\x05\x06"]))
            try:
                archive.writestr(info, draw(st.binary(max_size=300)), draw(st.sampled_from([0, 8])))
            except (ValueError, UnicodeError):
                pass
    return out.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
class TestShort:
    """A fixed few hundred, on every run."""

    @SHORT
    @given(mutated())
    def test_mutated_archives_do_no_harm(self, archive: bytes) -> None:
        examine(archive)

    @SHORT
    @given(made_up_tars())
    def test_made_up_tars_do_no_harm(self, archive: bytes) -> None:
        examine(archive)

    @SHORT
    @given(made_up_zips())
    def test_made_up_zips_do_no_harm(self, archive: bytes) -> None:
        examine(archive)

    @SHORT
    @given(st.binary(max_size=700))
    def test_bytes_of_no_meaning_do_no_harm(self, archive: bytes) -> None:
        assert not examine(archive)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:Duplicate name")
class TestLong:
    """New ones each time."""

    @LONG
    @given(mutated())
    def test_mutated_archives_do_no_harm(self, archive: bytes) -> None:
        examine(archive)

    @LONG
    @given(made_up_tars() | made_up_zips())
    def test_made_up_archives_do_no_harm(self, archive: bytes) -> None:
        examine(archive)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_made_up_ones_are_taken_and_refused_often_enough() -> None:
    """A fuzz that is always refused at the first byte shows nothing."""
    taken = {True: 0, False: 0}

    @settings(SHORT, max_examples=200)
    @given(mutated() | made_up_tars() | made_up_zips())
    def look(archive: bytes) -> None:
        taken[examine(archive)] += 1

    look()
    assert min(taken.values()) > 20, taken
