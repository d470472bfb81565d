"""The command line: the one room that prints or exits.

``table`` lists the commands, ``entry`` picks one and turns errors into sentences, ``options`` parses flags into a
recipe, ``screen`` shows progress; every other file is one command.
"""

from vitrail.cli.entry import main

__all__ = ["main"]
