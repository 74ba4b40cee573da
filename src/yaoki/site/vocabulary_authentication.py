"""The part of the vocabulary for signed advertisements; see yaoki.site.vocabulary."""

from yaoki.packet.authentication_params import LONGEST_WINDOW, SHORTEST_WINDOW, Mode, Replay
from yaoki.site.kinds import Duration, Integer, Secret, Word
from yaoki.site.shapes import Key, ListOf, Record

_ID = Integer(1, 255)

AUTHENTICATION = Record(
    "an authentication",
    (
        Key("hmac", Secret(), "the key that signs: 32 to 64 characters, or `hex:` and digits", required=True),
        Key("key-id", _ID, "the number that it goes by on the wire", "1"),
        Key(
            "also",
            ListOf(
                Record(
                    "a key",
                    (
                        Key("hmac", Secret(), "the key", required=True),
                        Key("key-id", _ID, "the number that it goes by", required=True),
                    ),
                )
            ),
            "more keys that are accepted, while keys are changed",
            "[]",
        ),
        Key(
            "mode",
            Word(
                {
                    "receive-only": "it does not sign, and verifies what is signed",
                    "permissive": "it signs, and takes what is not signed as well",
                    "enforce": "what is not signed is refused",
                },
                Mode,
            ),
            "how far all routers have come",
            "enforce",
        ),
        Key(
            "replay",
            Word(
                {
                    "time": "what was signed outside the window is refused: clocks must agree",
                    "monotonic": "each number must be greater than the last",
                },
                Replay,
            ),
            "how captured advertisements are known",
            "time",
        ),
        Key(
            "window",
            Duration(SHORTEST_WINDOW, LONGEST_WINDOW),
            "how far the clocks of sender and receiver may differ, in whole seconds",
            "three advertisement intervals, 5s at least",
        ),
    ),
)
