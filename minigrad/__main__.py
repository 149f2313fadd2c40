"""`python -m minigrad`: the same as the command `minigrad`."""

from .cli import main

if __name__ == "__main__":
    main()
