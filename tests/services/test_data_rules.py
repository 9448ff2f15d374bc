"""Which data a service lets jobs name: by scheme, below its folders, links followed; every wrong one is told at once."""

import glob
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_harness import spec

from gradwire.data.sources import named
from gradwire.services.data_rules import DataRules
from gradwire.services.errors import InvalidRequestError
from gradwire.services.launcher import Capacity, Launch
from gradwire.services.validation import checked_spec

SHA = "0123456789abcdef" * 4
ELSEWHERE = "not below one of the folders that this service reads data from (serve --data-root)"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    (made / "sub").mkdir(parents=True)
    (tmp_path / "data-of-others").mkdir()
    for path in (
        made / "a.npz",
        made / "sub" / "b.npz",
        tmp_path / "secret.npz",
        tmp_path / "data-of-others" / "x.npz",
    ):
        path.write_bytes(b"")
    (made / "link.npz").symlink_to(tmp_path / "secret.npz")
    (made / "folder").symlink_to(tmp_path)
    (made / "sub" / "inside.npz").symlink_to(made / "a.npz")
    return made


def said(rules: DataRules, url: str) -> str:
    found = rules.violations({"train_data": url}, lambda sha256: sha256 == SHA)
    assert len(found) <= 1
    assert all(violation.field == "spec.data['train_data']" for violation in found)
    return found[0].description if found else ""


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/train-*.parquet",
        "gs://bucket/a.npy",
        "https://host/a.npz?signature=x#columns=x,y",
        "http://127.0.0.1:8000/a.bin#jsonl",
        f"blob:{SHA}#npz",
        "file://{root}/a.npz",
        "file://{root}/none-yet.npz",
        "file://{root}/*.jsonl",
        "file://{root}/sub/*.npz",
        "file://{root}/sub/../a.npz#columns=x",
        "file://{root}/sub/inside.npz",
    ],
)
def test_what_is_taken(root: Path, url: str) -> None:
    assert said(DataRules([root.parent / "none", root]), url.format(root=root)) == ""


@pytest.mark.parametrize(
    "url, message",
    [
        ("", "expected a URL of 1 to 4096 printable characters"),
        ("s3://bucket/" + "x" * 4096 + ".npy", "expected a URL of 1 to 4096 printable characters"),
        ("s3://bucket/\n.npy", "expected a URL of 1 to 4096 printable characters"),
        ("data/a.npz", "a path of your machine, which the service does not see"),
        ("/etc/a.npz", "a path of your machine, which the service does not see"),
        ("ftp://host/a.npz", "expected one of the schemes file, blob, http"),
        ("memory://a.npz", "expected one of the schemes file, blob, http"),
        ("github://a:b@/a.npz", "a password is not kept with a job"),
        ("https:a.npz", "expected one of the schemes file, blob, http"),
        ("simplecache::file:///etc/a.npz", "chained URLs are not taken"),
        ("s3::file:///etc/a.npz", "chained URLs are not taken"),
        ("https://ann:pa55w0rd@host/a.npz", "https://***@host/a.npz: a password is not kept with a job"),
        ("https://host/a", "the name tells no format: end it with #npz"),
        ("https://host/a.npz#csv", "#csv is no format"),
        (f"blob:{SHA}", "expected blob:SHA256#FORMAT"),
        (f"blob:{'f' * 64}#npz", "you have uploaded no blob of this sha256"),
        (f"blob:{SHA}/../x#npz", "expected blob:SHA256#FORMAT"),
        ("file:/etc/a.npz", "expected file:/// and a whole path"),
        ("file://a.npz", "expected file:/// and a whole path"),
        ("file://~/a.npz", "expected file:/// and a whole path"),
        ("file:///etc/a.npz", ELSEWHERE),
        ("file://{root}/../secret.npz", ELSEWHERE),
        ("file://{root}/../data-of-others/x.npz", ELSEWHERE),
        ("file://{root}-of-others/x.npz", ELSEWHERE),
        ("file://{root}*/x.npz", ELSEWHERE),
        ("file://{root}/link.npz", ELSEWHERE),
        ("file://{root}/folder/secret.npz", ELSEWHERE),
        ("file://{root}/fold*/secret.npz", ELSEWHERE),
        ("file://{root}/l[i]nk.npz", ELSEWHERE),
        ("file://{root}/**/secret.npz", ELSEWHERE),
    ],
)
def test_what_is_refused(root: Path, url: str, message: str) -> None:
    url = url.replace("{root}", str(root))
    found = said(DataRules([root]), url)
    assert message in (found or "it was taken")
    assert "pa55w0rd" not in found


