"""The section `privacy` of a recipe."""

from typing import Literal

from persllm.parsing import Settings


class PrivacySettings(Settings):
    """What is masked before text leaves this machine, and whether any may."""

    mask: Literal["remote", "always", "never"] = "remote"
    """Mask personal data in what is sent to addresses that are not on this machine (`remote`), to all, or to none."""
    kinds: tuple[Literal["word", "account", "mail", "id", "bank", "ip", "phone", "address"], ...] = (
        "word", "account", "mail", "id", "bank", "ip", "phone", "address",
    )  # fmt: skip
    """What is masked: own words, accounts and user names, mail addresses, identity numbers, cards and bank accounts, IP addresses, phones, postal addresses."""
    words: tuple[str, ...] = ()
    """Further words that must not leave, such as names; forms of one thing parted by `=`: `Anna Meyer = Anna`."""
    regions: tuple[str, ...] = ("US", "GB", "CN")
    """Countries whose national form of phone numbers is recognised; numbers with a country's code always are."""
    replies: Literal["restore", "keep"] = "restore"
    """Put the user's own words back into what the model replied, or keep the masks, so that they are trained on."""
    local_only: bool = False
    """Refuse every address that is not on this machine, before anything is sent; also `--local-only` and `PERSLLM_LOCAL_ONLY=1`."""
