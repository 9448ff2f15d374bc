"""The client for asyncio, against services in processes of their own (one loop of gRPC a process)."""

import asyncio
import inspect
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from serving_harness import ServerProcess, code

from gradwire.services import records as r
from gradwire.services.client import AsyncClient, AsyncRemoteJob, Client, DownloadError, RemoteJob
from gradwire.services.errors import (
    ClosedError,
    EtagError,
    InvalidRequestError,
    JobNotFoundError,
    NoAnswerError,
    UnreachableError,
)
from gradwire.services.states import JobState

Start = Callable[..., ServerProcess]
WITHIN_S = 60


async def until(met: Callable[[], object]) -> None:
    """Asks again until it is so."""
    async with asyncio.timeout(WITHIN_S):
        while not await met():  # type: ignore[misc]
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("awaited", "waiting"), [(AsyncClient, Client), (AsyncRemoteJob, RemoteJob)])
def test_both_clients_have_the_same_names_with_the_same_arguments(awaited: type, waiting: type) -> None:
    def public(face: type) -> dict[str, list[tuple[str, object]]]:
        return {
            name: [
                (p.name, callable(p.default) or p.default)
                for p in inspect.signature(method).parameters.values()
            ]
            for name, method in inspect.getmembers(face, inspect.isfunction)
            if not name.startswith("_")
        }

    assert public(awaited) == public(waiting)


def test_a_job_is_submitted_watched_listed_and_downloaded(serve: Start, tmp_path: Path) -> None:
    server = serve()

    async def run() -> None:
        async with AsyncClient(server.address) as client:
            assert await client.serving()
            job = await client.submit(code(), name="digits", overrides={"steps": "5", "lines": "2"})
            events = [event async for event in job.watch()]
            ended = await job.get()
            assert ended.state == JobState.SUCCEEDED
            assert [event.number for event in events] == list(range(1, ended.last_event + 1))
            assert [each.id async for each in client.jobs([JobState.SUCCEEDED], limit=1)] == [job.id]
            assert [line.text async for line in job.logs()] == [
                f"line {k} of [bold]text[/bold]" for k in range(2)
            ]
            assert (await job.code()).entrypoint == "job.py"
            assert (await job.cancel()).state == JobState.SUCCEEDED
            sizes: list[tuple[int, int]] = []
            checkpoint = await job.download(
                tmp_path / "here", received=lambda got, of: sizes.append((got, of))
            )
            files = {path.name: path.stat().st_size for path in (tmp_path / "here").iterdir()}
            assert files == {file.name: file.size for file in checkpoint.files}
            assert sizes[-1] == (sum(files.values()),) * 2
            with pytest.raises(DownloadError, match="exists already"):
                await job.download(tmp_path / "here")
            with pytest.raises(JobNotFoundError):
                await client.job("nothing").get()
            with pytest.raises(InvalidRequestError) as wrong:
                await client.submit(code(), workers=9, device="tpu")
            assert {each.field for each in wrong.value.violations} == {"spec.workers", "spec.device"}

    asyncio.run(run())


def test_a_job_is_steered(serve: Start) -> None:
    server = serve()

    async def run() -> None:
        async with AsyncClient(server.address) as client:
            job = await client.submit(code(), overrides={"steps": "1000", "step_s": "0.02"})

            async def at(state: JobState) -> bool:
                return (await job.get()).state == state

            await until(lambda: at(JobState.RUNNING))
            assert (await job.update(lr=0.5, labels={"a": "b"})).spec.labels == {"a": "b"}
            assert (await job.resize(2)).wanted_workers == 2
            await job.pause()
            await until(lambda: at(JobState.PAUSED))
            assert (await job.resume()).state == JobState.QUEUED
            await job.cancel()
            assert (await job.wait()).state == JobState.CANCELLED

    asyncio.run(run())


