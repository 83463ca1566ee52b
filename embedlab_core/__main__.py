"""`python -m embedlab_core` is the same program as the `embedlab` console script."""

from embedlab_core.cli.start import main

if __name__ == "__main__":
    main()
