# What each target does is in hack/; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test check bench crds image

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a real pool and a real Kubernetes on this machine: a volume, MySQL on it, its node dies, the data is there (root)
	@hack/demo.sh up

demo-down: ## takes the demo away without a trace (root)
	@hack/demo.sh down

test: ## all checks and tests with the seconds of each part; lab tests need root (make test PARTS="unit docs" for some)
	@hack/test.sh $(PARTS)

check: ## format, clippy, rustdoc, generated CRDs, manifests, scripts
	@hack/check.sh

bench: ## how long "apply" takes compared with the commands by hand: a table, and target/bench.json (root)
	@hack/bench.sh

crds: ## writes the CRDs into crds/ from the types in src/api
	@hack/packages.sh build
	cargo run --quiet --locked -- crds --output crds

image: ## the container image as an archive for docker load, ctr images import or your registry: target/gluster-operator.tar (root)
	@hack/image.sh
