"""`python -m lab`: hands over to the command line."""

from lab.cli import main

if __name__ == "__main__":
    main()
