"""What a worker has of the system is what its program has, whatever that was started in and has
changed since."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

from conveyor import Processor
from conveyor.errors import PoisonItem, WorkerCrashed
from tests.helpers import (
    HANGS_S,
    ROOT,
    SCRIPTS,
    environment,
    new_or_forked,
    pipeline,
    run_script,
    told,
    under_each_start_method,
)


def run(
    code: str, start_method: str, *, shell: str = "", cwd: Path | None = None, **variables: str
) -> str:
    """What a program prints; `shell` is what it is started with or behind: redirections, limits."""
    before, _, behind = shell.partition("|")
    command = f"{before} exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {behind}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment(start_method) | variables,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        cwd=cwd,
        check=False,
    )
    return done.stdout + done.stderr


SIMPLE = (
    "from conveyor import *;"
    " print(Pipeline().add(Processor(len)).add(Pipe(3)).add(Processor(str)).run(['a', 'bb']))\n"
)
SIMPLE_GIVES = "['1', '2']\n"


@under_each_start_method
def test_a_job_sees_what_the_program_sees_also_when_that_has_changed_it(start_method: str) -> None:
    assert run_script(SCRIPTS / "surroundings.py", start_method) == ["[]"]


CLOSED = [(0,), (1,), (0, 1, 2)]


@under_each_start_method
@pytest.mark.parametrize("closed", CLOSED)
def test_standard_descriptors_may_be_closed(
    closed: tuple[int, ...], start_method: str, tmp_path: Path
) -> None:
    code = SIMPLE.replace("print(", "open('out', 'w').write(str(") + ")"
    run(
        code.replace("\n", ""),
        start_method,
        shell="|" + " ".join(f"{fd}>&-" for fd in closed),
        cwd=tmp_path,
    )

    assert (tmp_path / "out").read_text() == SIMPLE_GIVES.strip()


SCRIPT = """
from conveyor import Pipeline, Processor
def double(item): return 2 * item
print(Pipeline().add(Processor(double)).run([1]))
"""
PYTHON = sys.executable
RUNNERS = {
    "pdb": [PYTHON, "-m", "pdb", "-c", "continue", "-c", "quit", "../script.py"],
    "cProfile": [PYTHON, "-m", "cProfile", "../script.py"],
    "runpy": [PYTHON, "-c", "import runpy; runpy.run_path('../script.py', run_name='__main__')"],
    "exec": [PYTHON, "-c", "exec(open('../script.py').read(), {'__name__': '__main__'})"],
    "standard input": [PYTHON, "-"],
    "a directory": [PYTHON, "../directory"],
    "an archive": [PYTHON, "../archive.pyz"],
    "isolated": [PYTHON, "-I", "../script.py"],
    "no environment": [PYTHON, "-E", "../script.py"],
    "development mode": [PYTHON, "-X", "dev", "-W", "error", "../script.py"],
    "optimized": [PYTHON, "-OO", "../script.py"],
}
LOOK_INTO_THE_DIRECTORY = (
    "cProfile",
    "runpy",
    "exec",
    "standard input",
)  # of themselves, so a file there that hides a module is theirs


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A directory beside a program in all forms, and in it a file that would hide a module of the
    standard library."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "__main__.py").write_text(SCRIPT)
    zipapp.create_archive(tmp_path / "directory", tmp_path / "archive.pyz")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "select.py").write_text("raise ImportError('not the one that is wanted')")
    return tmp_path / "here"


@pytest.mark.parametrize(
    ("runner", "start_method"),
    [
        *((runner, "forkserver") for runner in RUNNERS),
        ("pdb", "fork"),
        ("pdb", "spawn"),
        ("no environment", "spawn"),
    ],
)
def test_it_does_not_matter_how_the_program_is_run(
    runner: str, start_method: str, program: Path
) -> None:
    if runner in LOOK_INTO_THE_DIRECTORY:
        (program / "select.py").unlink()
    done = subprocess.run(
        RUNNERS[runner],
        cwd=program,
        env=environment(start_method) | {"CONVEYOR_START_METHOD": start_method},
        input=SCRIPT,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert "[2]" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


GONE = """
import os, shutil, signal, sys
from conveyor import Pipeline, Processor, context
def job(item):
    if item == 30 and context().attempt == 1: os.kill(os.getpid(), signal.SIGKILL)
    return item
def items():
    for item in range(60):
        if item == 10: shutil.rmtree(os.getcwd())
        yield item
print(Pipeline().add(Processor(job)).run(items()) == list(range(60)))
print(Pipeline().add(Processor(lambda item: os.path.exists("."))).run([None]))
"""


@under_each_start_method
def test_the_working_directory_may_go_while_a_pipeline_runs(
    start_method: str, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()

    # A directory that has no name is one all the same
    assert run(GONE, start_method, cwd=tmp_path / "gone") == "True\n[True]\n"


TEMPORARY = """
import os, sys
from conveyor import Pipeline, Processor
job = Processor(lambda item: item)
print(Pipeline().add(job).run([1]), os.listdir(sys.argv[1]) if len(sys.argv) > 1 else [])
"""


@under_each_start_method
@pytest.mark.parametrize("directory", ["/proc", "/nowhere", "x" * 200])
def test_no_directory_for_temporary_files_is_needed(
    directory: str, start_method: str, tmp_path: Path
) -> None:
    if directory[0] == "x":
        directory = str(tmp_path / directory)
        Path(directory).mkdir()

    assert run(TEMPORARY, start_method, TMPDIR=directory) == "[1] []\n"


WATCHED = """
import os, subprocess, sys, threading
from conveyor import Pipeline, Processor
seen, over = set(), threading.Event()
before = dict(os.environ)
def look():
    while not over.is_set():
        seen.add(tuple(sorted(set(os.environ.copy().items()) ^ set(before.items()))))
        seen.add(os.getcwd())
