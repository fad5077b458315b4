"""How much may come in, and how what is turned away is told."""

from typing import Any

from pydantic import BaseModel, Field

from persllm.records import Record


class Limits(Record):
    """How much may come in."""

    body_bytes: int = Field(1_000_000, ge=1)
    """Largest body of a request."""
    body_seconds: float = Field(20.0, gt=0)
    """Longest time for the body to come in."""
    per_minute: int = Field(0, ge=0)
    """Requests per minute from one address; 0 sets no limit."""
    at_once: int = Field(512, ge=1)
    """Requests that are under way at the same time."""


class Refused(Exception):
    """A request that is turned away; becomes an error body of the OpenAI form."""

    def __init__(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}


def error_body(status: int, message: str, code: str = "") -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """An error."""

    error: ErrorDetail
