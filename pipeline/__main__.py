"""`python -m pipeline` is `neopulse`."""

from pipeline.cli import main

if __name__ == "__main__":
    main(prog_name="neopulse")
