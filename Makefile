# SPDX-License-Identifier: Apache-2.0
# Every target calls an npm script, and npm scripts run on the Node 24 that `npm ci` brings.

.DEFAULT_GOAL := help
NPM := npm run --silent

VERSION ?= v0.1.0
IMAGE ?= ghcr.io/ts-provider/ts-provider:$(VERSION)
BASE_IMAGE ?=
CONTAINER_ENGINE ?= docker
ARGS ?=

# Installed once per lock file; npm writes this file itself.
node_modules/.package-lock.json: package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: node_modules/.package-lock.json ## A management cluster and its first cluster; ARGS=--check changes and deletes it, then ends
	@$(NPM) demo -- $(ARGS)

.PHONY: test
test: node_modules/.package-lock.json ## Lint, types, generated files, unit tests, stories on a real API server
	@$(NPM) test

.PHONY: test-unit
test-unit: node_modules/.package-lock.json ## Unit tests only; ARGS=runtime/ for a part
	@$(NPM) test:unit -- $(ARGS)

.PHONY: test-envtest
test-envtest: node_modules/.package-lock.json ## Stories on a real API server only
	@$(NPM) test:envtest -- $(ARGS)

.PHONY: e2e-hosts
e2e-hosts: node_modules/.package-lock.json ## Real clusters on real hosts, over SSH; Linux and root; ARGS=test/hosts/journey.test.ts for a part
	@$(NPM) e2e:hosts -- $(ARGS)

.PHONY: e2e-plain
e2e-plain: node_modules/.package-lock.json ## From hosts with sshd and nothing else, without internet; Linux and root; ARGS=test/plain/journey.test.ts for a part
	@$(NPM) e2e:plain -- $(ARGS)

.PHONY: lint
lint: node_modules/.package-lock.json ## Check style
	@$(NPM) lint

.PHONY: format
format: node_modules/.package-lock.json ## Repair style
	@$(NPM) format

.PHONY: typecheck
typecheck: node_modules/.package-lock.json ## Check types
	@$(NPM) typecheck

.PHONY: generate
generate: node_modules/.package-lock.json ## Write crds/ from api/
	@$(NPM) generate

.PHONY: verify-generate
verify-generate: node_modules/.package-lock.json ## Check that crds/ is what api/ says
	@$(NPM) verify-generate

.PHONY: stack
stack: node_modules/.package-lock.json ## Build the servers of tests and demo, and say where they are
	@$(NPM) stack

.PHONY: release-manifests
release-manifests: node_modules/.package-lock.json ## A clusterctl repository folder in out/repository; VERSION=v0.1.0
	@$(NPM) release-manifests -- --version $(VERSION) $(ARGS)

.PHONY: image
image: node_modules/.package-lock.json ## The container image; VERSION, IMAGE, BASE_IMAGE, CONTAINER_ENGINE
	@$(NPM) bundle
	$(CONTAINER_ENGINE) build $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) --tag $(IMAGE) .

.PHONY: bench
bench: node_modules/.package-lock.json ## Measure; ARGS goes to bench/main.ts
	@$(NPM) bench -- $(ARGS)

.PHONY: bench-hosts
bench-hosts: node_modules/.package-lock.json ## 200 simulated SSH hosts: idle, busy, with slow and hanging ones among them; ARGS=--short
	@$(NPM) bench:hosts -- $(ARGS)

.PHONY: bench-bootstrap
bench-bootstrap: node_modules/.package-lock.json ## Measure the bootstrap provider beside the stock one; ARGS goes to bench/bootstrap/main.ts
	@$(NPM) bench:bootstrap -- $(ARGS)

.PHONY: bench-aws
bench-aws: node_modules/.package-lock.json ## Measure AWS machines beside cluster-api-provider-aws, on moto; ARGS=--short
	@$(NPM) bench:aws -- $(ARGS)

.PHONY: clean
clean: ## Remove what builds leave in this folder
	rm -rf dist out coverage
