"""What the page talks to: one small JSON interface; answers come line by line as they are written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from persllm.agent import Company
from persllm.errors import PersllmError
from persllm.listening import ErrorBody, Guard, Limits, make_app
from persllm.records import Record
from persllm.web.tables import LONGEST_QUESTION, MOST_SEATS, SeatWanted, Table, Tables

PAGE = Path(__file__).parent / "page"
FILES = {"/": ("index.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript"),
         "/words.json": ("words.json", "application/json")}  # fmt: skip
"""What can be had: these files, and no way from a request to any other."""


class TableWanted(Record):
    """A request for a new table."""

    seats: tuple[SeatWanted, ...] = Field(min_length=1, max_length=MOST_SEATS)
    blind: bool = False


class Said(Record):
    """Something said to a table."""

    table: str = Field(max_length=40)
    text: str = Field(min_length=1, max_length=LONGEST_QUESTION)


class AtTable(Record):
    """A request about a table."""

    table: str = Field(max_length=40)


class AboutAnswer(Record):
    """A request about an answer."""

    table: str = Field(max_length=40)
    answer: str = Field(max_length=40)


class Judged(AboutAnswer):
    """What a user thinks of an answer."""

    kind: Literal["up", "down", "edit", "prefer"]
    better: str = Field("", max_length=4 * LONGEST_QUESTION)
    """`edit`: the user's words; `prefer`: the number of the answer that was chosen."""


def web_app(company: Company, key: str = "", limits: Limits | None = None) -> Guard:
    """The application for the persons of one run."""
    from starlette.responses import Response, StreamingResponse

    app, guard = make_app("persllm", key, limits or Limits(body_bytes=50_000))
    tables = Tables(company)
    errors = {code: {"model": ErrorBody} for code in (400, 401, 403, 404, 408, 409, 413, 429, 500)}
    told = {**errors, 200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}}

    for path, (name, media) in FILES.items():
        app.add_route(path, served((PAGE / name).read_text(encoding="utf-8"), media), methods=["GET"])

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/persons", responses={401: errors[401]})
    def persons() -> dict[str, Any]:
        return described(company, tables)

    @app.post("/api/table", responses=errors)
    def table(wanted: TableWanted) -> dict[str, Any]:
        return shown(tables.open(wanted.seats, wanted.blind))

    @app.post("/api/say", response_class=StreamingResponse, responses=told)
    def say(said: Said) -> Response:
        return lines(tables.say(tables.table(said.table), said.text))

    @app.post("/api/again", response_class=StreamingResponse, responses=told)
    def again(wanted: AtTable) -> Response:
        return lines(tables.say(tables.table(wanted.table), "", again=True))

    @app.post("/api/reveal", responses=errors)
    def reveal(wanted: AtTable) -> dict[str, Any]:
        opened = tables.table(wanted.table)
        tables.reveal(opened)
        return shown(opened)

    @app.post("/api/nearest", responses=errors)
    def nearest(wanted: AboutAnswer) -> dict[str, Any]:
        return {"passages": tables.nearest(tables.table(wanted.table), wanted.answer)}

    @app.post("/api/judge", responses=errors)
    def judge(judged: Judged) -> dict[str, bool]:
        tables.judge(tables.table(judged.table), judged.answer, judged.kind, judged.better)
        return {"kept": True}

    return guard


def served(text: str, media: str) -> Any:
    """A route that gives one text."""

    def route(request: Any) -> Any:
        from starlette.responses import Response

        return Response(text, media_type=media)

    return route


def described(company: Company, tables: Tables) -> dict[str, Any]:
    """The persons of a run, for the page."""
    return {
        "run": company.run.path.name,
        "persons": [
            {
                "id": person.id, "name": person.name, "language": person.language, "profile": person.profile, "takers": tables.takers(person.id),
                "stages": [
                    {"id": s.id, "title": s.title or s.id, "years": f"{s.start}–{s.end}" if s.start or s.end else "", "summary": s.summary}
                    for s in person.stages
                ],
            }
            for person in company.personas.values()
        ],
    }  # fmt: skip


def shown(table: Table) -> dict[str, Any]:
    """A table, as much as the page may know of it."""
    return {"table": table.id, "blind": table.blind, "seats": [table.label(seat) for seat in range(len(table.agents))]}


def lines(events: Iterator[dict[str, object]]) -> Any:
    """Events as lines of JSON, sent as they come; an error ends them with a line that says why."""
    from starlette.responses import StreamingResponse

    def told() -> Iterator[str]:
        try:
            for event in events:
                yield json.dumps(event, ensure_ascii=False) + "\n"
        except PersllmError as error:
            yield json.dumps({"error": str(error)}, ensure_ascii=False) + "\n"

    return StreamingResponse(told(), media_type="application/x-ndjson")
