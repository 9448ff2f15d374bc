"""Files that a job may have put there are read as what they seem to be, or not at all."""

import os
from pathlib import Path

import pytest

from gradwire.services.checkpoints import list_checkpoints
from gradwire.services.plain_files import open_plain
from gradwire.workers.checkpoint import Checkpoint, write


def test_a_plain_file_is_opened_and_nothing_else(tmp_path: Path) -> None:
    folder, secret = tmp_path / "folder", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(b"secret")
    (folder / "plain").write_bytes(b"plain")
    (folder / "link").symlink_to(secret)
    (folder / "inner").mkdir()
    os.mkfifo(folder / "pipe")
    (tmp_path / "linked").symlink_to(folder)
    with open_plain(folder / "plain") as file:
        assert file.read() == b"plain"
    for path in ("folder/link", "folder/inner", "folder/pipe", "folder/none", "linked/plain"):
        with pytest.raises(OSError):
            open_plain(tmp_path / path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_owner_than_its_folder_s_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "hard").write_bytes(b"root's")
    os.chown(tmp_path, 70000, 70000)
    with pytest.raises(PermissionError):
        open_plain(tmp_path / "hard")


def test_a_checkpoint_behind_a_link_is_not_listed(tmp_path: Path) -> None:
    saved = write(tmp_path / "elsewhere", Checkpoint(3, 0, 3, {}, {}))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / saved.path.name).symlink_to(saved.path)
    assert [each.step for each in list_checkpoints(tmp_path / "elsewhere")] == [3]
    assert list_checkpoints(tmp_path / "checkpoints") == []
