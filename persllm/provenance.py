"""Where a run comes from: version, commit, packages, machine, times, and the log of each attempt."""

import contextlib
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import persllm
from persllm.store import Run, now, replace_json

log = logging.getLogger("persllm")
PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "openai",
    "bm25s",
    "numpy",
    "scikit-learn",
    "sacrebleu",
)


@contextlib.contextmanager
def logged(run: Run) -> Iterator[None]:
    """Write the log of this attempt below the run."""
    handler = logging.FileHandler(run.next_log(), encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root, level = logging.getLogger(), log.level
    root.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        log.error("stopped: %s: %s", type(error).__name__, error)
        raise
    finally:
        log.setLevel(level)
        root.removeHandler(handler)
        handler.close()


def write_provenance(run: Run) -> None:
    """Version, commit, packages, machine, and the time of each attempt."""
    file = run.path / "provenance.json"
    before = replaceable_json(file).get("attempts", [])
    packages = {name: package_version(name) for name in PACKAGES}
    machine = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count(), "python": sys.version.split()[0]}
    replace_json(
        file, {"persllm": persllm.__version__, "commit": commit(), "packages": packages, "machine": machine, "attempts": [*before, now()]}
    )


def replaceable_json(file: Path) -> dict[str, Any]:
    """The JSON in a file that may be missing."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def package_version(name: str) -> str:
    """The installed version of a package, or an empty text."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def commit() -> str:
    """The commit of the source tree, or an empty text outside of one."""
    result = subprocess.run(["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return result.stdout.strip()
