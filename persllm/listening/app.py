"""FastAPI applications with errors that tell no traces."""

from typing import Any

from persllm.errors import ConfigError, PersllmError
from persllm.listening.guard import Guard
from persllm.listening.refusals import Limits, Refused, error_body
from persllm.parsing import words_of


def make_app(
    title: str,
    key: str = "",
    limits: Limits | None = None,
    open_paths: tuple[str, ...] = ("/health",),
    lifespan: Any = None,
) -> tuple[Any, Guard]:
    """(FastAPI application, the guard around it). Routes go to the first; the second is what listens.

    `open_paths` need no key: exact paths, or beginnings that end in `/`. PersllmError if FastAPI is not installed.
    """
    try:
        import fastapi
        from fastapi.exceptions import RequestValidationError
        from starlette.exceptions import HTTPException
    except ImportError:
        raise ConfigError("listening needs FastAPI and uvicorn: pip install 'persllm[serve]'.") from None

    app = fastapi.FastAPI(title=title, docs_url=None, redoc_url=None, lifespan=lifespan)

    def answer(status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Any:
        return fastapi.responses.JSONResponse(error_body(status, message, code), status, headers)

    app.add_exception_handler(Refused, lambda request, e: answer(e.status, e.message, e.code, e.headers))
    app.add_exception_handler(HTTPException, lambda request, e: answer(e.status_code, str(e.detail), headers=e.headers))
    app.add_exception_handler(RequestValidationError, lambda request, e: answer(400, told(e.errors()), "invalid_request"))
    app.add_exception_handler(PersllmError, lambda request, e: answer(400, str(e)))
    return app, Guard(app, key, limits or Limits(), open_paths)


def told(errors: Any) -> str:
    """What is wrong with a request, in one line, without repeating what was sent."""
    lines = [f"{'.'.join(str(part) for part in error['loc'] if part != 'body') or 'body'}: {words_of(error)}" for error in errors]
    return "; ".join(lines[:5])
