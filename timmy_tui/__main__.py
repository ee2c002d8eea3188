"""``python -m timmy_tui`` is ``timmy-tui``."""

from timmy_tui.cli import main

if __name__ == "__main__":
    main()
