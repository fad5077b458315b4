"""A model behind one or several OpenAI-compatible addresses."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from persllm.chat.address import OF_ANNOTATOR, Address, SetBy
from persllm.chat.flight import Flight
from persllm.chat.kept import Keeper, ReplyCache
from persllm.chat.ledger import Accounts
from persllm.chat.protocol import Tally
from persllm.chat.streaming import stream_from
from persllm.constructor_settings import AddressSettings
from persllm.errors import ModelError
from persllm.records import Piece, Reply, Request, fingerprint


class ApiModel:
    """A model behind an OpenAI-compatible address, and behind further ones.

    The key comes from the environment variable that the settings name and goes nowhere but to the server.
    `kept` is the folder in which good replies are kept, or what keeps them. `accounts` allow each call and write
    down what it came to. Messages name what the address is `set_by`. ModelError if the settings lack an address, a model, or a key that is needed.
    """

    ADDRESS: type[Address] = Address
    """How each address is asked."""

    def __init__(
        self,
        settings: AddressSettings,
        kept: Path | Keeper | None = None,
        further: Sequence[AddressSettings] = (),
        accounts: Accounts | None = None,
        set_by: SetBy = OF_ANNOTATOR,
    ):
        self.settings, self.accounts = settings, accounts
        self.addresses = [self.ADDRESS(one, settings.model, set_by) for one in addresses_of(settings, further, set_by)]
        self.kept: Keeper | None = ReplyCache(kept) if isinstance(kept, Path) else kept
        self.tally = Tally()

    @property
    def is_local(self) -> bool:
        """Whether all addresses are on this machine, so that nothing leaves it."""
        return all(address.is_local for address in self.addresses)

    def replies(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Reply]]:
        """The replies as they come in; equal requests are asked once. An error for what no further call could mend."""
        flight = Flight(self.addresses, self.kept, self.accounts)
        before = self.tally
        coming = enumerate(requests)
        places: dict[str, list[int]] = {}
        more = True
        with flight.aloft():
            while more or places:
                more = more and (yield from self.top_up(flight, coming, places))
                if not places:
                    continue
                key, reply, from_disk = flight.landed()
                self.count(flight, reply, from_disk, before)
                yield from ((place, reply) for place in places.pop(key))

    def top_up(self, flight: Flight, coming: Iterator[tuple[int, Request | None]], places: dict[str, list[int]]):
        """Send requests while there is room; what is on the disk is yielded. False when no more will come."""
        while len(places) < flight.room:
            place, request = next(coming, (-1, None))
            if request is None:
                return place >= 0
            key = self.identity(request)
            if key in places:
                places[key].append(place)
                continue
            reply = self.kept.find(key) if self.kept else None
            if reply:
                self.tally = self.tally.more(cached=1)
                yield place, reply
                continue
            places[key] = [place]
            flight.send(key, request)
        return True

    def count(self, flight: Flight, reply: Reply, from_disk: bool, before: Tally) -> None:
        """Bring the tally up to date."""
        good = reply.finish != "error"
        self.tally = self.tally.more(calls=int(good and not from_disk), cached=int(from_disk), failed=int(not good)).model_copy(
            update={
                "usage": before.more(usage=flight.tally.usage).usage,
                "retried": before.retried + flight.tally.retried,
            }
        )

    def stream(self, request: Request) -> Iterator[Piece | Reply]:
        """What is written as it is written, then the whole reply, from the first address; nothing of it is kept on disk."""
        return stream_from(self.addresses[0], request)

    def close(self) -> None:
        """Let the kept replies go; no calls after this."""
        if self.kept:
            self.kept.close()

    def identity(self, request: Request) -> str:
        """Under what a reply is kept."""
        return key_of(self.settings.model, request)


def key_of(model: str, request: Request) -> str:
    """Under what a reply is kept: the model's name and all that is asked, but not the address."""
    asked = request.model_dump(mode="json")
    if not request.json_schema:  # replies that were kept before there was this field are still found
        del asked["json_schema"]
    return fingerprint({"model": model, **asked})


def addresses_of(settings: AddressSettings, further: Sequence[AddressSettings], set_by: SetBy) -> list[AddressSettings]:
    """All addresses of the settings; ModelError if there is none, or no name of the model."""
    if not settings.model:
        raise ModelError(f"{set_by.model} is empty. {how_to_set(set_by.model)}")
    found = [one for one in (settings, *further) if one.url]
    if not found:
        raise ModelError(f"{set_by.url} is empty. {how_to_set(set_by.url)}")
    return found


def how_to_set(name: str) -> str:
    """The way on where a setting of a recipe, or an option, is empty."""
    return f"Give {name} NAME." if name.startswith("-") else f"Set it in the recipe, or with --set {name}=..."
