"""Many workers behind one interface: processes of this machine, or a Ray cluster.

``run(function, jobs)`` yields ``(k, result)`` as results come in, in any order. The function must
be importable, its jobs and results must be plain data. Ray's workers read and write the same paths
as this machine, so a cluster needs a shared folder.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from lipsync_edge.errors import LipsyncError

Job = TypeVar("Job")
Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1


class WorkerDied(LipsyncError):
    """A worker was ended from outside, or by a fault in a library, while it did this job."""


class Pool(Protocol):
    """What both pools do. A worker that dies gives a WorkerDied as its job's result."""

    n_workers: int

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]
            ) -> Iterator[tuple[int, Result | WorkerDied]]:  # fmt: skip
        """Results with their jobs' numbers, as they come."""


def _begin_worker(parent: int) -> None:
    """Ctrl-C is the parent's business; and when the parent is killed, no worker stays behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # MediaPipe's and TFLite's C++ code chats there
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


class Processes:
    """Processes of this machine. They are spawned: MediaPipe's threads do not survive a fork."""

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]
            ) -> Iterator[tuple[int, Result | WorkerDied]]:  # fmt: skip
        """See ``Pool``."""
        left = list(range(len(jobs)))
        try:
            for k, result in self._together(function, jobs, left, self.n_workers):
                left.remove(k)
                yield k, result
        except BrokenProcessPool:  # which job it was, only one at a time tells
            for k in left:
                try:
                    yield from self._together(function, jobs, [k], 1)
                except BrokenProcessPool:
                    yield k, WorkerDied("The worker died of it.")

    def _together(self, function: Callable[[Job], Result], jobs: Sequence[Job],
                  todo: Sequence[int], n_workers: int) -> Iterator[tuple[int, Result]]:  # fmt: skip
        pool = ProcessPoolExecutor(
            n_workers, multiprocessing.get_context("spawn"), _begin_worker, (os.getpid(),)
        )
        pending: dict[Future[Result], int] = {pool.submit(function, jobs[k]): k for k in todo}
        try:
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield pending.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if pending:  # stopped: what is half done is done again next time
                for child in multiprocessing.active_children():
                    child.terminate()


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return  # "", "auto", or ray://HOST:PORT
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise LipsyncError(
            f"There is no Ray cluster at {address} ({error}).",
            "Start one: ray start --head --port 6379",
        ) from error


class Ray:
    """A Ray cluster: the one at ``address``, or one of this machine's own when it is empty."""

    def __init__(self, n_workers: int, address: str = "") -> None:
        try:
            import ray
        except ImportError as error:
            raise LipsyncError("Ray is missing here.", "Install it: pip install ray") from error
        _check_reachable(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
        self._ray = ray
        start: dict[str, Any] = {"address": address} if address else {"num_cpus": n_workers}
        try:
            ray.init(**start, include_dashboard=False if not address else None,
                     log_to_driver=False, logging_level="ERROR")  # fmt: skip
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise LipsyncError(f"There is no Ray cluster at {address or 'this machine'} ({error}).",
                               "Start one: ray start --head --port 6379") from error  # fmt: skip
        self.n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]
            ) -> Iterator[tuple[int, Result | WorkerDied]]:  # fmt: skip
        """See ``Pool``."""
        ray = self._ray
        task = ray.remote(num_cpus=1, max_retries=1)(function)
        try:
            pending = {task.remote(job): k for k, job in enumerate(jobs)}
            while pending:
                done, _ = ray.wait(list(pending))
                for ref in done:
                    k = pending.pop(ref)
                    try:
                        yield k, ray.get(ref)
                    except ray.exceptions.WorkerCrashedError:
                        yield k, WorkerDied("The worker died of it.")
        finally:
            ray.shutdown()


def make_pool(name: str, n_workers: int, address: str = "") -> Pool:
    """The pool called "processes" or "ray"."""
    return Ray(n_workers, address) if name == "ray" else Processes(n_workers)
