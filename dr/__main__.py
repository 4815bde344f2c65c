"""``python -m dr``: hands over to the command line."""

from dr.main import main

if __name__ == "__main__":
    main()
