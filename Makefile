# The only list of commands. `make demo` runs the product, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

DEMO_DEBIAN := ensurepip=python3-venv prometheus=prometheus prometheus-alertmanager=prometheus-alertmanager
TEST_DEBIAN := $(DEMO_DEBIAN) chromium=chromium firefox-esr=firefox-esr nginx=nginx-light openssl=openssl \
	redis-server=redis-server ip=iproute2 \
	haproxy=haproxy caddy=caddy apache2=apache2-bin varnishd=varnish lighttpd=lighttpd squid=squid uwsgi=uwsgi-core \
	/usr/lib/uwsgi/plugins/python3_plugin.so=uwsgi-plugin-python3 \
	/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so=libnginx-mod-http-brotli-filter
BENCH_DEBIAN := $(TEST_DEBIAN) wrk=wrk

.PHONY: demo test quick check build bench generate fmt clean
.DEFAULT_GOAL := help

help:
	@echo "make demo | test | quick | check | build | bench | generate | fmt | clean"

$(VENV)/pip:
	@tools/debian.sh ensurepip=python3-venv
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo: $(VENV)/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

$(VENV)/dev: $(VENV)/pip pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/demo

beacon_js/node_modules: beacon_js/package-lock.json
	cd beacon_js && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

tests/hops/node/node_modules: tests/hops/node/package-lock.json
	cd tests/hops/node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

## Run everything on loopback: fake Gemini, app, hoarding proxy, collector, live page, pager.
demo: $(VENV)/demo
	@tools/debian.sh $(DEMO_DEBIAN) || echo "streamgap: the demo runs without its pager" >&2
	$(BIN)/streamgap demo $(ARGS)

## Every test, real servers and browsers included.
test: $(VENV)/dev beacon_js/node_modules tests/hops/node/node_modules
	@tools/debian.sh $(TEST_DEBIAN)
	cd beacon_js && npm test
	$(BIN)/pytest

## What to run while coding: no browser, no server from Debian.
quick: $(VENV)/dev
	$(BIN)/pytest -m "not slow"

## Formatting, lint, types, import layers, generated files that are stale.
check: $(VENV)/dev beacon_js/node_modules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate.py --check
	cd beacon_js && npm run check

build: $(VENV)/dev beacon_js/node_modules
	cd beacon_js && npm run build
	$(BIN)/python -m build --outdir dist .

## Ratios against a peer or a limit measured in the same run.
bench: $(VENV)/dev
	@tools/debian.sh $(BENCH_DEBIAN)
	$(BIN)/python bench/run.py

generate: $(VENV)/dev beacon_js/node_modules
	$(BIN)/python tools/generate.py
	cd beacon_js && npm run build

fmt: $(VENV)/dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:
	rm -rf dist build artifacts beacon_js/node_modules $(VENV)
