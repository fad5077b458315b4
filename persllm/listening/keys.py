"""The key by which who may come in is known."""

import hmac
import ipaddress
import os
import secrets

from persllm.errors import ConfigError

KEY_VARIABLE = "PERSLLM_API_KEY"
"""Environment variable that holds the key."""
SHORTEST_KEY = 16
"""Characters that a key must have where others can reach us."""


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def key_for(host: str, variable: str = KEY_VARIABLE) -> tuple[str, bool]:
    """(key, whether it was made now): that of the environment; else none on the loopback, and a fresh one elsewhere.

    ConfigError if the key in the environment is too short to keep others out.
    """
    key = os.environ.get(variable, "")
    if key and len(key) < SHORTEST_KEY and not is_loopback(host):
        raise ConfigError(f"{variable}: a key of {len(key)} characters is too short. Take at least {SHORTEST_KEY}, or unset it to get one.")
    if key or is_loopback(host):
        return key, False
    return secrets.token_urlsafe(24), True


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
