"""A model that answers what a function of the request says, and likes best the texts that it would say."""

from persllm.base import LogLikelihood
from persllm.records import Reply


class Player:
    """Somebody whose answers are known beforehand."""

    def __init__(self, say):
        self.say = say

    def replies(self, requests):
        return ((place, Reply(text=self.say(request))) for place, request in enumerate(requests))

    def log_likelihoods(self, requests, answers):
        return [
            LogLikelihood(total=0.0 if answer.strip() in self.say(request) else -9.0, tokens=1)
            for request, answer in zip(requests, answers, strict=True)
        ]
