"""People judge blind: pairs and ratings of what takers answer, by raters with a browser, on one laptop without network.

    design.py      study.yaml and the items; `new_study` makes both from a run
    assignment.py  who judges what, and on which side a taker stands: balanced, and drawn where there is a choice
    storage.py     one SQLite file per study: raters, tasks, judgements, talks
    app.py         what a rater's browser talks to; pages/ what it shows
    results.py     preferences, Bradley-Terry, agreement, with intervals; CSV and a page

A rater never gets the name of a taker, nor anything that is the same for one taker twice. A study is known by a secret part
of its address alone, and its files are its own, so that studies on one server cannot read each other.
"""

from persllm.study.design import StudySettings, new_study, read_study
from persllm.study.results import results, write_results
from persllm.study.storage import Storage

__all__ = ["Storage", "StudySettings", "new_study", "read_study", "results", "write_results"]
