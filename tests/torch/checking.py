"""What the programs of this folder count with: check() says and counts, FAILED has what did not hold."""
FAILED = []


def check(what, good):
    print(f"{what}: {'ok' if good else 'FAILED'}")
    if not good:
        FAILED.append(what)
