"""The words of a meeting that are ours: how goal and setting are told, how a moderator is asked, labels of transcripts."""

from types import MappingProxyType

WORDS = MappingProxyType({
    "en": {
        "brief": "You take part in a meeting with {others}. {setting} {goal} Say what you have to say as {name}, in one or two sentences, and speak for nobody else.",
        "goal": "The goal: {goal}",
        "utterance": "{name}: {text}",
        "next": "Who should speak next: {names}? Answer with the name alone.",
        "begin": "The meeting begins.",
        "notice": "AI label: what stands here was said by language models, not by human beings{humans}.",
        "humans": ", except the words of {names}",
        "silent": "says nothing",
        "goal_label": "Goal",
        "setting_label": "Setting",
        "voice": "Opening",
        "ended": "Ended: {ending}.",
        "seed": "seed {seed}",
    },
    "zh": {
        "brief": "你和{others}一起参加一场会面。{setting}{goal}请以{name}的身份用一两句话发言，不要替别人说话。",
        "goal": "目标：{goal}",
        "utterance": "{name}：{text}",
        "next": "接下来该谁发言：{names}？只回答名字。",
        "begin": "会面开始。",
        "notice": "AI 标识：以下内容由语言模型生成，并非真人所说{humans}。",
        "humans": "（{names}的话除外）",
        "silent": "没有说话",
        "goal_label": "目标",
        "setting_label": "场景",
        "voice": "开场",
        "ended": "结束：{ending}。",
        "seed": "种子 {seed}",
    },
})  # fmt: skip


def word(language: str, wording: str, /, **fillings: object) -> str:
    """One of the wordings in a language, its gaps filled. KeyError for a wording that is none."""
    text = WORDS[language][wording]
    for gap, filling in fillings.items():
        text = text.replace(f"{{{gap}}}", str(filling))
    return text
