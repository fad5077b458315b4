"""The whole model in one folder: safetensors, tokenizer, chat template.

The template is that of the run with a guard before it, because other servers read control tokens that a user types:
here they are parted by a blank, so typing a stage token chooses no stage. Person and stage are chosen by the template's
variables, as in the run.
"""

from pathlib import Path
from typing import Any

from persllm.release import Contents, Release
from persllm.release.model_card import model_card
from persllm.templates import FAMILY, guard

TEMPLATE = "chat_template.jinja"
MOST_UNLIKE = 100
"""Vocabularies with hundreds of reserved tokens would make the guard longer than the template."""
USE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer, model = AutoTokenizer.from_pretrained("."), AutoModelForCausalLM.from_pretrained(".", dtype="auto")
said = [{{"role": "user", "content": "{question}"}}]
words = tokenizer.apply_chat_template(
    said, persona="{persona}", stage="{stage}", add_generation_prompt=True, return_tensors="pt", return_dict=True
)
print(tokenizer.decode(model.generate(**words, max_new_tokens=60)[0, words["input_ids"].shape[1]:], skip_special_tokens=True))
```

Servers that pass template variables choose per request, for instance `transformers serve` and vLLM:

```console
transformers serve FOLDER --host 127.0.0.1 --port 8000
curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d '{{"model": "FOLDER",
  "messages": [{{"role": "user", "content": "{question}"}}], "chat_template_kwargs": {{"persona": "{persona}", "stage": "{stage}"}}}}'
```
"""


def contents(release: Release) -> Contents:
    """The model at the top of the folder."""
    return Contents(texts={"README.md": model_card(release, use(release)), **template_of(release.model)}, copies=files_of(release.model))


def below(release: Release, folder: str) -> Contents:
    """The model in a folder of its own, for forms that put something beside it."""
    texts = {f"{folder}/{name}": text for name, text in template_of(release.model).items()}
    return Contents(texts=texts, copies={f"{folder}/{name}": file for name, file in files_of(release.model).items()})


def files_of(model: Path) -> dict[str, Path]:
    """The files of a model folder that are passed on as they are."""
    return {str(file.relative_to(model)): file for file in sorted(model.rglob("*")) if file.is_file() and file.name != TEMPLATE}


def template_of(model: Path) -> dict[str, str]:
    """The chat template with the guard."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model))
    return {TEMPLATE: guard(typed_by_users(tokenizer)) + tokenizer.chat_template}


def typed_by_users(tokenizer: Any) -> list[str]:
    """What a user could type that would be read as a control token; of very many unlike ones, those that the template uses."""
    control = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    unlike = [token for token in control if not token.startswith(FAMILY)]
    if len(unlike) <= MOST_UNLIKE:
        return control
    used = {*tokenizer.all_special_tokens, *(token for token in unlike if token in tokenizer.chat_template)}
    return [token for token in control if token.startswith(FAMILY) or token in used]


def use(release: Release) -> str:
    """How to load it, for the card."""
    person = release.personas[0]
    question = "你是谁？" if person.language == "zh" else "Who are you?"
    return USE.format(question=question, persona=person.id, stage=person.stages[-1].id)
