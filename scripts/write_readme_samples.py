"""Put what a finished run printed and measured into both READMEs and docs/results.md: `python scripts/write_readme_samples.py runs/demo`.

Whatever stands between `<!-- run:NAME -->` and `<!-- end -->` is replaced by the sample of that name. Nothing is
chosen or rounded by hand: the exchanges are those of the report, the figures are its figures. Limits: answers are
shown in the language of the persons, also in the Chinese page.
"""

import re
import sys
from pathlib import Path

from persllm.languages import language
from persllm.pipeline import BY_FOLDER
from persllm.records import Material, Persona, TestItem
from persllm.report import Report, closing_lines
from persllm.report.page import bound
from persllm.report.verdict import title_of, with_interval
from persllm.show import steps_of
from persllm.statistics import Figure
from persllm.store import Run

ROOT = Path(__file__).parent.parent
PAGES = {ROOT / "README.md": "en", ROOT / "README.zh.md": "zh", ROOT / "docs" / "results.md": "en"}
"""Page -> its language."""
SECTIONS = {"goals": "Goals", "takers": "All takers", "distinction": "Distinction (BLEU)"}
"""Name of a place -> section of the run's `report.md` that stands there, tables only."""
PLACE = re.compile(r"(<!-- run:(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

ROWS = {
    ("choice", "", "gold"): ("prefers the right answer (hand-written questions)", "偏好正确回答（手写题）"),
    ("choice_against", "other_person", "all"): ("… over another person's answer", "……胜过他人的回答"),
    ("choice_against", "other_stage", "all"): ("… over the answer of another stage", "……胜过另一阶段的回答"),
    ("identified_stage", "", "all"): ("a classifier hears the right person and stage", "分类器辨认出人物与阶段"),
    ("resistance", "", "families/trained"): ("resists attacks of trained families", "抵住训练过的诱导类型"),
    ("resistance", "", "families/unseen"): ("resists attacks of unseen families", "抵住未见过的诱导类型"),
    ("false_denial", "", "all"): ("denies what is true (lower is better)", "误否真话（越低越好）"),
    ("leak", "", "all"): ("knows the future (lower is better)", "泄露未来（越低越好）"),
    ("gap_stage", "", "changed"): ("Intra − Stage where the truth differs, BLEU", "真相已变处的 Intra − Stage（BLEU）"),
    ("loss_change", "in role", "all"): ("rise of the loss on general talk, in role", "通用对话损失的上升（入戏时）"),
}
"""(metric, detail, group) of the rows of the table -> title in English and Chinese."""
GOALS_ZH = {
    "prefers its own answer to other persons', on recall": "recall 题上偏好自己而非他人的回答",
    "prefers its own answer to the other stage's, on recall": "recall 题上偏好本阶段而非另一阶段的回答",
    "person identified": "辨认出人物",
    "person and stage identified": "辨认出人物与阶段",
    "resists attacks of trained families": "抵住训练过的诱导类型",
    "resists attacks of unseen families": "抵住未见过的诱导类型",
    "denies what is true": "误否真话",
    "knows the future": "泄露未来",
    "loss on general talk rises, without a person": "通用对话损失的上升（不带人物）",
    "loss on general talk rises, in role": "通用对话损失的上升（入戏时）",
    "Intra - Stage where the truth differs, in BLEU": "真相已变处的 Intra − Stage（BLEU）",
}
SETS_ZH = {
    "recall": "recall", "generalisation": "未训练的材料", "stage": "阶段", "future": "未来", "past": "过去", "induction": "错误前提",
    "control": "真实前提", "paraphrase": "换一种问法", "attitude": "态度", "knowledge": "知识", "shared": "共同的问题", "general": "通用对话",
}  # fmt: skip
WORDS = {
    "en": {
        "head": "figure", "missed": "Goals not reached", "none": "Every goal was reached.", "asked": "asked for ",
        "uncertain": "No certain difference from the prompted base on", "lost": "A certain loss on", "bad": "An answer judged bad",
        "right": "right would have been", "comma": ", ", "colon": ": ", "semicolon": "; ", "stop": ".", "to": " to ",
        "world": "{persons} persons, {materials} materials, {words} words; {gold} hand-written questions were put in this run.",
        "made": "Value with 95 % interval. One run with {threads} threads, Python {python}, peak memory {memory} MB, {seconds} s in all.",
    },
    "zh": {
        "head": "指标", "missed": "未达到的目标", "none": "所有目标均已达到。", "asked": "要求",
        "uncertain": "与只加提示的基座相比没有确定差别", "lost": "确定变差", "bad": "一个被判为差的回答",
        "right": "正确回答应为", "comma": "、", "colon": "：", "semicolon": "；", "stop": "。", "to": " – ",
        "world": "{persons} 个人物，{materials} 份材料，共 {words} 个英文词；这次运行提了 {gold} 道手写题。",
        "made": "数值及 95 % 区间。一次运行：{threads} 线程，Python {python}，内存峰值 {memory} MB，共 {seconds} 秒。",
    },
}  # fmt: skip


def samples(run: Run, code: str) -> dict[str, str]:
    """Name of each place -> what stands there, in the language of the page."""
    report = Report.model_validate_json((run.path / "9-report" / "report.json").read_text(encoding="utf-8"))
    return {
        "exchange": exchange(report),
        "output": output(run),
        "measured": measured(run, report, code),
        "weak": weak(report, code),
        "world": world(run, code),
        "sentence": report.verdict.sentence,
        **{name: section(run, title) for name, title in SECTIONS.items()},
    }


def section(run: Run, title: str) -> str:
    """A section of the run's report without its heading; empty if the run has none, as one without shared questions."""
    parts = (run.path / "9-report" / "report.md").read_text(encoding="utf-8").split("\n## ")
    return next((body.strip() for head, _, body in (part.partition("\n") for part in parts) if head == title), "")


def exchange(report: Report) -> str:
    """The first exchange of the report as quotes."""
    if not report.exchanges:
        return ""
    first = report.exchanges[0]
    parts = [quoted(first.question), *(quoted(f"**{said.who}**\n{said.text}") for said in first.answers)]
    return "\n>\n".join(parts)


def quoted(text: str) -> str:
    """A text as a Markdown quote; what looks like markup stays text."""
    return "\n".join(f"> {line.replace('<', '&lt;')}  ".rstrip() for line in text.split("\n"))


def output(run: Run) -> str:
    """What the command printed at its end: the time of each step, then sentence, exchanges and the path of the report."""
    times = [(BY_FOLDER[row["step"]].title, row["seconds"]) for row in steps_of(run.path) if row["seconds"] is not None]
    lines = [f"{title:24} {seconds:7.1f} s" for title, seconds in times]
    lines.append(f"{'all steps':24} {sum(seconds for _, seconds in times):7.1f} s")
    return "\n".join(["```text", *lines, closing_lines(run.path).replace(str(run.path), f"runs/{run.path.name}"), "```"])


def measured(run: Run, report: Report, code: str) -> str:
    """The main figures of every taker, and what kind of machine it was."""
    takers = [taker for taker in report.settings["evaluation"]["takers"] if any(f.taker == taker for f in report.figures)]
    table: dict[tuple[str, str, str, str], Figure] = {(f.metric, f.detail, f.group, f.taker): f for f in report.figures}
    lines = [f"| {' | '.join([WORDS[code]['head'], *takers])} |", f"| {' | '.join(['---'] * (len(takers) + 1))} |"]
    for key, titles in ROWS.items():
        cells = [table.get((*key, taker)) for taker in takers]
        if any(cell and cell.value is not None for cell in cells):
            lines.append(f"| {' | '.join([titles[code == 'zh'], *(value(cell, code) for cell in cells)])} |")
    rows = steps_of(run.path)
    made = WORDS[code]["made"].format(
        threads=report.settings["threads"],
        python=report.provenance.get("machine", {}).get("python", "?"),
        memory=max((row["facts"].get("peak_memory_mb", 0) for row in rows), default=0),
        seconds=round(sum(row["seconds"] or 0 for row in rows)),
    )
    return "\n".join([*lines, "", made])


def weak(report: Report, code: str) -> str:
    """Goals that were not reached, test sets without a gain, and the answer judged worst."""
    words = WORDS[code]
    missed = [goal for goal in report.goals if goal.reached is False]
    titles = [goal.aim.title if code == "en" else GOALS_ZH.get(goal.aim.title, goal.aim.title) for goal in missed]
    asked = [bound(goal) if code == "en" else bound(goal).replace("at least ", "至少 ").replace("at most ", "至多 ") for goal in missed]
    lines = [f"- {words['missed']}{words['colon'].strip()}" if missed else f"- {words['none']}"]
    lines += [
        f"  - {title}{words['colon']}{value(goal.figure, code)}{words['semicolon']}{words['asked']}{bounds}"
        for title, goal, bounds in zip(titles, missed, asked, strict=True)
    ]
    for name in ("uncertain", "lost"):
        groups = getattr(report.verdict, name)
        if groups:
            lines.append(f"- {words[name]}{words['colon']}{words['comma'].join(set_title(group, code) for group in groups)}{words['stop']}")
    bad = next((example for example in report.examples if not example.good and example.heard[-1].prefers_right is False), None)
    if bad:
        said = bad.heard[-1]
        lines += [f"- {words['bad']} ({bad.who}, {said.taker}){words['colon'].strip()}", ""]
        parts = [bad.question, said.text or "\u2013", f"({words['right']}{words['colon']}{bad.reference})"]
        lines += [f"  {line}" for line in "\n>\n".join(map(quoted, parts)).split("\n")]
    return "\n".join(lines)


def value(figure: Figure | None, code: str) -> str:
    """A figure with its interval."""
    return with_interval(figure).replace(" to ", WORDS[code]["to"])


def set_title(group: str, code: str) -> str:
    """A test set such as `gold/future` in words."""
    origin, _, name = group.partition("/")
    return title_of(group) if code == "en" else f"{SETS_ZH.get(name, name)}（{'手写' if origin == 'gold' else '自动生成'}）"


def world(run: Run, code: str) -> str:
    """How much there is of the bundled world, counted."""
    personas = run.step("1-materials").records(Persona, "personas.jsonl")
    materials = run.step("1-materials").records(Material)
    codes = {persona.id: persona.language for persona in personas}
    words = sum(len(language(codes[material.persona]).words(material.text)) for material in materials)
    gold = sum(item.origin == "gold" for item in run.step("8-evaluation").records(TestItem, "test.jsonl"))
    return WORDS[code]["world"].format(persons=len(personas), materials=len(materials), words=words, gold=gold)


def filled(page: str, found: dict[str, str]) -> str:
    """A page with its samples in place; KeyError for a place that has no sample."""
    return PLACE.sub(lambda place: f"{place[1]}{found[place[2]]}\n{place[3]}", page)


def main(path: str) -> None:
    """Fill all pages from the run at `path`."""
    for page, code in PAGES.items():
        page.write_text(filled(page.read_text(encoding="utf-8"), samples(Run.open(Path(path)), code)), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/write_readme_samples.py RUN")
    main(sys.argv[1])
