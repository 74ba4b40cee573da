"""The vocabulary as JSON Schema (2020-12), so that an editor completes keys and marks mistakes while one types.

It says less than the validation: JSON Schema knows no references by name and no arithmetic between places.
"""

from yaoki.site.vocabulary import SITE

IDENTIFIER = "https://yaoki.example/schema/site-1.json"


def json_schema() -> dict[str, object]:
    """The schema of a site file."""
    head: dict[str, object] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": IDENTIFIER,
        "title": "Yaoki site file",
    }
    return head | SITE.json_schema()
