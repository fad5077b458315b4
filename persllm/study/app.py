"""What a rater's browser talks to. Plain forms, no script: it works on any phone, and nothing hides in a page's source.

Every page is made from the rater's own next task; neither taker, nor side, nor whether a task is a check in disguise can
be asked for. The studies of one server are told apart by the secret part of their addresses alone.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml

from persllm.errors import PersllmError
from persllm.listening import Guard, Limits, Refused, make_app
from persllm.records import Message
from persllm.study.design import StudyItem, StudySettings, read_study
from persllm.study.storage import Given, Said, Storage

PAGES = Path(__file__).parent / "pages"
COOKIE = "rater"
LONGEST_SAID = 600
"""Characters of a rater's message in a free talk."""
PAIR = ("left", "same", "right")
RATING = ("1", "2", "3", "4", "5")
BUSY = 30.0
"""Seconds that a message waits for others' answers to be made."""


class OpenStudy:
    """A study that takes raters."""

    def __init__(self, folder: Path, company: Any = None):
        self.settings, items = read_study(folder)
        self.items: dict[str, StudyItem] = {item.id: item for item in items}
        self.storage = Storage(folder)
        self.key = self.storage.key
        self.company = company
        """For free talks: a `persllm.agent.Company`, which plays the takers."""
        self.turn = threading.Lock()

    def say(self, given: Given, text: str) -> Said:
        """Both takers' answers to a message of a free talk."""
        before = self.storage.talk(given.id)
        item = self.items[given.task.item]
        if not self.turn.acquire(timeout=BUSY):
            raise Refused(503, "many are talking at once; send it again in a moment", "busy", {"retry-after": "5"})
        try:
            left, right = (self.answer(item, taker, [(said.said, getattr(said, side)) for said in before], text)
                           for taker, side in ((given.task.left, "left"), (given.task.right, "right")))  # fmt: skip
        finally:
            self.turn.release()
        return Said(said=text, left=left, right=right)

    def answer(self, item: StudyItem, taker: str, before: Sequence[tuple[str, str]], text: str) -> str:
        """What one taker says; empty if it says nothing."""
        agent = self.company.agent(item.persona, item.stage, taker)
        for said, answered in before:
            agent.talk.append(Message(role="user", content=said))
            agent.talk.append(Message(role="assistant", content=answered))
        return agent.say(text).text


def words_of(language: str) -> dict[str, str]:
    """What the pages say in a language."""
    return yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))[language]


