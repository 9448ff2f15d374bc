"""The file by which the service asks a job's own process for something."""

import threading
from pathlib import Path

from gradwire.services.commands import Command, Commands, CommandWriter, Pause, Resize, Update


def test_each_command_comes_once_and_in_order(tmp_path: Path) -> None:
    commands, writer = Commands(tmp_path / "c"), CommandWriter(tmp_path / "c")
    assert commands.poll() == []
    sent: list[Command] = [Resize(3), Pause(), Update({"lr": 0.1}, 1)]
    for command in sent:
        writer.write(command)
    assert commands.poll() == sent
    assert commands.poll() == []
    assert Commands(tmp_path / "c").poll() == sent


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "c").write_text('{"kind": "Resize", "wor')
    commands = Commands(tmp_path / "c")
    assert commands.poll() == []
    with open(tmp_path / "c", "a") as out:
        out.write('kers": 3}\n')
    assert commands.poll() == [Resize(3)]


def test_an_update_that_a_restarted_service_repeats_comes_once(tmp_path: Path) -> None:
    commands, writer = Commands(tmp_path / "c"), CommandWriter(tmp_path / "c")
    for number in (1, 1, 2, 1):
        writer.write(Update({"lr": 0.1}, number))
    assert commands.poll() == [Update({"lr": 0.1}, 1), Update({"lr": 0.1}, 2)]


def test_who_iterates_gets_what_comes_later(tmp_path: Path) -> None:
    commands, writer = Commands(tmp_path / "c"), CommandWriter(tmp_path / "c")
    timer = threading.Timer(0.05, lambda: writer.write(Resize(2)))
    timer.start()
    assert next(iter(commands)) == Resize(2)
    timer.join()
