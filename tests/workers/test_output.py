from __future__ import annotations

import subprocess
import sys
import textwrap

from hypothesis import given, settings
from hypothesis import strategies as st

from gradwire.workers.output import LINE_LIMIT, LineSplitter, RankedOutput, written
from gradwire.workers.reports import LogLine

PROGRAM = """
    import os, subprocess, sys
    from gradwire.workers.output import OutputCapture
    told = []
    capture = OutputCapture(lambda stream, text, end: told.append((stream, text, end)))
    print("before")
    capture.start()
    print("one"); print("two\\nthree")
    os.write(1, b"from C\\n")
    subprocess.run(["echo", "from a child"])
    print("on the way", file=sys.stderr)
    sys.stdout.buffer.write(b"\\xff broken\\r\\n")
    sys.stdout.write("no end")
    assert sys.stdout.fileno() == 1
    capture.stop()
    print("after")
    print(sorted(told, key=lambda t: t[0], reverse=False), file=open(sys.argv[1], "w"))
"""


def test_every_printed_line_is_told_and_still_goes_where_it_went(tmp_path) -> None:  # type: ignore[no-untyped-def]
    told = tmp_path / "told"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(told)], capture_output=True, check=True
    )
    out = [*((text, "\n") for text in ("one", "two", "three", "from C", "from a child"))]
    out += [("\udcff broken", "\r\n"), ("no end", "")]
    lines = eval(told.read_text())
    assert sorted(lines) == sorted([*(("stdout", *line) for line in out), ("stderr", "on the way", "\n")])
    assert [text for stream, text, _ in lines if stream == "stdout" and text in ("one", "two", "three")] == [
        "one",
        "two",
        "three",
    ]
    assert done.stdout == b"before\none\ntwo\nthree\nfrom C\nfrom a child\n\xff broken\r\nno endafter\n"
    assert done.stderr == b"on the way\n"


def test_a_line_without_an_end_is_told_in_parts(tmp_path) -> None:  # type: ignore[no-untyped-def]
    program = """
        import os, sys
        from gradwire.workers.output import LINE_LIMIT, OutputCapture
        sizes = []
        capture = OutputCapture(lambda stream, text, end: sizes.append(len(text)))
        capture.start()
        sys.stdout.write("x" * (3 * LINE_LIMIT + 5))
        capture.stop()
        assert sum(sizes) == 3 * LINE_LIMIT + 5 and max(sizes) <= LINE_LIMIT, sizes
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, stdout=subprocess.DEVNULL)


def test_a_child_that_keeps_the_output_open_is_not_waited_for() -> None:
    program = """
        import subprocess, time
        from gradwire.workers.output import OutputCapture
        capture = OutputCapture(lambda stream, text, end: None)
        capture.start()
        child = subprocess.Popen(["sleep", "20"])
        start = time.monotonic()
        capture.stop(timeout_s=0.2)
        assert time.monotonic() - start < 5
        child.kill()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=15)


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([b"\r\n", b"\n", b"\r", "é€".encode(), b"\xff"]), max_size=12
    )
)
def test_no_byte_is_lost_however_it_comes(chunks: list[bytes]) -> None:
    lines: list[tuple[str, str]] = []
    splitter = LineSplitter(lambda text, end: lines.append((text, end)))
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.end()
    whole = b"".join(chunks)
    assert b"".join(written(text, end) for text, end in lines) == whole
    assert [text for text, end in lines] == [
        line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        if k < whole.count(b"\n")
        else line.decode("utf-8", "surrogateescape")
        for k, line in enumerate(whole.split(b"\n"))
        if line or k < whole.count(b"\n")
    ]


def test_a_long_line_is_cut_between_characters() -> None:
    lines: list[tuple[str, str]] = []
    splitter = LineSplitter(lambda text, end: lines.append((text, end)))
    splitter.feed("€".encode() * LINE_LIMIT)
    splitter.feed(b"\n")
    assert "".join(text for text, _ in lines) == "€" * LINE_LIMIT
    assert [end for _, end in lines] == ["", "", "", "\n"]


def test_lines_are_those_of_the_rank_that_a_member_has_and_early_ones_wait_for_it() -> None:
    told: list[tuple[int, str]] = []
    output = RankedOutput(lambda line: told.append((line.rank, line.text)), 2)
    output.take(1, LogLine(1, "stdout", "a"))
    output.take(2, LogLine(2, "stdout", "early"))
    output.take(7, LogLine(7, "stdout", "never"))
    output.place(2, 1)
    output.place(1, 0)
    output.take(2, LogLine(2, "stdout", "b"))
    output.take(1, LogLine(1, "stdout", "c"))
    output.end()
    assert told == [(1, "a"), (1, "early"), (1, "b"), (0, "c"), (7, "never")]
