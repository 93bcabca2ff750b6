# Each target installs what it needs the first time. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo up down doctor status logs upload generate reset test test-full bench bench-docs lint hooks docs lock permissions screenshots token package package-api bootstrap bootstrap-aws plan deploy verify publish destroy checkov

PYTHON := .venv/airflow/bin/python
PRE_COMMIT := env PRE_COMMIT_HOME=.local/cache/pre-commit .venv/airflow/bin/pre-commit
LOCAL := PYTHONPATH=dags $(PYTHON) -m local.cli
# To AWS, or wherever the AWS_ variables of the shell point: they say where a person wants to deploy, and stay.
INFRA := $(PYTHON) -m infra.deploy

# Two workers, a file to each at a time, in the files' order: by the number of their tests, as it would be otherwise, the
# longest file (few tests, of servers that are killed) would come last, and one worker would wait for it.
# Without bytecode each process of Airflow that a test starts would compile what it imports anew, for two seconds.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(PYTHON) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# For the uv that a test calls: no Python from elsewhere, and the certificates that the system trusts.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)

help:
	@awk -F ' *## *' '/^[a-z-]+:.*##/ { sub(/:.*/, "", $$1); printf "  make %-12s %s\n", $$1, $$2 }' Makefile

bootstrap:
	@local/bootstrap.sh

demo: ## everything once, with progress: install, start, load sample files and mock data, account, sync, notify, publish
	@started=$$(date +%s) && local/bootstrap.sh && $(LOCAL) demo --started $$started

up: bootstrap ## start the platform on this machine, or heal what is down
	@$(LOCAL) up

down: bootstrap ## stop the platform; its data stays
	@$(LOCAL) down

doctor: ## what is wrong with this machine or this clone, and what to type (changes nothing)
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then \
			PYTHONPATH=dags exec "$$python" -B -m local.doctor; \
		fi; \
	done; \
	echo "doctor: no Python 3 that can run it. Debian 12, Ubuntu 24.04 or newer: sudo apt-get install -y python3 python3-venv" >&2; exit 1

status: bootstrap ## each part with its health and address
	@$(LOCAL) status

logs: bootstrap ## the end of a part's log: make logs PART=airflow-scheduler
	@$(LOCAL) logs $(PART)

upload: bootstrap ## put files into the landing bucket: make upload FILES="a.csv b.csv" [DATASET=game]
	@$(LOCAL) upload $(if $(DATASET),--dataset="$(DATASET)") -- $(FILES)

token: bootstrap ## a token for the APIs: make -s token CUSTOMER=CUST-0001 [SCOPES="analytics:read notifications:read" SECONDS=3600]
	@$(LOCAL) token --customer="$$CUSTOMER" $(if $(SCOPES),--scopes="$$SCOPES") $(if $(SECONDS),--seconds="$$SECONDS")

generate: bootstrap ## mock data as files, with its truth: make generate [ROWS=100000 PROFILE=normal DAYS=1 SEED=1 UNTIL=… DIALS=…]
	@PYTHONPATH=dags $(PYTHON) -m local.generate $(if $(ROWS),--rows="$$ROWS") $(if $(PROFILE),--profile="$$PROFILE") \
		$(if $(DAYS),--days="$$DAYS") $(if $(SEED),--seed="$$SEED") $(if $(UNTIL),--until="$$UNTIL") $(if $(DIALS),--dials="$$DIALS")

reset: bootstrap ## stop the platform and delete its data
	@$(LOCAL) reset

plan: bootstrap ## what deploy would change: make plan ENV=dev CREATOR=you@example.org [PARAMETERS=file]
	@$(INFRA) plan --environment "$$ENV" --creator "$$CREATOR" --parameters "$$PARAMETERS"

deploy: bootstrap ## deploy an environment to AWS: make deploy ENV=dev CREATOR=you@example.org [PARAMETERS=file]
	@$(INFRA) deploy --environment "$$ENV" --creator "$$CREATOR" --parameters "$$PARAMETERS"

verify: bootstrap ## is what is deployed as it must be: make verify ENV=dev [TOKEN=…] (also ENV=local, of `make up`)
	@if [ "$$ENV" = local ]; then \
		test -f .local/env || { echo "verify local: the platform is not running: make up" >&2; exit 1; }; \
		. .local/env && TOKEN="$$($(LOCAL) token --customer=CUST-0001)" && export TOKEN; \
	fi && PYTHONPATH=dags $(PYTHON) -m infra.verify --environment "$$ENV"

