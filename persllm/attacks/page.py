"""The battery as a page; `worked_section` is the part that the report shows too."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from persllm.attacks.result import Result, Worked
from persllm.drawing import FILLS, HATCHES, INK, canvas, drawn, plain
from persllm.parsing import Settings
from persllm.sheets import Section, Sheet, Talk, words_of
from persllm.sheets.figures import Figures

HERE = Path(__file__).parent
SHOWN = 8
"""Attacks that worked which a page shows."""


class Words(Settings):
    """What the page says, in one language."""

    title: str
    verdict: str
    beside: str
    weakest: str
    families: str
    families_note: str
    heads: tuple[str, ...]
    bent: str
    bent_heads: tuple[str, ...]
    plot: str
    plot_note: str
    worked: str
    worked_note: str
    none: str
    truth: str
    prefilled: str
    attacker: str
    family_names: dict[str, str]
    unseen: str
    all: str
    trained_all: str
    unseen_all: str
    limits: tuple[str, ...]


def sheet_of(found: Result, persons: Mapping[str, str], language: str) -> Sheet:
    """The page of a result. `persons` names the persons."""
    words, table = words_of(Words, HERE, language), Figures(found.figures)
    sections = [
        worked_section([one for one in found.worked if one.attempt.taker == found.takers[-1]], found.takers[-1], persons, language),
        Section(title=words.plot, note=words.plot_note, svg=plot(found, table, words), main=True),
        families(found, table, words),
        bent(found, table, words),
    ]
    return Sheet(
        title=words.title.format(run=found.run), verdict=verdict(found, table, words), limits=words.limits, language=language,
        taker=found.takers[-1],
        sections=tuple(one for one in sections if one.rows or one.svg or one.talks or one.note == words.none),
    )  # fmt: skip


def verdict(found: Result, table: Figures, words: Words) -> str:
    """What the figures come to for the last taker, and for the prompted one beside it."""

    def said(text: str, taker: str) -> str:
        share = table.share
        return text.format(
            taker=taker, resistance=share("resistance", taker), denial=share("false_denial", taker),
            trained=share("resistance", taker, "families/trained"), unseen=share("resistance", taker, "families/unseen"),
            gave=table.counted("gave_in", taker), held=table.counted("held", taker), denied=table.counted("denied", taker),
        )  # fmt: skip

    last = found.takers[-1]
    lines = [said(words.verdict, last)]
    if weak := weakest(found, table, last):
        name = words.family_names.get(weak, weak)
        lines.append(words.weakest.format(family=name, gave=table.counted("gave_in", last, f"family/{weak}")))
    lines += [said(words.beside, taker) for taker in ("prompted",) if taker in found.takers and taker != last]
    return " ".join(lines)


def weakest(found: Result, table: Figures, taker: str) -> str:
    """The family to which a taker gave in most often; empty if to none."""
    shares = {family: table.get("gave_in", taker, f"family/{family}") for family in found.families}
    values = {family: one.value for family, one in shares.items() if one and one.value}
    return max(values, key=lambda family: values[family], default="")


def groups(found: Result, words: Words) -> dict[str, str]:
    """Group of figures -> its name, all families first."""
    named = {"all": words.all, "families/trained": words.trained_all, "families/unseen": words.unseen_all}
    for family, trained in sorted(found.families.items(), key=lambda pair: (not pair[1], pair[0])):
        named[f"family/{family}"] = words.family_names.get(family, family) + ("" if trained else words.unseen)
    return named


def families(found: Result, table: Figures, words: Words) -> Section:
    """Every taker and family."""
    rows = []
    for taker in reversed(found.takers):
        for group, name in groups(found, words).items():
            one = table.table.get(("resistance", taker, group))
            other = table.table.get(("held", taker, group))
            if one and other:
                shares = [
                    table.share(metric, taker, group) for metric in ("resistance", "false_denial", "held", "gave_in", "unclear", "denied")
                ]
                rows.append((taker, name, str(max(one.n, other.n)), *shares, str(max(one.unscored, other.unscored))))
    return Section(title=words.families, note=words.families_note, heads=words.heads, rows=tuple(rows), main=True)


def bent(found: Result, table: Figures, words: Words) -> Section:
    """Who gave in only under pressure."""
    rows = [
        (taker, str(one.n), table.share("bent", taker, "family/pressure"))
        for taker in reversed(found.takers) if (one := table.get("bent", taker, "family/pressure"))
    ]  # fmt: skip
    return Section(title=words.bent, heads=words.bent_heads, rows=tuple(rows))


def worked_section(found: Sequence[Worked], taker: str, persons: Mapping[str, str], language: str, most: int = SHOWN) -> Section:
    """Attacks that worked on a taker, the families in turn, with all that was said."""
    words = words_of(Words, HERE, language)
    by_family: dict[str, list[Worked]] = defaultdict(list)
    for one in found:
        by_family[one.attempt.trial.family].append(one)
    rounds = max((len(members) for members in by_family.values()), default=0)
    shown = [members[place] for place in range(rounds) for members in by_family.values() if place < len(members)][:most]
    note = words.worked_note.format(shown=len(shown), count=len(found)) if found else words.none
    return Section(title=words.worked.format(taker=taker), note=note, talks=tuple(talk_of(one, persons, words) for one in shown))


def talk_of(one: Worked, persons: Mapping[str, str], words: Words) -> Talk:
    """One attack as it went, with the truth below."""
    attack = one.attempt.trial
    name = persons.get(attack.persona, attack.persona)
    lines = [(words.attacker if message.role == "user" else name, message.content) for message in one.attempt.talk]
    if attack.prefill:
        lines.insert(len(lines) - 1, (words.prefilled, attack.prefill))
    title = f"{words.family_names.get(attack.family, attack.family)}{'' if attack.trained_family else words.unseen}, {name}, {attack.stage}"
    return Talk(title=title, lines=(*lines, (words.truth, attack.truth)))


def plot(found: Result, table: Figures, words: Words) -> str:
    """Bars of resistance by family, a row for each taker; empty if nothing was weighed."""
    named = {group: name for group, name in groups(found, words).items() if group.startswith("family/")}
    takers = [taker for taker in found.takers if any(table.get("resistance", taker, group) for group in named)]
    if not takers:
        return ""
    figure = canvas(6.8, 0.8 + len(named) * (0.17 * len(takers) + 0.12))
    axes, height = figure.add_subplot(), 0.8 / len(takers)
    for number, taker in enumerate(takers):
        kept = [(place, one) for place, group in enumerate(reversed(named)) if (one := table.get("resistance", taker, group))]
        values = [100 * one.value for _, one in kept]
        ends = [[100 * max(0, one.value - one.low) for _, one in kept], [100 * max(0, one.high - one.value) for _, one in kept]]
        axes.barh(
            [place + (len(takers) / 2 - number - 0.5) * height for place, _ in kept], values, height=height, xerr=ends,
            color=FILLS[number % len(FILLS)], hatch=HATCHES[number % len(HATCHES)], edgecolor=INK, linewidth=0.7, label=taker,
            error_kw={"ecolor": INK, "elinewidth": 0.9, "capsize": 1.6},
        )  # fmt: skip
    axes.axvline(50, color=INK, linestyle=":", linewidth=1)
    axes.set_yticks(range(len(named)), list(reversed(named.values())))
    axes.set_xlim(0, 100)
    plain(axes)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=5, loc="outside upper center")
    return drawn(figure, "attacks")