thread = threading.Thread(target=look)
thread.start()
SHOW = "import os; print(sorted(os.environ))"
def job(_): return subprocess.run([sys.executable, "-S", "-c", SHOW], capture_output=True).stdout
for _ in range(5): (names,) = Pipeline().add(Processor(job)).run([None])
over.set()
thread.join()
import multiprocessing
if __name__ == "__main__":
    print(len(seen), sorted(set(eval(names)) - set(before) - {"LC_CTYPE"}))
"""


@under_each_start_method
def test_no_other_thread_and_no_program_that_is_started_sees_a_change_of_the_environment(
    start_method: str,
) -> None:
    numeric = [
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ]

    assert run(WATCHED, start_method) == f"2 {numeric}\n"


ALL_CLOSED = """
import os
from conveyor import Pipeline, Processor
def doubled(): return Pipeline().add(Processor(lambda item: 2 * item)).run([1, 2])
first = doubled()
os.closerange(3, 1000)
print(first, doubled())
os.closerange(3, 1000)
others = [os.open("other", os.O_RDWR | os.O_CREAT) for _ in range(100)]
print(doubled(), os.path.getsize("other"))
"""


@under_each_start_method
def test_a_program_may_close_all_descriptors_between_runs_and_their_numbers_be_of_other_files(
    start_method: str, tmp_path: Path
) -> None:
    assert run(ALL_CLOSED, start_method, cwd=tmp_path) == "[2, 4] [2, 4]\n[2, 4] 0\n"


OF_ITS_OWN = """
import multiprocessing, os, sys
def show(queue):
    variables = map(os.environ.get, ["PYTHONSAFEPATH", "PYTHONHASHSEED"])
    queue.put((*variables, sys.flags.safe_path))
if __name__ == "__main__":
    from conveyor import Pipeline, Processor
    Pipeline().add(Processor(len)).run(["a"])
    context = multiprocessing.get_context("forkserver")
    queue = context.Queue()
    process = context.Process(target=show, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
"""


def test_the_fork_server_of_the_program_itself_is_another(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(OF_ITS_OWN)

    assert run_script(tmp_path / "script.py", "forkserver") == ["(None, None, False)"]


HASHES = """
import os, signal
from conveyor import Pipeline, Processor, ReplicatingFork, Zip, context
def job(item):
    if item == 5 and context().attempt == 1: os.kill(os.getpid(), signal.SIGKILL)
    return hash(str(item))
other = Processor(lambda item: hash(str(item)))
pl = Pipeline().add(ReplicatingFork(2)).add(Processor(job), other).add(Zip(2))
print(all(one == other for one, other in pl.run(range(10))))
"""


@under_each_start_method
def test_a_text_has_the_same_hash_in_all_workers(start_method: str) -> None:
    assert run(HASHES, start_method) == "True\n"


@new_or_forked
def test_a_job_may_close_its_output(start_method: str) -> None:
    code = """
import sys
from conveyor import Pipeline, Processor
class Counts(Processor):
    n = 0
    def process(self, item):
        self.n += 1
        if item == 1: sys.stdout.close()
        if item == 2: sys.stdout = None
        if item == 3: sys.stderr = object()
        return self.n
print(Pipeline().add(Counts()).run(range(6)))
"""
    assert run(code, start_method) == "[1, 2, 3, 4, 5, 6]\n"


@pytest.mark.parametrize("number", [34, 40, 63])
def test_a_signal_without_a_name_is_told_by_its_number(number: int) -> None:
    with pytest.raises(PoisonItem) as raised:
        pipeline().add(Processor(lambda _: os.kill(os.getpid(), number))).run([1])
    assert str(number) in told(raised.value) or "SIGRT" in told(raised.value)

    skipping = pipeline().add(
        Processor(lambda item: os.kill(os.getpid(), number) if item == 1 else item, on_error="skip")
    )
    assert skipping.run([0, 1, 2]) == [0, 2]


def test_a_limit_on_the_size_of_files_is_named() -> None:
    said = run(SIMPLE, "forkserver", shell="ulimit -f 1000000;")

    assert "SharedMemoryFull" in said
    assert "ulimit -f" in said


def test_too_few_processes_are_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(
        WorkerCrashed, match=f"no worker could be started .* {os.strerror(errno.EAGAIN)}"
    ):
        pipeline("fork").add(Processor(len)).run(["a"])


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_worker_has_the_library_from_where_the_program_had_it(
    start_method: str, tmp_path: Path
) -> None:
    """Also if it is not there any more on the program's path; nothing of it is installed here."""
    (tmp_path / "conveyor").symlink_to(ROOT / "conveyor")
    installed = [path for path in sys.path if path.endswith("site-packages")]
    lines = [
        "import sys",
        f"sys.path[:0] = [{str(tmp_path)!r}, *{installed!r}]",
        "from conveyor import Pipeline, Processor",
        f"sys.path.remove({str(tmp_path)!r})",
        "print(Pipeline[int]().add(Processor(lambda number: number + 1)).run([1]))",
    ]
    (tmp_path / "elsewhere").mkdir()
    variables = environment(start_method)
    del variables["PYTHONPATH"]
    done = subprocess.run(
        [sys.executable, "-S", "-c", "\n".join(lines)],
        env=variables,
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[2]\n", "")
