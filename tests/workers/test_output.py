from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = """
    import os, subprocess, sys
    from gradwire.workers.output import OutputCapture
    told = []
    capture = OutputCapture(lambda stream, text: told.append((stream, text)))
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
    out = ["one", "two", "three", "from C", "from a child", "\ufffd broken", "no end"]
    expected = [*(("stdout", text) for text in out)]
    lines = eval(told.read_text())
    assert sorted(lines) == sorted([*expected, ("stderr", "on the way")])
    assert [text for stream, text in lines if stream == "stdout" and text in ("one", "two", "three")] == [
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
        capture = OutputCapture(lambda stream, text: sizes.append(len(text)))
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
        capture = OutputCapture(lambda stream, text: None)
        capture.start()
        child = subprocess.Popen(["sleep", "20"])
        start = time.monotonic()
        capture.stop(timeout_s=0.2)
        assert time.monotonic() - start < 5
        child.kill()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=15)
