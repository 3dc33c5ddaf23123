# The few commands a user types; everything else is Meson's.
BUILD ?= build
# More for `meson setup`, such as --werror or -Dguest_only=true.
SETUP ?=

.PHONY: all deps deps-tests demo check check-long fuzz install uninstall deb clean

all: $(if $(filter check%,$(MAKECMDGOALS)),deps-tests,deps)
	@test -f $(BUILD)/build.ninja || meson setup $(SETUP) $(BUILD)
	@ninja -C $(BUILD)

deps:
	@scripts/deps.sh

# And what the tests alone need.
deps-tests:
	@scripts/deps.sh tests

demo: all
	@scripts/demo.sh $(BUILD)

check: all
	@scripts/check.sh $(BUILD)

check-long: all
	@scripts/check.sh $(BUILD) long

# Ten minutes a target; SECONDS=N for each.
fuzz: all
	@scripts/fuzz.sh $(BUILD) $(or $(SECONDS),600)
	@scripts/fuzz.sh $(BUILD) coverage

# PREFIX is Meson's: `meson configure $(BUILD) --prefix=/usr`.
install: all
	@meson install -C $(BUILD) --no-rebuild

uninstall:
	@ninja -C $(BUILD) uninstall

deb:
	@scripts/deb.sh

clean:
	rm -rf $(BUILD)
