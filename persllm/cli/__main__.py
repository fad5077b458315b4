"""`python -m persllm.cli`."""

from persllm.cli import main

main()