class Desk:
    """Takes the requests of raters. Each method is one route: a Starlette request in, a response out."""

    def __init__(self, studies: Sequence[OpenStudy]):
        from jinja2 import Environment, FileSystemLoader

        self.studies = {study.key: study for study in studies}
        self.pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self.words = {language: words_of(language) for language in ("en", "zh")}
        self.style = (PAGES / "study.css").read_text(encoding="utf-8")

    def health(self, request: Any) -> Any:
        """Whether it is up."""
        return response('{"status": "ok"}', media="application/json")

    def styles(self, request: Any) -> Any:
        """The style sheet."""
        return response(self.style, media="text/css", headers={"cache-control": "max-age=3600"})

    def welcome(self, request: Any) -> Any:
        """The consent text; who has begun goes to the next task."""
        study = self.study(request)
        return moved(study, "task") if rater_of(request, study)[1] else self.consent(study, request.query_params.get("language", ""))

    async def begin(self, request: Any) -> Any:
        """A rater who has consented gets a code and tasks."""
        study, form = self.study(request), await form_of(request)
        language = self.language(study, form.get("language", ""))
        if form.get("consent") != "yes":
            return self.consent(study, language, status=400)
        code = await in_thread(study.storage.begin, study.settings, list(study.items.values()), language)
        if not code:
            return self.page("message.html", study, language, message=self.words[language]["full"])
        return with_cookie(moved(study, "task"), study, code)

    async def resume(self, request: Any) -> Any:
        """A rater goes on with a code."""
        study, form = self.study(request), await form_of(request)
        code = form.get("code", "").strip().upper()
        if not await in_thread(study.storage.language, code):
            return self.consent(study, "", "unknown_code", 404)
        return with_cookie(moved(study, "task"), study, code)

    def task(self, request: Any) -> Any:
        """The next task of a rater."""
        study = self.study(request)
        code, language = rater_of(request, study)
        return self.shown(study, code, language) if language else moved(study)

    async def judge(self, request: Any) -> Any:
        """Keep what a rater chose; a page sent twice counts once."""
        study, form, code, language, given = await self.sent(request)
        if given is None or form.get("place") != str(given.place):
            return moved(study, "task")
        values = {dimension: form.get(dimension, "") for dimension in study.settings.dimensions}
        allowed = RATING if given.task.kind == "rating" else PAIR
        if any(value not in allowed for value in values.values()) or not await in_thread(ready, study, given):
            return await in_thread(self.shown, study, code, language, "incomplete", 400)
        await in_thread(study.storage.judge, code, given.place, values)
        return moved(study, "task")

    async def say(self, request: Any) -> Any:
        """A message of a free talk, answered by both."""
        study, form, code, language, given = await self.sent(request)
        text = form.get("text", "").strip()
        if given is None or study.settings.talk != "free" or form.get("place") != str(given.place) or not text:
            return moved(study, "task")
        if len(text) > LONGEST_SAID:
            return await in_thread(self.shown, study, code, language, "too_long", 400)
        await in_thread(study.storage.add_to_talk, code, given.id, await in_thread(study.say, given, text))
        return moved(study, "task")

    # What the routes share -------------------------------------------------------------------------------

    def study(self, request: Any) -> OpenStudy:
        """The study that a request names."""
        found = self.studies.get(request.path_params["key"])
        if found is None:
            raise Refused(404, "no such study", "not_found")
        return found

    async def sent(self, request: Any) -> tuple[OpenStudy, dict[str, str], str, str, Given | None]:
        """Study, form, code and language of the rater, and the task they have before them."""
        study, form = self.study(request), await form_of(request)
        code, language = await in_thread(rater_of, request, study)
        return study, form, code, language, await in_thread(study.storage.current, code) if language else None

    def language(self, study: OpenStudy, wanted: str) -> str:
        """The language of a page."""
        return wanted if wanted in self.words else study.settings.language

    def page(self, template: str, study: OpenStudy, language: str, status: int = 200, **facts: Any) -> Any:
        """A page as a response."""
        words = self.words[language]
        title = study.settings.title
        return response(
            self.pages.get_template(template).render(title=title, key=study.key, language=language, words=words, **facts), status
        )

    def consent(self, study: OpenStudy, wanted: str, problem: str = "", status: int = 200) -> Any:
        """The page that asks for consent."""
        language = self.language(study, wanted)
        text = study.settings.consent.get(language) or study.settings.consent[study.settings.language]
        paragraphs = [part for part in text.split("\n") if part.strip()]
        facts = {"consent": paragraphs, "other": "en" if language == "zh" else "zh", "problem": problem and self.words[language][problem]}
        return self.page("consent.html", study, language, status, **facts)

    def shown(self, study: OpenStudy, code: str, language: str, problem: str = "", status: int = 200) -> Any:
        """The page of a rater's next task, or the thanks."""
        given, words = study.storage.current(code), self.words[language]
        if given is None:
            return self.page("message.html", study, language, message=words["thanks"], code=code)
        facts = facts_of(study, given, words)
        return self.page("task.html", study, language, status, code=code, problem=problem and words[problem], longest=LONGEST_SAID, **facts)


