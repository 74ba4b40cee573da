"""Abbreviated words, as in `ip a`: any unambiguous beginning of a word stands for the word."""

from collections.abc import Iterable
from difflib import get_close_matches

from yaoki.core.error import UsageError


def expand(word: str, choices: Iterable[str], *, what: str) -> str:
    """The one choice that `word` is or begins. Raises UsageError, naming the candidates or the nearest choice.

    `what` says what the choices are ("command").
    """
    known = tuple(choices)
    if word in known:
        return word
    # Nothing at all, such as the value of a shell variable that is not set, abbreviates nothing.
    found = tuple(choice for choice in known if word and choice.startswith(word))
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f'the {what} "{word}" could be {" or ".join(found)}; type more of it')
    near = get_close_matches(word, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(known)}"
    raise UsageError(f'there is no {what} "{word}"; {hint}')
