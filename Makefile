# Everything runs in .venv, which is made once from requirements.txt.
#   make demo      a broken training, and what Flightcheck says about it
#   make test      all tests
#   make lookalikes, make learning-rates, make peer-suite   measure the diagnosis (docs/lookalikes.md, docs/learning-rates.md,
#                  docs/peer-suite.md; the first two take most of an hour)
#   make zoo       how often the diagnosis is right, on trainings with a fault and without (docs/accuracy.md; most of a
#                  day; of a sample an hour: make zoo BENCHMARK_ARGS="--sample 30")
#   make bench     what watching costs (docs/overhead.md; a quarter of an hour, on a machine that does nothing else)
#   make bench-peers the same beside other tools, which it installs (docs/overhead-peers.md; ten minutes)
#   make page-bench what the report page weighs and how long a browser needs for it (docs/page.md; needs Chromium)
#   make thorough  the tests of which make test takes a part: every check on its small training and the repaired twin, all
#                  kinds of training for the same bits, reproduced programs (an hour)
#   make trackers  sends runs to the real MLflow, W&B, Comet and trackio (docs/trackers.md); installs them (600 MB) into
#                  .venv-trackers, beside the .venv that the other tests use
#   make lint      style and types; make format repairs the style
#   make docs      docs/checks.md and the index of checks from the checks; make picture: docs/report.svg and docs/page.png
#                  from a run of the example (the latter needs Chromium)
#   make page-libraries   the libraries that the report page carries, bundled anew (needs npm)
#   make kernel    the native statistics again, after a change to kernel.cpp
#   make clean     removes what the others made
# Another Python than python3.11 or python3: make PYTHON=/path/to/python demo

SHELL := /bin/bash
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST_ARGS ?=
BENCHMARK_ARGS ?= --jobs 2

.PHONY: demo test thorough bench bench-peers page-bench lookalikes learning-rates peer-suite zoo trackers lint format docs picture \
  page-libraries kernel clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	echo '$$ flightcheck check examples/digits.py'; \
	status=0; PYTHONUNBUFFERED=1 $(BIN)/flightcheck check --runs-dir "$$out/runs" --json "$$out/report.json" \
	  examples/digits.py || status=$$?; \
	if [ $$status -ne 1 ] || ! grep -qs '"root": true' "$$out/report.json"; then \
	  echo "flightcheck found nothing in the example (status $$status); it should have" >&2; exit 1; \
	fi

# Two workers, so one thread for each: more would only wait for each other.
test: $(VENV)/.installed
	$(BIN)/python -m compileall -q src # thousands of tests start processes, which may not be allowed to keep bytecode
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lookalikes: $(VENV)/.installed
	$(BIN)/python -m benchmarks.lookalikes $(BENCHMARK_ARGS)

learning-rates: $(VENV)/.installed
	$(BIN)/python -m benchmarks.learning_rates $(BENCHMARK_ARGS)

peer-suite: $(VENV)/.installed
	$(BIN)/python -m benchmarks.peer_suite

zoo: $(VENV)/.installed
	$(BIN)/python -m benchmarks.zoo $(BENCHMARK_ARGS)

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.overhead

bench-peers: $(VENV)/.installed
	$(BIN)/python -m benchmarks.overhead.side_by_side

page-bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.page

thorough: $(VENV)/.installed
	FLIGHTCHECK_THOROUGH=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/test_trainings.py \
	  tests/test_peer_suite.py tests/reproduction/test_programs.py tests/harmless/test_bit_identity.py tests/harmless/test_live.py tests/views

# The large libraries see what is in .venv and do not bring it again: torch stays the one that is pinned. Only Pillow is
# another one, beside it: trackio has not followed to 13 yet.
TRACKERS := .venv-trackers
trackers: $(TRACKERS)/.installed
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(TRACKERS)/bin/python -m pytest tests/trackers $(PYTEST_ARGS)

$(TRACKERS)/.installed: requirements-trackers.txt $(VENV)/.installed
	$(BIN)/python -m venv --clear $(TRACKERS)
	@echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
	  > "$$($(TRACKERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/venv.pth"
	$(TRACKERS)/bin/python -m pip --disable-pip-version-check --quiet install \
	  --constraint <(grep -v '^pillow==' requirements.txt) --requirement requirements-trackers.txt
	@touch $@

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed
	$(BIN)/python tools/checks_page.py

picture: $(VENV)/.installed
	$(BIN)/python tools/report_picture.py
	$(BIN)/python tools/page_picture.py

page-libraries:
	cd tools/page && npm ci --no-audit --no-fund && node build.mjs

kernel:
	$(or $(PYTHON),python3) hatch_build.py

clean:
	rm -f src/flightcheck/adapters/torch/native/_kernel.so
	rm -rf $(VENV) $(TRACKERS) dist build .pytest_cache .mypy_cache .ruff_cache
	find src tests tools examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.requirements: requirements.txt
	@python=; for candidate in $(if $(PYTHON),'$(PYTHON)',python3.11 python3); do \
	  if "$$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Flightcheck needs Python 3.11 or newer with its venv module (tried: $(or $(PYTHON),python3.11 python3))." >&2; \
	  echo "If you have one under another name: make PYTHON=/path/to/python …" >&2; \
	  exit 1; \
	fi; \
	echo "Installing requirements.txt into $(VENV) (once; PyTorch takes some minutes)"; \
	"$$python" -m venv --clear $(VENV)
	@$(PIP) install --requirement requirements.txt
	@touch $@

$(VENV)/.installed: pyproject.toml hatch_build.py src/flightcheck/adapters/torch/native/kernel.cpp $(VENV)/.requirements
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
