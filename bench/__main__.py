"""`python -m bench NAME`: run one benchmark, print its table, write its JSON. Exit 1 if a goal is missed."""

import importlib
import json
import os
import sys
from pathlib import Path

from bench.row import Row, table

HERE = Path(__file__).parent


def main() -> int:
    names = sorted(path.stem for path in HERE.glob("*.py") if "def rows(" in path.read_text())
    if len(sys.argv) != 2 or sys.argv[1] not in names:
        print(f"usage: python -m bench NAME, where NAME is one of: {', '.join(names)}", file=sys.stderr)
        return 2
    name = sys.argv[1]
    quick = bool(os.environ.get("BENCH_QUICK"))
    rows: list[Row] = importlib.import_module(f"bench.{name}").rows(quick)
    print(table(rows))
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
    return int(any(row.ok is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
