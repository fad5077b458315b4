"""The merged model and a Modelfile for each person and stage, for Ollama.

Ollama's templates are Go's and know no variables of our own, so each stage becomes a model of its own: the opening of the
system message, with its stage token, stands fixed in the template, and what a client sends as system message comes after it.
(In a `SYSTEM` line it would be lost as soon as a client sends one.) The pieces of the Go template are read off what the
chat template renders, and compared with it over several talks before they are used.

Limits: person and user take turns; Ollama reads control tokens that a user types. `persllm serve --upstream` takes them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from persllm.errors import BaseModelError
from persllm.records import Message, Persona, Request
from persllm.release import Contents, Release, gguf
from persllm.release.merged import below
from persllm.release.model_card import model_card
from persllm.rendering import end_of_turn, render

PROBES = ("qzsystem", "qzfirst", "qzanswer", "qzsecond")
"""Texts that no template contains: a system message, a question, an answer, another question."""
USE = """\
Each stage is a model of its own. In this folder:

```console
{commands}
```

The model folder is imported as it is; Ollama reads safetensors of the architectures it knows (Llama, Mistral, Gemma, Phi, Qwen).
For others, or to quantise, make a GGUF: `persllm export RUN --to ollama --llama-cpp DIR`. These commands were not run where the files were made.
Ollama reads control tokens that a user types; where strangers can type, put `persllm serve` before it.
"""


@dataclass(frozen=True)
class Pieces:
    """What stands around the messages of a talk with one person at one stage."""

    head: str
    """Before the first question, where the client sends no system message."""
    before_system: str
    after_system: str
    """Around the client's system message, up to the first question."""
    answer: str
    """Between a question and its answer."""
    question: str
    """Between an answer and the next question."""
    generate: str
    """After the last question."""

    def rendered(self, messages: Sequence[Message]) -> str:
        """A talk as these pieces make it."""
        system = next((m.content for m in messages if m.role == "system"), None)
        text = self.head if system is None else f"{self.before_system}{system}{self.after_system}"
        rest = [m for m in messages if m.role != "system"]
        for place, message in enumerate(rest):
            last = place == len(rest) - 1
            after = (self.generate if last else self.answer) if message.role == "user" else "" if last else self.question
            text += message.content + after
        return text

    @property
    def go(self) -> str:
        """The same as a template of Go."""
        head, before, after, answer, question, generate = map(
            literal, (self.head, self.before_system, self.after_system, self.answer, self.question, self.generate)
        )
        last = "eq (len (slice $.Messages $i)) 1"
        after_user = generate if generate == answer else f"{{{{ if {last} }}}}{generate}{{{{ else }}}}{answer}{{{{ end }}}}"
        user = f"{{{{ .Content }}}}{after_user}"
        assistant = f"{{{{ .Content }}}}{{{{ if not ({last}) }}}}{question}{{{{ end }}}}"
        talk = f'{{{{ if eq .Role "user" }}}}{user}{{{{ else if eq .Role "assistant" }}}}{assistant}{{{{ end }}}}'
        opening = f"{{{{ if .System }}}}{before}{{{{ .System }}}}{after}{{{{ else }}}}{head}{{{{ end }}}}"
        return f"{opening}{{{{ range $i, $_ := .Messages }}}}{talk}{{{{ end }}}}"


def contents(release: Release) -> Contents:
    """The model, the Modelfiles, the card."""
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(str(release.model))
    sampling = GenerationConfig.from_pretrained(str(release.model))
    wanted = [persona for persona in release.personas if release.wishes.persona in ("", persona.id)]
    model = Contents(made=gguf.made(release)) if release.wishes.llama_cpp else below(release, "model")
    source = f"./{gguf.file_name(release)}" if release.wishes.llama_cpp else "./model"
    files = {
        f"Modelfile.{persona.id}-{stage.id}": modelfile(tokenizer, sampling, persona, stage.id, source)
        for persona in wanted
        for stage in persona.stages
    }
    commands = "\n".join(f"ollama create {name.partition('.')[2]} -f {name}" for name in files)
    first = next(iter(files)).partition(".")[2]
    card = model_card(release, USE.format(commands=f"{commands}\nollama run {first}"))
    return Contents(texts={"README.md": card, **files, **model.texts}, copies=model.copies, made=model.made)


def modelfile(tokenizer: Any, sampling: Any, persona: Persona, stage: str, source: str) -> str:
    """The Modelfile of one person at one stage."""
    pieces = pieces_of(tokenizer, persona, stage)
    drawn = sampling.do_sample
    stops = dict.fromkeys(tokenizer.convert_ids_to_tokens(token) for token in (end_of_turn(tokenizer), tokenizer.eos_token_id))
    lines = [
        f"# {persona.name}, {persona.stage(stage).title or stage}. Made with persllm. A language model answers, not a human being.".replace("\n", " "),
        f"FROM {source}", f'TEMPLATE """{pieces.go}"""', f"PARAMETER temperature {sampling.temperature or 1.0 if drawn else 0.3}",
        *([f"PARAMETER top_p {sampling.top_p}"] if drawn and sampling.top_p else []), *(f'PARAMETER stop "{stop}"' for stop in stops),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def pieces_of(tokenizer: Any, persona: Persona, stage: str) -> Pieces:
    """The pieces of a chat template. BaseModelError if it is not made of such pieces."""
    system, first, answer, second = PROBES
    talk = [Message(role="user", content=first), Message(role="assistant", content=answer), Message(role="user", content=second)]
    instructed = [Message(role="system", content=system), *talk]

    def told(messages: Sequence[Message]) -> str:
        return render(tokenizer, Request(messages=tuple(messages), persona=persona.id, stage=stage))

    try:
        head, to_answer, to_question, generate = cut(told(talk), (first, answer, second))
        try:
            before, after, *_ = cut(told(instructed), PROBES)
            openings = [(), (instructed[0],)]
        except BaseModelError:  # it takes no system message: what a client sends as such goes before the first question
            before, after, openings = head, "\n", [()]
        pieces = Pieces(head, before, after, to_answer, to_question, generate)
        talks = [talk, talk[:1], [*talk, Message(role="assistant", content="qzmore"), Message(role="user", content="qzlast")]]
        fits = all(pieces.rendered(own) == told(own) for own in ([*opening, *one] for one in talks for opening in openings))
    except (BaseModelError, ValueError):
        fits = False
    if not fits or '"""' in pieces.go:
        raise BaseModelError(
            "the chat template of this base cannot be told to Ollama as pieces around the messages. Export with --to merged, vllm or gguf, which keep it whole."
        )
    return without_bos(pieces, tokenizer)


def cut(text: str, probes: Sequence[str]) -> list[str]:
    """What stands before, between and after the probes; ValueError if they are not there once each and in order."""
    parts = []
    for probe in probes:
        part, found, text = text.partition(probe)
        if not found:
            raise ValueError(probe)
        parts.append(part)
    return [*parts, text]


def without_bos(pieces: Pieces, tokenizer: Any) -> Pieces:
    """The pieces without the token of the beginning, where the tokenizer adds it by itself, as Ollama then does."""
    bos = tokenizer.bos_token
    if not bos or tokenizer("x")["input_ids"][:1] != [tokenizer.bos_token_id]:
        return pieces
    return replace(pieces, head=pieces.head.removeprefix(bos), before_system=pieces.before_system.removeprefix(bos))


def literal(text: str) -> str:
    """A text that Go's templates take as it is."""
    return text.replace("{{", '{{ "{{" }}')
