"""The page: ask one person at every stage of life at once, persons side by side, the trained model against a prompt.

    tables.py   talks in progress: a table has seats, each seat is one agent, and every question goes to all of them
    app.py      what the page talks to: one small JSON interface; answers come line by line as they are written
    page/       the page itself: plain HTML, CSS and JavaScript without any foreign part, in English and Chinese

That a model answers is said on every page at all times. What a user corrects goes to `persllm.corrections`.
"""
