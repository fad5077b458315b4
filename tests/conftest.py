"""What the tests share: no hub, one thread, a small person, and the place of the shared data."""

import os
import signal
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest

from persllm.starter import write_starter

# Processes started in the background may inherit that Ctrl-C is ignored; the tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).parent.parent
SHARED = Path(os.environ.get("PERSLLM_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """The folder that `persllm new` writes."""
    folder = tmp_path / "hanne"
    write_starter(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that are not part of the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the shared data; none at {SHARED} (set PERSLLM_SHARED)")
    return SHARED / "data"
