"""`python -m persllm`: the command, where the script is not on the path."""

from persllm.cli import main

main()
