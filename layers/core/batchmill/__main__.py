"""`python -m batchmill` is `batchmill`."""

from batchmill.cli import main

if __name__ == "__main__":
    main()
