"""Where the program starts: `python embedlab.py`, `python -m embedlab_core`, and the console script `embedlab`."""

from embedlab_core.cli.stop import Stopped, end, stop_at_once


def main() -> None:
    stop_at_once()
    from embedlab_core.cli.program import main as program

    try:
        program(prog_name="embedlab")
    except Stopped as stopped:
        # It came between two lines, before the command was ready to be stopped.
        end(stopped.number)
