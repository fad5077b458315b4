"""Trained persons behind an OpenAI-compatible address.

`shapes` are the requests and answers of that API, `names` say which person a model name means, `app` has the
routes. Behind them stands one of two backends with the same face: `worker`, a process of its own that owns the
models and advances all requests together, or `upstream`, another server by address.
"""