def test_a_service_without_folders_reads_no_file(root: Path) -> None:
    assert ELSEWHERE in said(DataRules(), f"file://{root}/a.npz")
    assert said(DataRules(), "s3://bucket/a.npz") == ""


def test_one_s_own_machine_reads_everything(root: Path) -> None:
    for url in (
        f"file://{root}/link.npz",
        "/etc/a.npz",
        "ftp://ann:b@host/a.npz",
        "simplecache::https://h/a.npz",
    ):
        assert said(DataRules(None), url) == ""
    assert "tells no format" in said(DataRules(None), "/etc/a")


def test_a_folder_behind_a_link_is_the_folder_it_leads_to(root: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(root)
    rules = DataRules([tmp_path / "way"])
    assert said(rules, f"file://{tmp_path}/way/a.npz") == said(rules, f"file://{root}/a.npz") == ""


def test_every_wrong_entry_is_named_with_every_other_wrong_field() -> None:
    data = {"train_data": "x.npz", "eval data": "s3://bucket/a.npz", "eval_data": "ftp://x/a.npz"}
    with pytest.raises(InvalidRequestError) as caught:
        checked_spec(replace(spec(), data=data, workers=99), "", Capacity(cpu=8, cuda=0))
    assert [violation.field for violation in caught.value.violations] == [
        "spec.workers",
        "spec.data['train_data']",
        "spec.data",
        "spec.data['eval_data']",
    ]
    many = {f"data{i}": "s3://bucket/a.npz" for i in range(17)}
    with pytest.raises(InvalidRequestError, match="expected at most 16 entries, got 17"):
        checked_spec(replace(spec(), data=many), "", Capacity(cpu=8, cuda=0))


def test_blobs_lie_in_the_home_of_a_job_s_folder(tmp_path: Path) -> None:
    launch = Launch("j", 1, tmp_path / "home" / "jobs" / "j", "job.py", {}, 1, 8, "cpu", 1)
    assert launch.blobs == tmp_path / "home" / "blobs"


PIECES = (
    "",
    "file:",
    "file://",
    "file:///",
    "..",
    "/",
    "link.npz",
    "folder",
    "sub",
    "a.npz",
    "*",
    "**",
    "?",
    "[a",
    "[!z-a]*",
    "~",
    "%2e%2e",
)
PIECES += (
    "#npz",
    "#",
    "&columns=x",
    "::",
    "@",
    ":",
    "s3://",
    "https://h/",
    "blob:",
    SHA,
    ".npy",
    "é",
    " ",
    "x" * 300,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from([*PIECES, "{root}"]), min_size=1, max_size=8))
def test_no_url_escapes_the_folders_or_breaks_the_rules(root: Path, parts: list[str]) -> None:
    url = "".join(parts).replace("{root}", str(root))
    if said(DataRules([root]), url):
        return
    location = named(url).location
    if location.startswith(("file:", "local:")):
        found = glob.glob(location.partition("://")[2], recursive=True) or [location.partition("://")[2]]
        assert all(Path(os.path.realpath(each)).is_relative_to(root) for each in found)
    else:
        assert location.startswith(("s3://", "https://", "blob:"))
