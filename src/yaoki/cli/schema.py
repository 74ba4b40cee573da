"""Print the JSON Schema of the site file, for editors.

examples:
  yaoki schema > ~/.config/yaoki-site.json
  # first line of a site file, for editors with the YAML language server:
  # yaml-language-server: $schema=/home/me/.config/yaoki-site.json
"""

import argparse

from yaoki.cli.output import print_json
from yaoki.site.json_schema import json_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: there are none."""


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - the schema is JSON whether -j is given or not
    """Print it."""
    print_json(json_schema())
    return 0
