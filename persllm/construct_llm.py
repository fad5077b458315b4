"""Conversations made by a language model, as in the paper (section 3.2).

For every material and its stage the model raises questions, opinions, and inductions with a true twin each
(`control`); then it answers each in role, from materials retrieved for it: what the person lived and knows,
and how the person speaks, apart. The stage is said in every call. An induction also brings its wrong answer,
the premise accepted, and a control the truth denied: rejected answers whose contrast is certain.

An item is yielded as soon as all its calls are done. Items with a failed call come last, after one more try,
so that a run stopped by a failing server owes them again. Limits: what the model makes up beyond the
materials is forbidden by the prompt and not detected here.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from itertools import batched, chain

from persllm.annotation import STANCES
