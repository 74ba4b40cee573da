# Everything a newcomer needs: `make demo` and `make test` install what they use, as root on Debian 12.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

.PHONY: check
check:
	$(BIN)/ruff format --check -q src tests bench
	$(BIN)/ruff check -q src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo -q 2>/dev/null || $(BIN)/lint-imports
	$(BIN)/pytest -q -m "not netns and not peers and not lab"
