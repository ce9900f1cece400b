"""Sales in CSV files into SQLite: every process is killed on the way, twice, and no row is lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from conveyor import Checkpoint, Pipeline, Processor
from conveyor.io import Csv, SqlTable


def priced(row: dict[str, str]) -> dict[str, int]:
    if row["number"] == sys.argv[2]:
        os.killpg(0, signal.SIGKILL)  # the program and its workers: all that a power cut takes
    return {"number": int(row["number"]), "cents": int(row["pieces"]) * 350}


def etl(folder: str) -> None:
    sales, facts = Csv(f"{folder}/*.csv"), SqlTable(f"sqlite:///{folder}/db", "facts")
    keep = Checkpoint(f"{folder}/state", every_s=0.05)
    Pipeline[dict[str, str]]().add(Processor(priced)).drain(sales, into=facts, checkpoint=keep)


if sys.argv[1:]:
    etl(sys.argv[1])
    sys.exit()
with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/db")) as db:
    db.execute("create table facts (number integer, cents integer)")
    for month in range(3):
        rows = [f"{n},{n % 7}" for n in range(month * 1000, month * 1000 + 1000)]
        Path(folder, f"{month}.csv").write_text("\n".join(["number,pieces", *rows]))
    for deadly in ("1500", "2500", "none"):  # the sale at which all is killed
        subprocess.run([sys.executable, __file__, folder, deadly], start_new_session=True)
        found = db.execute("select count(*), sum(cents) from facts").fetchone()
        print(f"{found[0]:,} rows, {found[1] or 0:,} cents")
