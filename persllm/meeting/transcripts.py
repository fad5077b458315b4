"""A meeting to read: Markdown, and a page of one file without scripts. What was said is escaped; an AI label stands at the head."""

from html import escape

from persllm.meeting.course import Meeting
from persllm.meeting.seats import Seat
from persllm.meeting.words import word
from persllm.talks import quoted

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
.label { background: #fff3cd; border: 1px solid #d9b84a; padding: .5rem .8rem; border-radius: .4rem; position: sticky; top: 0 }
.turn { margin: .8rem 0; padding-left: .8rem; border-left: .25rem solid hsl(var(--hue) 55% 45%); white-space: pre-wrap; overflow-wrap: anywhere }
.turn b { color: hsl(var(--hue) 55% 30%) } .silent, small { color: #666 }
"""
HUE = 137
"""Degrees between the colours of two seats: neighbours look different."""


def notice(meeting: Meeting) -> str:
    """That a model said all this, but for the words of humans."""
    names = ", ".join(seat.name for seat in meeting.seats if seat.agent is None)
    humans = word(meeting.scene.language, "humans", names=names) if names else ""
    return word(meeting.scene.language, "notice", humans=humans)


def who(seat: Seat) -> str:
    """Name, title of the stage, and which model plays it."""
    title = seat.agent.title if seat.agent and seat.run else seat.name
    return f"{title} ({seat.taker})" if seat.agent else title


def about(meeting: Meeting) -> list[tuple[str, str]]:
    """Goal, setting and opening with their labels, those that are there."""
    scene = meeting.scene
    told = (("goal_label", scene.goal), ("setting_label", scene.setting), ("voice", scene.opening))
    return [(word(scene.language, label), text.strip()) for label, text in told if text.strip()]


def ended(meeting: Meeting) -> str:
    """Why it is over, and the seed."""
    language = meeting.scene.language
    parts = [word(language, "ended", ending=meeting.ending)] if meeting.ending else []
    return " ".join([*parts, word(language, "seed", seed=meeting.seed)])


def as_markdown(meeting: Meeting) -> str:
    """A meeting as Markdown."""
    silent = word(meeting.scene.language, "silent")
    lines = [f"# {quoted(meeting.scene.title)}", f"> {notice(meeting)}", "\n".join(f"- {quoted(who(seat))}" for seat in meeting.seats)]
    lines += [f"*{label}:* {quoted(text)}" for label, text in about(meeting)]
    for turn in meeting.turns:
        lines.append(f"**{quoted(turn.name)}:** {quoted(turn.text) if turn.text else f'*({silent})*'}")
    return "\n\n".join([*lines, ended(meeting)]) + "\n"


def as_html(meeting: Meeting) -> str:
    """A meeting as a page."""
    language, silent = meeting.scene.language, word(meeting.scene.language, "silent")
    seats = "".join(f"<li>{escape(who(seat))}</li>" for seat in meeting.seats)
    told = "".join(f"<p><b>{escape(label)}:</b> {escape(text)}</p>" for label, text in about(meeting))
    turns = "".join(
        f'<div class="turn" style="--hue:{turn.seat * HUE % 360}"><b>{escape(turn.name)}</b> <small>{turn.number}</small><br>'
        f"{escape(turn.text) if turn.text else f'<span class=silent>({escape(silent)})</span>'}</div>\n"
        for turn in meeting.turns
    )
    return (
        f'<!doctype html>\n<html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(meeting.scene.title)}</title><style>{STYLE}</style>\n<h1>{escape(meeting.scene.title)}</h1>\n"
        f'<p class="label">{escape(notice(meeting))}</p>\n<ul>{seats}</ul>\n{told}\n{turns}<p>{escape(ended(meeting))}</p></html>\n'
    )
