"""Archives of plain files and folders are unpacked as they are; everything else is one clear error and leaves nothing."""

import gzip
import os
import stat
import struct
import subprocess
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from archives.archive_files import FILES, member, snapshot, tar, tar_gz_of, tar_of, zip_member, zip_of

from gradwire.services.archives import ArchiveError, Limits, extract

LONG = {f"{'d' * 60}/{'e' * 60}/{'f' * 100}.py": b"long"}
HONEST = {
    "ustar": tar_of(FILES, tarfile.USTAR_FORMAT),
    "gnu": tar_of({**FILES, **LONG}, tarfile.GNU_FORMAT),
    "pax": tar_of({**FILES, **LONG}, tarfile.PAX_FORMAT),
    "gz": tar_gz_of(FILES),
    "stored": zip_of(FILES, zipfile.ZIP_STORED),
    "deflated": zip_of({**FILES, **LONG}),
    "streamed": zip_of(FILES, streamed=True),
    "streamed and stored": zip_of(FILES, zipfile.ZIP_STORED, streamed=True),
}


def unpack(tmp_path: Path, archive: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    """The files that `extract` leaves, read back; what it answers must be just those."""
    place = tmp_path / "archive"
    place.write_bytes(archive)
    target = tmp_path / "target"
    told = extract(place, target, limits or Limits())
    found = {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if not p.is_dir()}
    assert {f.path: f.size for f in told} == {name: len(body) for name, body in found.items()}
    assert [f.path for f in told] == sorted(found)
    return found


@pytest.mark.parametrize("name", HONEST)
def test_honest_archives_of_every_kind_come_out_as_they_went_in(tmp_path: Path, name: str) -> None:
    found = unpack(tmp_path, HONEST[name])
    assert {k: v for k, v in found.items() if k not in LONG} == FILES
    assert {k: v for k, v in found.items() if k in LONG} in ({}, LONG)


def test_what_the_tools_of_unix_write_is_read(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / "empty folder").mkdir()
    for form in ("gnu", "pax", "ustar"):
        made = tmp_path / f"{form}.tgz"
        subprocess.run(["tar", f"--format={form}", "-czf", made, "-C", source, "."], check=True)
        extract(made, tmp_path / form)
        assert (tmp_path / form / "empty folder").is_dir()
        assert {k: v[1] for k, v in snapshot(tmp_path / form).items()} == {
            k: v[1] for k, v in snapshot(source).items()
        }


def test_modes_owners_and_times_of_the_archive_are_not_taken(tmp_path: Path) -> None:
    old = {"mtime": 1, "uid": 12, "gid": 13, "uname": "root"}
    members = [
        member("bin", kind=tarfile.DIRTYPE, mode=0o2777, **old),
        member("bin/tool", b"#!", mode=0o6755, **old),
        member("read-only", mode=0, **old),
    ]
    unpack(tmp_path, tar(members))
    target = tmp_path / "target"
    modes = {p.name: stat.S_IMODE(p.lstat().st_mode) for p in (target, *target.rglob("*"))}
    assert modes == {"target": 0o700, "bin": 0o700, "tool": 0o600, "read-only": 0o600}
    assert all(p.lstat().st_uid == os.getuid() and p.lstat().st_mtime > 1e9 for p in target.rglob("*"))


def test_a_leading_dot_and_the_root_itself_mean_nothing(tmp_path: Path) -> None:
    members = [member(".", kind=tarfile.DIRTYPE), member("./", kind=tarfile.DIRTYPE), member("./a/./b")]
    with pytest.raises(ArchiveError, match=r"'\.\.' part"):
        unpack(tmp_path, tar(members))
    assert unpack(tmp_path, tar([*members[:2], member("./a/b"), member("././c")])) == {"a/b": b"x", "c": b"x"}


LINK = {"linkname": "/etc/passwd"}
HOSTILE: dict[str, tuple[bytes, str]] = {
    "absolute": (tar([member("/etc/cron.d/x")]), "is not relative"),
    "parent": (tar([member("../x")]), "'..' part"),
    "parent within": (tar([member("a/../../x")]), "'..' part"),
    "drive": (tar([member("c:/x")]), "is not relative"),
    "backslash": (tar([member("..\\x")]), "characters that paths must not have"),
    "control": (tar([member("a\x1b[2Jb")]), "characters that paths must not have"),
    "symbolic link": (tar([member("a", kind=tarfile.SYMTYPE, **LINK)]), "symbolic link"),
    "link, then through it": (
        tar([member("a", kind=tarfile.SYMTYPE, linkname="/tmp"), member("a/x")]),
        "symbolic link",
    ),
    "hard link": (tar([member("a"), member("b", kind=tarfile.LNKTYPE, linkname="a")]), "hard link"),
    "hard link out": (tar([member("a", kind=tarfile.LNKTYPE, **LINK)]), "hard link"),
    "long link": (
        tar([member("a", kind=tarfile.SYMTYPE, linkname="b/" * 200)], tarfile.GNU_FORMAT),
        "is a link",
    ),
    "pax link": (tar([member("a", kind=tarfile.SYMTYPE, linkname="b/" * 200)]), "link"),
    "device": (tar([member("a", kind=tarfile.CHRTYPE)]), "device"),
    "block device": (tar([member("a", kind=tarfile.BLKTYPE)]), "device"),
    "pipe": (tar([member("a", kind=tarfile.FIFOTYPE)]), "named pipe"),
    "contiguous": (tar([member("a", kind=tarfile.CONTTYPE)]), "of the kind b'7'"),
    "sparse": (tar([member("a", kind=tarfile.GNUTYPE_SPARSE)]), "sparse"),
    "pax sparse": (tar([member("a", pax_headers={"GNU.sparse.major": "1"})]), "sparse"),
    "twice": (tar([member("a"), member("a")]), "is there twice"),
    "folder twice": (tar([member("a", kind=tarfile.DIRTYPE)] * 2), "is there twice"),
    "case": (tar([member("Job.py"), member("job.py")]), "ignore case"),
    "case of folders": (tar([member("A/x"), member("a/y")]), "ignore case"),
    "sharp s": (tar([member("stra\u00dfe"), member("STRASSE")]), "ignore case"),
    "unicode forms": (tar([member("caf\u00e9"), member("cafe\u0301")]), "ignore case"),
    "file and folder": (tar([member("a"), member("a/b")]), "both a file and a folder"),
    "folder and file": (tar([member("a/b"), member("a")]), "both a file and a folder"),
    "file and folder of another case": (tar([member("A"), member("a/b")]), "ignore case"),
    "long path": (tar([member("a/" * 121 + "b")]), "characters long"),
    "long part": (tar([member("\u540d" * 100)]), "more than 255 bytes"),
    "deep": (tar([member("a/" * 40 + "b")]), "more than 32 folders deep"),
    "global path": (tar([member("a")], pax={"path": "b"}), "for all of its members"),
    "two sizes": (tar([member("a", b"12345", pax_headers={"size": "3"})]), "two sizes"),
    "no text": (tar([member("a", pax_headers={"path": "b\udcff"})]), "not UTF-8"),
    "folder with bytes": (tar([member("a")]).replace(b"\x00 0\x00", b"\x00 5\x00"), "damaged"),
    "empty tar": (bytes(10240), "holds no files"),
    "folders alone": (tar([member("a", kind=tarfile.DIRTYPE)]), "holds no files"),
    "empty file": (b"", "cut short"),
    "text": (b"print('hello')\n" * 100, "no tar archive"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(600), "Zstandard"),
    "bzip2": (b"BZh9" + bytes(600), "bzip2"),
    "cut tar": (tar_of(FILES)[:3000], "cut short"),
    "tar without its end": (tar([member("a")])[:1024], "cut short"),
    "tar and more": (tar([member("a")]) + b"more", "bytes after its end"),
    "tar and a tar": (tar([member("a")]) * 2, "bytes after its end"),
    "cut gzip": (tar_gz_of(FILES)[:-4], "cut short"),
    "cut gzip early": (tar_gz_of(FILES)[:60], "cut short"),
    "gzip and more": (tar_gz_of(FILES) + b"more", "bytes after the end of its gzip"),
    "two gzips": (tar_gz_of(FILES) * 2, "bytes after the end of its gzip"),
    "gzip of a wrong sum": (tar_gz_of(FILES)[:-8] + bytes(8), "damaged gzip data"),
    "zip absolute": (zip_member("/x"), "is not relative"),
    "zip parent": (zip_member("a/../../x"), "'..' part"),
    "zip backslash": (zip_member("..\\x"), "characters that paths must not have"),
    "zip link": (zip_member("a", b"/etc/passwd", stat.S_IFLNK | 0o777), "symbolic link"),
    "zip device": (zip_member("a", b"", stat.S_IFCHR | 0o777), "no plain file"),
    "zip folder that is a file": (zip_member("a/", b"", stat.S_IFREG), "no plain file"),
    "zip folder with bytes": (zip_member("a/", b"xyz", 0), "bytes of its own"),
    "zip twice": (zip_of({"a": b"", "b": b""}).replace(b"b", b"a"), "is there twice"),
    "zip case": (zip_of({"a": b"", "A": b""}), "ignore case"),
    "zip encrypted": (zip_of({"a": b"x"}).replace(b"\x14\0\0\0", b"\x14\0\1\0"), "encrypted"),
    "zip of another method": (zip_of({"a": b"x" * 99}, zipfile.ZIP_LZMA), "packed by method 14"),
    "zip and more": (zip_of(FILES) + b"more", "bytes after its end"),
    "zip after something": (b"PK\x03\x04" + zip_of(FILES), "not where its end says"),
    "cut zip": (zip_of(FILES)[:-30], "directory at its end is missing"),
    "empty zip": (zip_of({}), "holds no files"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_plain_is_refused_with_a_reason_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    archive, reason = HOSTILE[name]
    (tmp_path / "archive").write_bytes(archive)
    before = snapshot(tmp_path)
    with pytest.raises(ArchiveError, match=reason):
        extract(tmp_path / "archive", tmp_path / "target")
    assert snapshot(tmp_path) == before


def test_a_size_that_is_negative_or_no_number_ends_the_reading(tmp_path: Path) -> None:
    # CVE-2025-8194: tarfile went backwards for ever.
    for field in (b"\xff" * 12, b"-0000000001\0", b"\x80" + b"\xff" * 11, b"9999999999 \0"):
        header = bytearray(tar([member("a")])[:512])
        header[124:136] = field
        header[148:156] = b"        "
        header[148:156] = b"%06o\0 " % sum(header)
        with pytest.raises(ArchiveError, match=r"no number|a file may have|cut short"):
            unpack(tmp_path, bytes(header) + bytes(2048))


def test_a_folder_in_the_place_of_a_link_is_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "archive").write_bytes(tar_of(FILES))
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "linked archive").symlink_to(tmp_path / "archive")
    with pytest.raises(OSError):
        extract(tmp_path / "linked archive", tmp_path / "target")
    with pytest.raises(OSError):
        extract(tmp_path / "archive", tmp_path / "link")
    assert not list(outside.iterdir())


def overlapping_zip() -> bytes:
    """Two members of the directory with the same bytes: what makes a small archive a large folder."""
    one = zip_of({"a": b"x" * 1000}, zipfile.ZIP_STORED)
    central_at = one.index(b"PK\x01\x02")
    end_at = one.index(b"PK\x05\x06")
    central = one[central_at:end_at]
    both = central + central.replace(b"a", b"b", 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(both), central_at, 0)
    return one[:central_at] + both + end


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="overlaps"):
        unpack(tmp_path, overlapping_zip())


