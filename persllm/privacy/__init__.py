"""What is personal in a text, and how it stays on this machine.

    find_personal(text)         where a text says how to reach, identify or pay somebody
    Masks                       which thing has which mask, the same in all calls of a run
    MaskedModel                 a model one talks to, behind masks
    receivers, refuse_remote    who gets text, and the refusal of all that are not on this machine

The values themselves stand in one file of the run, `privacy/masks.jsonl`, that only its owner can read. The report
beside it holds counts and places, no values.
"""

from persllm.privacy.detectors import KINDS, REGIONS, Personal, PersonalKind, find_personal
from persllm.privacy.masks import Finding, Mask, Masks, report
from persllm.privacy.model import MaskedModel, guarded, masks_for
from persllm.privacy.receivers import Receiver, is_masked, receivers, refuse_receivers, refuse_remote, say

__all__ = [
    "KINDS", "REGIONS", "Finding", "Mask", "MaskedModel", "Masks", "Personal", "PersonalKind", "Receiver", "find_personal", "guarded", "is_masked", "masks_for",
    "receivers", "refuse_receivers", "refuse_remote", "report", "say",
]  # fmt: skip
