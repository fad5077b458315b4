"""Chat templates: the one for a base that has none, and the prelude that carries person and stage in any of them.

The prelude stands before the model's own template and reads three variables, `persona`, `stage` (ids) and
`analysis`; every server that passes template variables can set them. It opens the system message with the mark of
the stage, the one of the analysis if it is wanted, and the person's line. A mark is a token (a new one, such as
`<|stage:ID|>`, or one that the tokenizer keeps in reserve) or a sentence. With none of the variables set the
rendering is that of the original to the byte; nobody is assumed by default.

Limits: the content of messages is text, not a list of parts.
"""

import json
import re
from collections.abc import Sequence

from persllm.records import Persona, Record, Stage

ANALYSIS_TOKEN = "<|analysis|>"
MARKER = re.compile(
    r"<[|｜][^<>\n]{0,80}?[|｜]>|</?s>|</?(?:bos|eos|pad|unk|start_of_turn|end_of_turn|think|tool_call)>|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS)\]|<</?SYS>>",
    re.IGNORECASE,
)
"""Control tokens as the families of models write them."""
PROBE = "qzqz"
"""A text that no template contains."""
ROLE_LINES = (
    "{{ bos_token if bos_token else '' }}"
    "{% for message in messages %}"
    "{{ message['role'] | capitalize }}:\n{{ message['content'] | trim }}{{ eos_token if message['role'] == 'assistant' else '' }}\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}"
)
"""For a base without a template: roles as plain lines, so that no token is needed that was never trained."""
PRELUDE = """\
{%- if persona or stage or analysis -%}
{%- set control_tokens = <<tokens>> -%}
{%- set persons = <<persons>> -%}
{%- if persona not in persons -%}
{{- raise_exception('unknown persona ' ~ persona ~ '; known: <<known>>') -}}
{%- endif -%}
{%- if stage not in persons[persona]['stages'] -%}
{{- raise_exception('unknown stage ' ~ stage ~ ' of ' ~ persona ~ '; known: ' ~ (persons[persona]['stages'] | join(', '))) -}}
{%- endif -%}
{%- set opening = persons[persona]['stages'][stage] ~ (persons[persona]['analysis'] if analysis else '') ~ persons[persona]['line'] -%}
{%- if messages and messages[0]['role'] == '<<role>>' -%}
{%- set messages = [{'role': '<<role>>', 'content': opening ~ '\\n' ~ messages[0]['content']}] + messages[1:] -%}
{%- else -%}
{%- set messages = [{'role': '<<role>>', 'content': opening}] + messages -%}
{%- endif -%}
{%- endif %}
"""
"""The last newline belongs to its last tag: the template after it begins at the start of a line, as it did alone."""
TOLD = re.compile(r"\{%- set control_tokens = (\[.*\]) -%\}")
"""Where the prelude names its control tokens."""


class Marks(Record):
    """How stages and the analysis are told to a model."""

    stages: dict[str, dict[str, str]]
    """Person -> stage -> what opens the system message."""
    analysis: dict[str, str]
    """Person -> what asks for the analysis."""
    tokens: tuple[str, ...] = ()
    """The control tokens among these; none if all is said in words."""


GUARD = """\
{#- persllm: control tokens that are typed stay text -#}
{%- set guarded = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- if message['content'] is string and (<<found>>) -%}
{%- set guarded.messages = guarded.messages + [{'role': message['role'], 'content': message['content']<<parted>>}] -%}
{%- else -%}
{%- set guarded.messages = guarded.messages + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = guarded.messages -%}
{#- persllm: end of guard -#}
"""
GUARD_END = "{#- persllm: end of guard -#}\n"
FAMILY = "<|"
"""How most control tokens begin, ours among them."""


def knows_persons(template: str) -> bool:
    """Whether a chat template has the prelude, so that person and stage can be told by its variables."""
    return "{%- set persons = " in template


def stage_tokens(personas: Sequence[Persona]) -> dict[tuple[str, str], str]:
    """(person, stage) -> new control token: `<|stage:ID|>` if the model is one person, `<|stage:PERSON-ID|>` if it is several.

    Stages belong to a person: the early years of one have nothing in common with those of another but the word.
    """
    alone = len(personas) == 1
    return {(p.id, s.id): f"<|stage:{s.id if alone else f'{p.id}-{s.id}'}|>" for p in personas for s in p.stages}