bootstrap-aws: bootstrap ## once, by an administrator: what the pipeline deploys by: make bootstrap-aws ENV=dev CREATOR=… PARAMETERS=file
	@$(INFRA) bootstrap --environment "$$ENV" --creator "$$CREATOR" --parameters "$$PARAMETERS"

publish: bootstrap ## bring the DAGs to an environment's Airflow, migrate, and unpause them: make publish ENV=dev
	@$(INFRA) publish --environment "$$ENV"

destroy: bootstrap ## delete an environment on AWS with all its data: make destroy ENV=dev [BOOTSTRAP=1: and what the pipeline deploys by]
	@$(INFRA) destroy --environment "$$ENV" $(if $(BOOTSTRAP),--with-bootstrap)

package: bootstrap ## build what Airflow runs on AWS, under .local/package [PRIVATE=1: with wheels, for a network without a way to PyPI]
	@$(PYTHON) -m infra.airflow_package $(if $(PRIVATE),--private)

package-api: bootstrap ## build the code of the APIs' function, for AWS and for the emulator
	@$(PYTHON) -m infra.packages

test: bootstrap ## all tests, by two workers with a platform of their own each, in temporary directories (installs chromium)
	@local/chromium.sh
	@$(PYTEST)

test-full: bootstrap ## the same, and what takes too long to run each time: more random tries, bigger files
	@local/chromium.sh
	@$(PYTEST) -m ""

bench: bootstrap ## how fast a part is: make bench JOB=ingest [PEERS=1] [ROWS=100000,1000000] [CASES=ours] (PEERS=1 installs others to compare with)
	@PYTHONPATH=dags $(PYTHON) -m bench.run $(or $(JOB),mockdata) $(if $(PEERS),--peers) $(if $(ROWS),--rows="$$ROWS") \
		$(if $(CASES),--cases="$$CASES")

bench-docs: bootstrap ## write the tables and plots of docs/ from what make bench has measured
	@PYTHONPATH=dags $(PYTHON) -m bench.page

lint: bootstrap ## style, types, SQL, templates, secrets: the hooks of .pre-commit-config.yaml on all files
	@git ls-files -z --cached --others --exclude-standard | xargs -0 $(PRE_COMMIT) run --files

checkov: bootstrap .venv/checkov/installed ## the templates against checkov's rules, in an environment of its own; each exception stands in them with its reason
	@.venv/checkov/bin/checkov --directory infra/templates --framework cloudformation --compact --quiet --skip-download

.venv/checkov/installed: infra/requirements-checkov.txt
	@.venv/airflow/bin/uv venv --quiet --clear --python $(PYTHON) .venv/checkov
	@.venv/airflow/bin/uv pip install --quiet --python .venv/checkov/bin/python --requirement $< && touch $@

hooks: bootstrap ## check each commit before it is made (git hook; the same list as lint)
	@$(PRE_COMMIT) install

permissions: bootstrap ## note what the running platform's roles have called, for docs/permissions.md and its test
	@PYTHONPATH=dags $(PYTHON) -m scripts.permissions .local

docs: bootstrap ## write docs/data-sources.md, docs/openapi.json, docs/mock-data.md's, docs/local-redshift.md's and docs/emulator.md's tables, and docs/erd.md from the running platform
	@PYTHONPATH=dags $(PYTHON) -m scripts.data_sources
	@PYTHONPATH=dags $(PYTHON) -m scripts.openapi
	@PYTHONPATH=dags $(PYTHON) -m scripts.mock_data_dials
	@PYTHONPATH=dags $(PYTHON) -m scripts.mock_data_plots
	@PYTHONPATH=dags $(PYTHON) -m scripts.redshift_statements
	@PYTHONPATH=dags $(PYTHON) -m scripts.permissions
	@PYTHONPATH=dags $(PYTHON) -m scripts.emulator_page
	@test -f .local/env || { echo "docs: the platform is not running: make up" >&2; exit 1; }
	@. .local/env && $(PYTHON) scripts/erd.py

lock: bootstrap ## write the locks of requirements (development, emulator, bench, the Redshift tests' clients) anew
	@scripts/lock.sh

screenshots: bootstrap ## take the pictures of the UI in docs/images, of the running platform (installs chromium)
	@local/screenshots.sh
