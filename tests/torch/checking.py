"""What the programs of this folder count with: check() says and counts, FAILED has what did not hold, run() is
a program."""
import sys

FAILED = []


def check(what, good):
    print(f"{what}: {'ok' if good else 'FAILED'}")
    if not good:
        FAILED.append(what)


def run(program):
    """The functions of a program's globals that are named test_..., in their order; the process ends with how many
    checks failed."""
    for name, test in list(program.items()):
        if name.startswith("test_"):
            test()
    sys.exit(len(FAILED))
