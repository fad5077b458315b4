# The two commands of the README, and the checks that take longer.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM = false


# constraints.txt pins the versions that are tested; pyproject.toml holds the honest ranges.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

.PHONY: install clean
install: $(VENV)/installed

.PHONY: demo
demo: install ## the bundled world from end to end
	$(BIN)/persllm run demo

.PHONY: probe-demo
probe-demo: install ## questionnaires, attacks and time put to the finished demo: the figures of docs/scales.md, attacks.md, timeline.md
	$(BIN)/persllm scales runs/demo
	$(BIN)/persllm attack runs/demo
	$(BIN)/persllm timeline runs/demo

# LETTERS is a folder with the two volumes as plain text; see personas/beethoven/README.md.
.PHONY: beethoven
beethoven: install ## a real person from his letters: make beethoven LETTERS=DIR
	mkdir -p personas/beethoven/letters
	cp $(LETTERS)/*.txt personas/beethoven/letters/
	rm -f personas/beethoven/letters/*LICENSE*
	$(BIN)/persllm run beethoven

.PHONY: test
test: install ## all tests
	$(BIN)/ruff check persllm tests scripts
	$(BIN)/ruff format --check persllm tests scripts
	$(BIN)/python -m pytest

.PHONY: checks-table
checks-table: install ## precision and recall of the checks on the hand-labelled set
	$(BIN)/python -m pytest -q tests/test_checks_labelled.py

clean:
	rm -rf $(VENV) runs build dist *.egg-info

.PHONY: bench-doctor
bench-doctor: install ## how fast `persllm check` reads a large folder
	$(BIN)/python benchmarks/doctor.py 10 30 100

.PHONY: bench-serving
bench-serving: install ## 64 clients, 2,000 requests, against one at a time; needs runs/demo
	$(BIN)/python benchmarks/serving.py runs/demo --threads 1

.PHONY: check-api
check-api: install ## thousands of odd requests against the OpenAPI description of `persllm serve`
	$(BIN)/pip install --quiet --constraint constraints.txt "schemathesis>=4"
	PERSLLM_FUZZ=1000 $(BIN)/python -m pytest tests/test_api_description.py
# Sizes by arguments: make bench-construction SIZES=10000,100000 ITEMS=5000
ITEMS ?= 20000
SIZES ?= 10000,100000,1000000
.PHONY: bench-construction
bench-construction: install ## calls against what a server allows; deduplication and pair mining up to a million
	$(BIN)/python benchmarks/construction.py calls --items $(ITEMS)
	$(BIN)/python benchmarks/construction.py duplicates --sizes $(SIZES)
	$(BIN)/python benchmarks/construction.py pairs --sizes $(SIZES)

.PHONY: bench-corrections
bench-corrections: install ## what a new version learns from simulated corrections, right and wrong; needs runs/demo
	$(BIN)/python benchmarks/corrections.py runs/demo

.PHONY: check-browser
check-browser: install ## pages in a real browser; needs Chromium and `pip install playwright`
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[browser]"
	PERSLLM_BROWSER_TESTS=1 $(BIN)/python -m pytest tests/browser

.PHONY: bench-preference
bench-preference: install ## ways to learn preferences, on held-out questions; needs runs/demo
	$(BIN)/python benchmarks/preference.py runs/demo

.PHONY: bench-ingestion
bench-ingestion: install ## MB/s and memory of every reader
	$(BIN)/python benchmarks/ingestion.py

.PHONY: fuzz
fuzz: install ## damaged files for every reader and damaged archives, thousands instead of a dozen, and a line of two gigabytes
	PERSLLM_FUZZ=2000 $(BIN)/python -m pytest -q tests/sources/test_fuzz.py tests/sources/test_archives_fuzzed.py

# NOVELS is the folder with pdnc/, litbank/ and chinese/; APART one with other novels of the first corpus, to test on (its own
# data folder, for example); JOURNEY the Chinese novel that was labelled by hand.
NOVELS ?= ../shared/data/novels
JOURNEY ?= $(firstword $(wildcard $(NOVELS)/chinese/*.txt))
.PHONY: bench-attribution
bench-attribution: install ## who said it: a table by novel with intervals and baselines
	$(BIN)/python benchmarks/attribution.py $(NOVELS) $(if $(APART),--apart $(APART))
	$(BIN)/python benchmarks/chinese_attribution.py $(JOURNEY)

.PHONY: walkthrough
walkthrough: install ## docs/novels.md from the novel to the trained character, as a test; needs the shared data
	PERSLLM_WALKTHROUGH=1 $(BIN)/python -m pytest -q tests/test_novels_walkthrough.py

.PHONY: check-ray
check-ray: install ## the LLM constructor over a two-node Ray cluster on this machine, one node killed in the middle
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[ray]"
	PERSLLM_RAY=1 RAY_USAGE_STATS_ENABLED=0 $(BIN)/python -m pytest -s tests/test_cluster.py tests/test_meeting_ray.py

.PHONY: check-serve-annotator
check-serve-annotator: install ## a real `transformers serve` with a toy model as annotator, on the loopback
	$(BIN)/pip install --quiet --constraint constraints.txt "transformers[serving]"
	PERSLLM_ANNOTATOR=1 $(BIN)/python -m pytest -q -s tests/test_served_annotator.py

.PHONY: bench-meeting
bench-meeting: install ## six agents, fifty turns each, alone and eight meetings side by side; needs runs/demo
	$(BIN)/python benchmarks/meeting.py runs/demo

.PHONY: check-export
check-export: install ## a merged export on a real `transformers serve`, our server before it, and a run upon an export
	$(BIN)/pip install --quiet --constraint constraints.txt "transformers[serving]"
	PERSLLM_EXPORT=1 $(BIN)/python -m pytest -q -s tests/test_release_served.py

.PHONY: bench-scoring
bench-scoring: install ## likelihoods in batches against one sample at a time, with the same numbers; needs runs/demo
	$(BIN)/python benchmarks/scoring.py runs/demo

.PHONY: paper
paper: install ## the rows of the paper's tables on the bundled world, into docs/results.md
	$(BIN)/persllm ablate recipes/paper/world.yaml
	$(BIN)/python scripts/write_paper_results.py runs/paper

.PHONY: paper-real
paper-real: install ## the same on a real base: make paper-real BASE=/models/some-base
	$(BIN)/persllm ablate recipes/paper/real.yaml --set base.model=$(BASE)
	$(BIN)/python scripts/write_paper_results.py runs/paper-real

.PHONY: bench-training
bench-training: install ## our training step against plain TRL and a bare loop; needs runs/demo. On a CUDA GPU: benchmarks/training.py gpu
	$(BIN)/python benchmarks/training.py cpu runs/demo

.PHONY: check-launch
check-launch: install ## trainings on two CPU processes and on two launchers, killed, failed and gone on with; minutes
	PERSLLM_LAUNCH=1 $(BIN)/python -m pytest -q -s tests/test_launching.py

.PHONY: bench-stage-tokens
bench-stage-tokens: install ## new tokens, reserved tokens, words: who reads the stage
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/stage_tokens.py

.PHONY: check-memory
check-memory: install ## memory foreseen against memory taken, at six sizes and once where it is short; ten minutes on two cores
	PERSLLM_MEMORY=1 $(BIN)/python -m pytest -q -s tests/test_footprint.py
