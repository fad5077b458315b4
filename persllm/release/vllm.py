"""The merged model with two scripts: one starts vLLM on it, the other our server before it.

The flags are those of `vllm serve` as its documentation has them (`--served-model-name`, `--chat-template`,
`--default-chat-template-kwargs`); vLLM itself is not needed here and was not run. The front gives names to persons and
stages, keeps limits and keys, and takes control tokens in what users type apart before the template does it again.
"""

import shlex

from persllm.release import Contents, Release
from persllm.release.merged import below
from persllm.release.model_card import model_card

START = """\
#!/usr/bin/env bash
# Serves the model with vLLM on the loopback. A request chooses with "chat_template_kwargs": {{"persona": ..., "stage": ...}};
# PERSONA and STAGE say who answers where a request does not. Further words go to vLLM.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
PERSONA=${{PERSONA:-{persona}}} STAGE=${{STAGE:-{stage}}}
exec vllm serve "$here/model" --served-model-name {name} --host "${{HOST:-127.0.0.1}}" --port "${{PORT:-8001}}" \\
  --chat-template "$here/model/chat_template.jinja" \\
  --default-chat-template-kwargs "{{\\"persona\\": \\"$PERSONA\\", \\"stage\\": \\"$STAGE\\"}}" "$@"
"""
FRONT = """\
#!/usr/bin/env bash
# Puts `persllm serve` before vLLM: models named person@stage, limits, keys, harmless control tokens.
set -euo pipefail
run=${{1:?which run folder? usage: $0 RUN [options of persllm serve]}}; shift
exec persllm serve "$run" --upstream "http://${{HOST:-127.0.0.1}}:${{PORT:-8001}}/v1" --upstream-model {name} "$@"
"""
USE = """\
In an environment with vLLM, on a machine with a GPU:

```console
./start-vllm.sh
curl http://127.0.0.1:8001/v1/chat/completions -H 'Content-Type: application/json' -d '{{"model": "{name}",
  "messages": [{{"role": "user", "content": "{question}"}}], "chat_template_kwargs": {{"persona": "{persona}", "stage": "{stage}"}}}}'
./start-front.sh RUN
```

The last line puts `persllm serve` before it, which others should be given: models are named `person@stage` there. vLLM was not run where
these files were made; the front was tested before another server of the same API.
"""


def contents(release: Release) -> Contents:
    """Model, scripts, card."""
    person = next(p for p in release.personas if release.wishes.persona in ("", p.id))
    known = {
        "name": shlex.quote(release.name), "persona": person.id, "stage": person.stages[-1].id,
        "question": "你是谁？" if person.language == "zh" else "Who are you?",
    }  # fmt: skip
    model = below(release, "model")
    scripts = {"start-vllm.sh": START.format(**known), "start-front.sh": FRONT.format(**known)}
    return Contents(texts={"README.md": model_card(release, USE.format(**known)), **scripts, **model.texts}, copies=model.copies)
