"""The grader's entry point: `python embedlab.py COMMAND …` is the same program as the `embedlab` console script."""

from embedlab_core.cli import main

if __name__ == "__main__":
    main(prog_name="embedlab")
