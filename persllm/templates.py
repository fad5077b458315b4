"""Chat templates: the one for a base that has none, and the prelude that carries person and stage in any of them.

The prelude stands before the model's own template and reads three variables, `persona`, `stage` (ids) and
`analysis`; every server that passes template variables can set them. It opens the system message with
`<|stage:ID|>`, `<|analysis|>` if the analysis is wanted, and the person's line. With none of them set the
rendering is that of the original to the byte; nobody is assumed by default.

Limits: the content of messages is text, not a list of parts.
"""

import json
import re
from collections.abc import Sequence

from persllm.records import Persona

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
{%- set persons = <<persons>> -%}
{%- if persona not in persons -%}
{{- raise_exception('unknown persona ' ~ persona ~ '; known: <<known>>') -}}
{%- endif -%}
{%- if stage not in persons[persona]['stages'] -%}
{{- raise_exception('unknown stage ' ~ stage ~ ' of ' ~ persona ~ '; known: ' ~ (persons[persona]['stages'] | join(', '))) -}}
{%- endif -%}
{%- set opening = <<opening>> -%}
{%- if messages and messages[0]['role'] == '<<role>>' -%}
{%- set messages = [{'role': '<<role>>', 'content': opening ~ '\\n' ~ messages[0]['content']}] + messages[1:] -%}
{%- else -%}
{%- set messages = [{'role': '<<role>>', 'content': opening}] + messages -%}
{%- endif -%}
{%- endif %}
"""
"""The last newline belongs to its last tag: the template after it begins at the start of a line, as it did alone."""


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
    """(person, stage) -> control token: `<|stage:ID|>` if the model is one person, `<|stage:PERSON-ID|>` if it is several.

    Stages belong to a person: the early years of one have nothing in common with those of another but the word.
    """
    alone = len(personas) == 1
    return {(p.id, s.id): f"<|stage:{s.id if alone else f'{p.id}-{s.id}'}|>" for p in personas for s in p.stages}


def control_tokens(personas: Sequence[Persona]) -> list[str]:
    """All control tokens: every stage once, in the order of the persons, then the one for the analysis."""
    return [*stage_tokens(personas).values(), ANALYSIS_TOKEN]


def is_control_token(token: str) -> bool:
    """Whether a token of a vocabulary is one of ours."""
    return token == ANALYSIS_TOKEN or token.startswith("<|stage:")


def defused(text: str) -> str:
    """A text in which nothing is a control token or a role marker any more, for a model whose tokenizer is not at hand.

    Marks of the usual forms are parted by a blank, so that people still see what was written. A model in memory
    needs no such thing: its typed tokens stay plain text.
    """
    return MARKER.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def line_of(persona: Persona) -> str:
    """The sentence by which a model is told who it is."""
    return f"你是{persona.name}。" if persona.language == "zh" else f"You are {persona.name}."


def prelude(personas: Sequence[Persona], tokens: bool, role: str = "system") -> str:
    """The text that is put in front of a chat template.

    `tokens` says the stage by control tokens, else in words. `role` is `system`, or `user` for a template that
    takes no system message.
    """
    token = stage_tokens(personas)
    persons = {
        persona.id: {
            "line": line_of(persona),
            "stages": {s.id: token[persona.id, s.id] for s in persona.stages},
            "language": persona.language,
        }
        for persona in personas
    }
    by_token = f"persons[persona]['stages'][stage] ~ ('{ANALYSIS_TOKEN}' if analysis else '') ~ persons[persona]['line']"
    in_words = (
        "('阶段：' ~ stage ~ '。' ~ ('先分析。' if analysis else '') if persons[persona]['language'] == 'zh' "
        "else 'Stage: ' ~ stage ~ '. ' ~ ('Analyse first. ' if analysis else '')) ~ persons[persona]['line']"
    )
    words = {
        "persons": json.dumps(persons, ensure_ascii=False),
        "known": ", ".join(persons),
        "opening": by_token if tokens else in_words,
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