def study_app(studies: Sequence[OpenStudy], key: str = "", limits: Limits | None = None) -> Guard:
    """The application for these studies. Raters need no key but the secret in their link; everything else needs `key`."""
    app, guard = make_app("persllm study", key, limits or Limits(body_bytes=20_000), open_paths=("/health", "/s/"))
    desk = Desk(studies)
    for path, method, work in (
        ("/health", "GET", desk.health),
        ("/s/study.css", "GET", desk.styles),
        ("/s/{key}/", "GET", desk.welcome),
        ("/s/{key}/begin", "POST", desk.begin),
        ("/s/{key}/resume", "POST", desk.resume),
        ("/s/{key}/task", "GET", desk.task),
        ("/s/{key}/task", "POST", desk.judge),
        ("/s/{key}/say", "POST", desk.say),
    ):
        app.add_route(path, work, methods=[method])
    return guard


def rater_of(request: Any, study: OpenStudy) -> tuple[str, str]:
    """Code and language of the rater in this browser; empty if there is none."""
    code = request.cookies.get(COOKIE, "")
    return code, study.storage.language(code) if code else ""


def response(text: str, status: int = 200, media: str = "text/html", headers: dict[str, str] | None = None) -> Any:
    """A text as a response."""
    from starlette.responses import Response

    return Response(text, status, headers, media)


def moved(study: OpenStudy, place: str = "") -> Any:
    """On to another page of the study."""
    return response("", 303, headers={"location": f"/s/{study.key}/{place}"})


def facts_of(study: OpenStudy, given: Given, words: Mapping[str, str]) -> dict[str, Any]:
    """What the page of a task shows."""
    settings, item, kind = study.settings, study.items[given.task.item], given.task.kind
    free = settings.talk == "free"
    talk = study.storage.talk(given.id) if free else []
    sides = {}
    for side, taker in (("left", given.task.left), ("right", given.task.right)):
        spoken = [line for said in talk for line in ({"mine": True, "text": said.said}, {"mine": False, "text": getattr(said, side)})]
        sides[side] = spoken if free else [{"mine": False, "text": item.answers.get(taker, "")}]
    names = {"left": words["answer_a"], "same": words["same"], "right": words["answer_b"]}
    options = [{"value": value, "text": names.get(value, value)} for value in (RATING if kind == "rating" else PAIR)]
    rows = [
        {"name": name, "text": words[f"{name}_rating" if kind == "rating" else name], "options": options} for name in settings.dimensions
    ]
    return {
        "place": given.place, "count": given.of, "kind": kind, "item": item, "rows": rows, "free": free, "turns": settings.turns,
        "show_facts": settings.show_facts, "ready": ready(study, given), "expected": names.get(given.task.expected, ""), **sides,
    }  # fmt: skip


def ready(study: OpenStudy, given: Given) -> bool:
    """Whether a task can be judged yet: a free talk needs its turns."""
    settings: StudySettings = study.settings
    return settings.talk == "fixed" or given.task.kind == "check" or len(study.storage.talk(given.id)) >= settings.turns


async def form_of(request: Any) -> dict[str, str]:
    """The fields of a form; what is no form has none."""
    try:
        return dict(parse_qsl((await request.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=40))
    except (UnicodeDecodeError, ValueError):
        return {}


async def in_thread(work: Any, *arguments: Any) -> Any:
    """Something that waits for disk or model, without holding up the others."""
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(work, *arguments)


def with_cookie(answer: Any, study: OpenStudy, code: str) -> Any:
    """A response that leaves the rater's code in the browser, for this study alone."""
    answer.set_cookie(COOKIE, code, max_age=30 * 86400, path=f"/s/{study.key}/", httponly=True, samesite="strict")
    return answer


def open_studies(folders: Sequence[Path], company_of: Any) -> list[OpenStudy]:
    """The studies in these folders; `company_of(run folder)` opens the models of those with free talks."""
    found = []
    for folder in folders:
        settings, _ = read_study(folder)
        try:
            company = company_of(Path(settings.run)) if settings.talk == "free" else None
        except PersllmError as error:
            raise type(error)(f"{folder}: its raters talk freely, which needs the run: {error}") from None
        found.append(OpenStudy(folder, company))
    return found
