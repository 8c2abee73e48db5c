"""Runs one worker: ``python -m ratoon_workers --queues train.cpu --concurrency 1 --name trainer``."""

import argparse
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from ratoon.settings import load_settings
from ratoon_workers.app import QUEUES, TRAINER, make_app
from ratoon_workers.child import STOP_SIGNAL
from ratoon_workers.sweeping import SweepStep

_TELL_EVERY_S = 0.3


def main(arguments: Sequence[str] | None = None, *, trainer: Sequence[str] = TRAINER) -> int:
    """Run a worker until SIGTERM or SIGINT and return its exit code.

    A signal makes the pool kill its trainers and give their work back to the ledger; then Celery's warm
    shutdown has nothing left to wait for. (Its soft shutdown would sleep through its whole time-out.)

    Args:
        arguments: The command line, without the program.
        trainer: Arguments for the Python interpreter that start a trainer.
    """
    options = _parser().parse_args(arguments)
    queues = _queues(options.queues)
    app = make_app(load_settings(), trainer=trainer, spares=queues != ["control"])
    app.steps["worker"].add(SweepStep)
    worker_ready.connect(_on_ready(options.ready_file), weak=False)
    return _run(app, options, queues)


def _run(app: Celery, options: argparse.Namespace, queues: list[str]) -> int:
    worker: Any = app.Worker(
        hostname=f"{options.name}@{socket.gethostname()}",
        queues=queues,
        concurrency=options.concurrency,
        pool="prefork",
        loglevel=options.loglevel,
        optimization="fair",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _on_ready(ready_file: Path | None) -> Any:
    def ready(sender: Any, **_: Any) -> None:
        _give_work_back_on_signals(sender.pool)
        if ready_file is not None:
            ready_file.write_text(f"{os.getpid()}\n")

    return ready


def _give_work_back_on_signals(pool: Any) -> None:
    def install(number: signal.Signals) -> None:
        then = signal.getsignal(number)

        def stop(received: int, frame: FrameType | None) -> None:
            threading.Thread(target=_tell_again_and_again, args=(pool,), daemon=True).start()
            if callable(then):
                then(received, frame)

        signal.signal(number, stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        install(number)


def _tell_again_and_again(pool: Any) -> None:
    # A process of the pool that is just starting does not hear it yet.
    while True:
        for process in list(pool._pool._pool):  # noqa: SLF001 - Celery has no public list of them
            with suppress(ProcessLookupError):
                os.kill(process.pid, STOP_SIGNAL)
        time.sleep(_TELL_EVERY_S)


def _queues(text: str) -> list[str]:
    queues = [name for name in text.split(",") if name]
    unknown = [name for name in queues if name not in QUEUES]
    if unknown or not queues:
        raise SystemExit(f"unknown queues {unknown}; queues are {', '.join(QUEUES)}")
    return queues


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ratoon_workers", description="Run one worker of Ratoon.")
    parser.add_argument("--queues", required=True, help=f"comma-separated, of {', '.join(QUEUES)}")
    parser.add_argument("--concurrency", type=int, default=1, help="processes, each with one piece of work at a time")
    parser.add_argument("--name", default="worker", help="the worker's name before @host")
    parser.add_argument("--ready-file", type=Path, help="written once the worker takes messages")
    parser.add_argument("--loglevel", default="INFO")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
