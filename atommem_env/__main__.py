"""``python -m atommem_env``: the command ``atommem``."""

from atommem_env.cli import main

main()
