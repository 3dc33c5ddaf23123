# The few commands a user types; everything else is Meson's.
BUILD ?= build

.PHONY: all deps demo check check-long fuzz clean

all: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD)

deps:
	@scripts/deps.sh

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

clean:
	rm -rf $(BUILD)