def control_tokens(personas: Sequence[Persona]) -> list[str]:
    """All new control tokens: every stage once, in the order of the persons, then the one for the analysis."""
    return [*stage_tokens(personas).values(), ANALYSIS_TOKEN]


def marks_by_tokens(personas: Sequence[Persona], tokens: Sequence[str]) -> Marks:
    """Marks that are tokens, given in the order of `control_tokens`."""
    named = iter(tokens)
    stages = {persona.id: {stage.id: next(named) for stage in persona.stages} for persona in personas}
    return Marks(stages=stages, analysis=dict.fromkeys(stages, tokens[-1]), tokens=tuple(tokens))


def marks_in_words(personas: Sequence[Persona]) -> Marks:
    """Marks that are sentences in each person's language: id and title of the stage."""
    return Marks(
        stages={persona.id: {stage.id: told(stage, persona.language) for stage in persona.stages} for persona in personas},
        analysis={persona.id: "先分析。" if persona.language == "zh" else "Analyse first. " for persona in personas},
    )


def told(stage: Stage, language: str) -> str:
    """The sentence that says the stage."""
    if language == "zh":
        return f"阶段：{stage.id}{f'，{stage.title}' if stage.title else ''}。"
    return f"Stage: {stage.id}{f', {stage.title}' if stage.title else ''}. "


def tokens_of(template: str) -> list[str]:
    """The control tokens that a chat template with our prelude uses; none where there is none, or all is said in words."""
    found = TOLD.search(template)
    return json.loads(found[1]) if found else []


def defused(text: str) -> str:
    """A text in which nothing is a control token or a role marker any more, for a model whose tokenizer is not at hand.

    Marks of the usual forms are parted by a blank, so that people still see what was written. A model in memory
    needs no such thing: its typed tokens stay plain text.
    """
    return MARKER.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def line_of(persona: Persona) -> str:
    """The sentence by which a model is told who it is."""
    return f"你是{persona.name}。" if persona.language == "zh" else f"You are {persona.name}."


def prelude(personas: Sequence[Persona], marks: Marks, role: str = "system") -> str:
    """The text that is put in front of a chat template.

    `role` is `system`, or `user` for a template that takes no system message.
    """
    persons = {
        persona.id: {"line": line_of(persona), "stages": marks.stages[persona.id], "analysis": marks.analysis[persona.id]}
        for persona in personas
    }
    words = {
        "tokens": json.dumps(marks.tokens, ensure_ascii=False),
        "persons": json.dumps(persons, ensure_ascii=False),
        "known": ", ".join(persons),
        "role": role,
    }
    text = PRELUDE
    for word, value in words.items():
        text = text.replace(f"<<{word}>>", value)
    return text


def guard(control: Sequence[str]) -> str:
    """The text before the prelude of a template that other servers use: control tokens in messages are parted by a blank.

    A message without any is passed on as it is. `control` holds the special tokens of the tokenizer.
    """
    marks = [*([FAMILY] if any(token.startswith(FAMILY) for token in control) else []), *(t for t in control if not t.startswith(FAMILY))]
    marks = [mark for mark in marks if len(mark) > 1]
    if not marks:
        return ""
    texts = [(quoted(mark), quoted(f"{mark[0]} {mark[1:]}")) for mark in marks]
    found = " or ".join(f"{mark} in message['content']" for mark, _ in texts)
    return GUARD.replace("<<found>>", found).replace("<<parted>>", "".join(f" | replace({mark}, {apart})" for mark, apart in texts))


def quoted(text: str) -> str:
    """A text as Jinja has it."""
    return json.dumps(text, ensure_ascii=False)


def without_prelude(template: str) -> str:
    """A chat template as it was before guard and prelude were put in front: a model that persllm made may be a base again."""
    begin, end = PRELUDE.split("\n", 1)[0], "{%- endif %}\n"
    if template.startswith(GUARD.split("\n", 1)[0]):
        template = template.partition(GUARD_END)[2]
    return template.partition(end)[2] if template.startswith(begin) else template