def test_a_zip_whose_headers_disagree_is_refused(tmp_path: Path) -> None:
    honest = zip_of({"name": b"x" * 100})
    for old, new in ((b"name", b"eman"), (b"\x14\0\0\0\x08\0", b"\x14\0\0\0\0\0")):
        with pytest.raises(ArchiveError):
            unpack(tmp_path, honest.replace(old, new, 1))
    long_size = zip_of({"name": b"x" * 100}, zipfile.ZIP_STORED)
    for at in (long_size.index(b"PK\x01\x02") + 24, long_size.index(b"PK\x03\x04") + 22):
        with pytest.raises(ArchiveError):
            unpack(tmp_path, long_size[:at] + struct.pack("<L", 101) + long_size[at + 4 :])
        with pytest.raises(ArchiveError):
            unpack(tmp_path, long_size[:at] + b"\xff" * 4 + long_size[at + 4 :])


@pytest.mark.parametrize("pack", [tar_of, tar_gz_of, zip_of], ids=["tar", "gz", "zip"])
def test_each_limit_is_held(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    small = Limits(archive_bytes=100_000, entries=5, file_bytes=1000, total_bytes=2000)
    for files, reason in (
        ({"a": b"x" * 1001}, "a file may have 1000"),
        ({"a": b"x" * 1000, "b": b"y" * 1000, "c": b"z"}, "more than 2000 bytes"),
        ({f"{k}": b"" for k in range(6)}, "more than 5 files and folders"),
        ({"a/b/c/d/e/f": b""}, "more than 5 files and folders"),
    ):
        with pytest.raises(ArchiveError, match=reason):
            unpack(tmp_path, pack(files), small)
    assert len(unpack(tmp_path, pack({"a/b/c": b"x" * 1000, "d": b"y" * 1000}), small)) == 2
    with pytest.raises(ArchiveError, match="an archive may have"):
        extract(tmp_path / "archive", tmp_path / "more", Limits(archive_bytes=50))
    with pytest.raises(ArchiveError, match="takes longer"):
        extract(tmp_path / "archive", tmp_path / "more", Limits(seconds=0.0))
    assert not (tmp_path / "more").exists()


def zip_bomb() -> bytes:
    return zip_of({"a": bytes(60_000_000)})


def gzip_bomb() -> bytes:
    return gzip.compress(tar_of({"a": bytes(60_000_000)}))


def padding_bomb() -> bytes:
    return gzip.compress(tar_of({"a": b"x"}) + bytes(60_000_000))


def header_bomb() -> bytes:
    """An extended header of 60 MB, which others read whole."""
    header = bytearray(tar([member("a", kind=tarfile.XHDTYPE)])[:512])
    header[124:136] = b"%011o\0" % 60_000_000
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(60_000_512))


@pytest.mark.parametrize("bomb", [zip_bomb, gzip_bomb, padding_bomb, header_bomb])
def test_a_bomb_is_told_before_it_fills_memory_or_disk(tmp_path: Path, bomb: object) -> None:
    assert callable(bomb)
    body = bomb()
    assert len(body) < 100_000
    (tmp_path / "archive").write_bytes(body)
    began = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"200 times its size|extended header"):
            extract(tmp_path / "archive", tmp_path / "target")
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 20
    assert os.listdir(tmp_path) == ["archive"]


def test_a_folder_that_can_not_be_made_is_no_error_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(tar_of(FILES))
    with pytest.raises(FileNotFoundError):
        extract(tmp_path / "archive", tmp_path / "no folder" / "target")
