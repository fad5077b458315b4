"""identification: who speaks, and at which stage?

A plain classifier (TF-IDF of character n-grams, logistic regression), fitted on the training answers, names person and
stage of each generated answer. `identified_person` asks for the person alone, `identified_stage` for person and stage
together. The classifier's own worth is printed beside it: how often it places the hand-written references right.

Limits: it hears manner and vocabulary, not truth; short answers give it little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from persllm.metrics.sitting import Sitting
from persllm.records import Conversation, Record, Score, TestItem, fingerprint

MOST_PER_PLACE = 300
"""Training answers of each person and stage that are looked at, chosen by their content."""
REFERENCE = "reference"
"""The name under which the references are scored as if they were a taker's answers."""


class Confusion(Record):
    """How often a taker's answers as one person and stage were heard as another."""

    taker: str
    asked: str
    """`person/stage` that was to answer."""
    heard: str
    count: int


@dataclass(frozen=True)
class Classifier:
    """Tells persons and stages by their answers."""

    vectorizer: Any
    model: Any
    places: tuple[tuple[str, str], ...]
    """(person, stage) of each class, in the order of the model's classes."""

    def name(self, texts: Sequence[str]) -> list[tuple[str, tuple[str, str]]]:
        """For each text the likeliest person, and the likeliest person with stage."""
        chances = self.model.predict_proba(self.vectorizer.transform(texts))
        persons = sorted({person for person, _ in self.places})
        sums = np.stack([chances[:, [p == person for p, _ in self.places]].sum(axis=1) for person in persons], axis=1)
        return [(persons[int(sums[row].argmax())], self.places[int(chances[row].argmax())]) for row in range(len(texts))]


def fit(conversations: Sequence[Conversation]) -> Classifier | None:
    """A classifier of the training answers; None if there are not two persons or stages to tell apart."""
    answers: dict[tuple[str, str], dict[str, None]] = {}
    for conversation in sorted(conversations, key=lambda c: fingerprint(c.answer.content)):
        if conversation.persona and conversation.kind != "general":
            answers.setdefault((conversation.persona, conversation.stage), {})[conversation.answer.content] = None
    if len(answers) < 2:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    places = sorted(answers)
    texts = [text for place in places for text in list(answers[place])[:MOST_PER_PLACE]]
    marks = [number for number, place in enumerate(places) for _ in list(answers[place])[:MOST_PER_PLACE]]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=8000)
    model = LogisticRegression(C=20.0, max_iter=100, tol=1e-3, class_weight="balanced").fit(vectorizer.fit_transform(texts), marks)
    return Classifier(vectorizer=vectorizer, model=model, places=tuple(places))


def score(sitting: Sitting, classifier: Classifier | None) -> list[Score]:
    """identified_person and identified_stage of every greedy answer."""
    if classifier is None:
        return []
    asked = [item for item in sitting.items.values() if item.persona and (item.persona, item.stage) in classifier.places]
    named = name_all(classifier, {item.id: sitting.text(item) for item in asked if sitting.text(item)})
    return [one for item in asked for one in scores_of(sitting, item, named.get(item.id), classifier)]


def score_references(sitting: Sitting, classifier: Classifier | None) -> list[Score]:
    """The same for the references of the hand-written items: what the classifier itself is worth."""
    if classifier is None:
        return []
    asked = [i for i in sitting.items.values() if i.origin == "gold" and (i.persona, i.stage) in classifier.places]
    named = name_all(classifier, {item.id: item.reference for item in asked})
    found = [one for item in asked for one in scores_of(sitting, item, named[item.id], classifier)]
    return [one.model_copy(update={"taker": REFERENCE}) for one in found]


def name_all(classifier: Classifier, texts: Mapping[str, str]) -> dict[str, tuple[str, tuple[str, str]]]:
    """Item -> (person, (person, stage)) that the classifier hears."""
    return dict(zip(texts, classifier.name(list(texts.values())), strict=True)) if texts else {}


def scores_of(sitting: Sitting, item: TestItem, named: tuple[str, tuple[str, str]] | None, classifier: Classifier) -> list[Score]:
    """The scores of one item; none for the person if there is one person only."""
    persons = {person for person, _ in classifier.places}
    chances = {"identified_person": 1 / len(persons), "identified_stage": 1 / len(classifier.places)}
    wanted = [metric for metric in chances if metric != "identified_person" or len(persons) > 1]
    if named is None:
        return [sitting.score(metric, item, None, sitting.why_silent(item), chance=chances[metric]) for metric in wanted]
    person, place = named
    right = {"identified_person": person == item.persona, "identified_stage": place == (item.persona, item.stage)}
    return [sitting.score(metric, item, right[metric], chance=chances[metric]) for metric in wanted]


def confusion(sitting: Sitting, classifier: Classifier | None) -> list[Confusion]:
    """How the greedy answers of every person and stage were heard, zeros left out; nothing without a classifier."""
    if classifier is None:
        return []
    table = {place: dict.fromkeys(classifier.places, 0) for place in classifier.places}
    asked = {item.id: item for item in sitting.items.values() if (item.persona, item.stage) in table and sitting.text(item)}
    for item_id, (_, place) in name_all(classifier, {key: sitting.text(item) for key, item in asked.items()}).items():
        table[asked[item_id].persona, asked[item_id].stage][place] += 1
    return [
        Confusion(taker=sitting.taker, asked="/".join(own), heard="/".join(heard), count=count)
        for own, row in table.items()
        for heard, count in row.items()
        if count
    ]
