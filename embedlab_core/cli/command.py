"""A command that takes no option twice where one value counts."""

from collections import Counter

import click


class Command(click.Command):
    """Click itself takes the last of several values in silence, which may be a whole index that is not read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises UsageError."""
        # A parser of its own, since parsing leaves traces in the context.
        _, _, order = self.make_parser(click.Context(self, resilient_parsing=True)).parse_args(list(args))
        for option, times in Counter(order).items():
            if isinstance(option, click.Option) and times > 1 and not (option.multiple or option.is_flag):
                raise click.UsageError(f"{option.opts[0]} is given {times} times and takes one value", ctx)
        return super().parse_args(ctx, args)
