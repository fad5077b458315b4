"""A GGUF for llama.cpp, made by the converter of a checkout that the user has: `convert_hf_to_gguf.py`.

The file carries the chat template, so `llama-server --jinja` chooses person and stage by `chat_template_kwargs`.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from persllm.errors import BaseModelError
from persllm.release import Contents, Release
from persllm.release.merged import below, template_of
from persllm.release.model_card import model_card

CONVERTER = "convert_hf_to_gguf.py"
BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 1.07}
"""Bytes of a weight, by number format."""
USE = """\
```console
llama-server -m {file} --jinja --host 127.0.0.1 --port 8080
curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' -d '{{
  "messages": [{{"role": "user", "content": "{question}"}}], "chat_template_kwargs": {{"persona": "{persona}", "stage": "{stage}"}}}}'
```

`--jinja` is needed: the stages are in the chat template. These commands are llama.cpp's own and were not run where this file was made.
"""


def contents(release: Release) -> Contents:
    """The GGUF with card and template. BaseModelError if there is no converter."""
    file = file_name(release)
    person = release.personas[0]
    question = "你是谁？" if person.language == "zh" else "Who are you?"
    use = USE.format(file=file, question=question, persona=person.id, stage=person.stages[-1].id)
    return Contents(texts={"README.md": model_card(release, use, "gguf"), **template_of(release.model)}, made=made(release))


def file_name(release: Release) -> str:
    """Name of the GGUF."""
    return f"{release.name}-{release.wishes.outtype}.gguf"


def made(release: Release) -> dict:
    """The GGUF as a file that is made on the spot."""
    command = converter(release.wishes.llama_cpp)
    size = sum(file.stat().st_size for file in release.model.glob("*.safetensors"))
    weight = BYTES.get(release.wishes.outtype, 2.0) / bytes_of_a_weight(release.model)
    return {file_name(release): (int(size * weight), lambda target: convert(command, release, target))}


def converter(checkout: str) -> list[str]:
    """The command of the converter. BaseModelError with the ways on if it is not to be found."""
    if checkout:
        script = Path(checkout) / CONVERTER
        if not script.is_file():
            raise BaseModelError(
                f"{checkout}: no {CONVERTER} there. --llama-cpp names a checkout of llama.cpp (git clone it; nothing needs to be built)."
            )
        return [sys.executable, str(script)]
    found = shutil.which(CONVERTER)
    if found is None:
        raise BaseModelError(
            f"{CONVERTER}: not on the PATH. Name a checkout of llama.cpp with --llama-cpp DIR, or export with --to merged."
        )
    return [found]


def bytes_of_a_weight(model: Path) -> int:
    """Bytes of one weight in a model folder."""
    import json

    settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
    return 4 if str(settings.get("dtype") or settings.get("torch_dtype") or "float32") == "float32" else 2


def convert(command: list[str], release: Release, target: Path) -> None:
    """Run the converter on the model with its guarded template. BaseModelError with the end of what it said if it fails."""
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        below(release, "model").write(Path(place))
        asked = [*command, str(Path(place) / "model"), "--outfile", str(target), "--outtype", release.wishes.outtype]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode or not target.is_file():
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:]) or "nothing"
        raise BaseModelError(f"{Path(command[-1]).name} could not convert the model (exit code {done.returncode}); it said: {said[-400:]}")