def test_a_watch_survives_kills_of_the_service_and_sees_each_event_once(serve: Start) -> None:
    server = serve()

    async def run() -> tuple[list[r.Event], r.Job, list[Exception]]:
        nonlocal server
        lost: list[Exception] = []
        async with AsyncClient(server.address, retry_for_s=30) as client:
            job = await client.submit(code(), overrides={"steps": "40", "step_s": "0.05"})
            seen: list[r.Event] = []

            async def watch() -> None:
                async for event in job.watch(interrupted=lost.append):
                    seen.append(event)

            async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
                tasks.create_task(watch())
                for steps in (8, 20):
                    while sum(isinstance(event.kind, r.StepFinished) for event in seen) < steps:
                        await asyncio.sleep(0.02)
                    await asyncio.to_thread(server.kill)
                    server = await asyncio.to_thread(serve, server.port)
            return seen, await job.get(), lost

    seen, ended, lost = asyncio.run(run())
    assert ended.state == JobState.SUCCEEDED
    assert [event.number for event in seen] == list(range(1, ended.last_event + 1))
    assert len(lost) >= 2


def test_a_cancelled_task_ends_its_watch_and_leaves_the_client_usable(serve: Start) -> None:
    server = serve()

    async def run() -> None:
        async with AsyncClient(server.address) as client:
            job = await client.submit(code(), overrides={"steps": "1000", "step_s": "0.02"})
            began = asyncio.Event()

            async def watch() -> None:
                async for _ in job.watch():
                    began.set()

            task = asyncio.create_task(watch())
            async with asyncio.timeout(WITHIN_S):
                await began.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await job.wait()
            async for _ in job.watch():
                break
            await job.cancel()
            assert (await job.wait()).state == JobState.CANCELLED

    asyncio.run(run())


def test_closing_a_client_ends_its_watches_with_an_error_and_refuses_calls(serve: Start) -> None:
    server = serve()

    async def run() -> None:
        client = AsyncClient(server.address)
        job = await client.submit(code(), overrides={"steps": "1000", "step_s": "0.02"})
        began = asyncio.Event()

        async def watch() -> None:
            async for _ in job.watch():
                began.set()

        task = asyncio.create_task(watch())
        async with asyncio.timeout(WITHIN_S):
            await began.wait()
            await client.close()
            with pytest.raises(ClosedError, match="is closed: make another one"):
                await task
        with pytest.raises(ClosedError):
            await job.get()
        await client.close()

    asyncio.run(run())
    with Client(server.address) as other:
        for each in other.jobs():
            other.job(each.id).cancel()
    with pytest.raises(ClosedError):
        list(other.jobs())


def test_a_service_that_hangs_or_is_not_there_is_said_within_its_time(serve: Start) -> None:
    server = serve()

    async def run() -> None:
        async with AsyncClient("127.0.0.1:9", retry_for_s=0.2) as nobody:
            with pytest.raises(UnreachableError, match=r"no gradwire service answers at 127\.0\.0\.1:9"):
                await nobody.serving()
        async with AsyncClient(server.address, timeout_s=0.3) as client:
            assert await client.serving()
            server.process.send_signal(signal.SIGSTOP)
            try:
                async with asyncio.timeout(WITHIN_S):
                    with pytest.raises(NoAnswerError, match="did not answer in time"):
                        await client.submit(code())
            finally:
                server.process.send_signal(signal.SIGCONT)

    asyncio.run(run())


def test_metrics_output_repetition_and_deletion_are_there(serve: Start) -> None:
    server = serve()

    async def run() -> None:
        async with AsyncClient(server.address) as client:
            job = await client.submit(code(), overrides={"steps": "4", "say": "é\n"})
            said = [data async for data in job.read_logs(follow=True)]
            assert b"".join(said) == "é\n".encode()
            (loss,) = await job.metrics(["loss"], first_step=2)
            assert [point.step for point in loss.points] == [2, 3, 4]
            again = await job.replay(2)
            await again.wait()
            verdict = await job.verify()
            assert (verdict.against, verdict.same, verdict.compared_steps) == (again.id, True, 4)
            seen = await job.get()
            await job.delete(etag=seen.etag)
            with pytest.raises(EtagError):
                await job.update(labels={"a": "b"}, etag=seen.etag)
            assert [each.id async for each in client.jobs()] == [again.id]
            found = [each.id async for each in client.jobs(filter="step = 4", show_deleted=True)]
            assert found == [again.id, job.id]
            assert (await job.undelete()).delete_time is None

    asyncio.run(run())
