"""Runs a pipeline, changes all that a process has of the system, runs another; prints what a job
sees otherwise than we do."""

from __future__ import annotations

import decimal
import locale
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from conveyor import Pipeline, Processor
from conveyor.runtime import Placement


def seen(_item: object = None) -> dict[str, object]:
    """What a process has that its program may have changed."""
    here = os.stat(".")
    mask = os.umask(0)
    os.umask(mask)
    names = [name for name in vars(resource) if name.startswith("RLIMIT_")]
    return {
        "environment": {name: os.environ[name] for name in os.environ if "_THREADS" not in name},
        "time zone": (time.localtime(0).tm_hour, time.tzname),
        "directory": (here.st_dev, here.st_ino),
        "permissions of new files": mask,
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in names},
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "group": (os.getpgrp(), os.getsid(0)),
        "cores": sorted(os.sched_getaffinity(0)),
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, ())
        - {signal.SIGCONT},  # by which a worker knows a pause
        "import path": sys.path,
        "arguments": sys.argv,
        "output": (sys.stdout.encoding, sys.stdout.errors, sys.stderr.encoding, sys.stderr.errors),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "key": bytes(multiprocessing.current_process().authkey),
        "flags": [
            sys.flags.optimize,
            sys.flags.dev_mode,
            sys.flags.utf8_mode,
            sys.flags.ignore_environment,
            sys.warnoptions,
        ],
        "locale": (locale.getpreferredencoding(False), locale.setlocale(locale.LC_ALL)),
        "interpreter": (
            sys.getrecursionlimit(),
            sys.get_int_max_str_digits(),
            sys.getswitchinterval(),
        ),
        "arithmetic": repr(decimal.getcontext()),
    }


def seen_by_a_job() -> dict[str, object]:
    return Pipeline[None]().add(Processor(seen)).run([None], placement=Placement.unpinned())[0]


def change_all() -> None:
    os.environ["TZ"] = "Asia/Tokyo"
    os.environ["NEW"] = "1"
    del os.environ["OLD"]
    time.tzset()
    gone = Path(tempfile.mkdtemp())
    os.chdir(gone)
    shutil.rmtree(gone)
    os.umask(0o027)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.setpriority(os.PRIO_PROCESS, 0, 3)
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    sys.path.append("/of/the/program")
    sys.argv.append("more")
    sys.stdout.reconfigure(encoding="latin-1", errors="replace")  # type: ignore[union-attr]  # a file
    sys.stderr.reconfigure(encoding="utf-16", errors="ignore")  # type: ignore[union-attr]  # a file
    multiprocessing.set_start_method("spawn", force=True)
    sys.setrecursionlimit(4321)
    sys.set_int_max_str_digits(0)
    sys.setswitchinterval(0.001)
    decimal.getcontext().prec = 5
    decimal.getcontext().rounding = decimal.ROUND_DOWN
    locale.setlocale(locale.LC_ALL, "C")


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    os.setpgrp()
    os.environ["OLD"] = "1"
    differences: list[str] = []
    for change in (None, change_all):
        if change is not None:
            change()
        ours, theirs = seen(), seen_by_a_job()
        differences += [
            f"{name}: {ours[name]} {theirs[name]}" for name in ours if ours[name] != theirs[name]
        ]
    print(differences)
