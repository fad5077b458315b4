"""Models one can talk to, behind one small protocol: requests go in, replies come out as they are ready.

`ApiModel` talks to OpenAI-compatible addresses, several at once, with many calls in flight, and keeps every good
reply on disk, so that nothing is paid for twice. A call that fails, also after its retries, becomes a Reply that
says why; it is never kept and never data. What every further call would meet as well (a refused key, an unknown
model, a budget that is spent) is an error at once. When the caller stops, by Ctrl-C or by leaving the loop, all
calls in flight are cancelled and no further one is made.

A single request can also be streamed; what is streamed is not kept. `EmbeddingModel` asks for vectors in the same way.
"""

from persllm.chat.address import SetBy, below, on_this_machine
from persllm.chat.kept import ReplyCache
from persllm.chat.ledger import Ledger, Spending
from persllm.chat.model import ApiModel
from persllm.chat.protocol import ChatModel, ScriptedModel, Tally
from persllm.chat.streaming import streamed
from persllm.chat.vectors import Embedded, EmbeddingModel, Encoder

__all__ = [
    "ApiModel", "ChatModel", "Embedded", "EmbeddingModel", "Encoder", "Ledger", "ReplyCache", "ScriptedModel", "SetBy", "Spending", "Tally", "below",
    "on_this_machine", "streamed",
]  # fmt: skip
