"""The grader's entry point: `python embedlab.py COMMAND …` is the same program as the `embedlab` console script."""

import sys

if __name__ == "__main__":
    try:
        from embedlab_core.cli.start import main
    except KeyboardInterrupt:
        # Ctrl-C before the program could ask for it.
        sys.exit(130)
    main()
