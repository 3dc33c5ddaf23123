"""test_mps.py of PyTorch's own repository, of the version that is installed: counts what passes on "mps".

    mps_suite.py FILE [--only PATTERN] [--again LIST] [--jobs N] [--seconds N] [--list FILE]

FILE is test/test_mps.py of the release's sources (scripts/torch-tests.sh --get has it of Debian's). A Mac's
answers to `sysctl -n hw.memsize` and platform.mac_ver() are put in its way; nothing in it is changed. Tests run
in processes of some hundred each: one that ends a process, or takes too long, is counted, and the next goes on.
Those that need more memory than most machines have (TOO_LARGE) run where --only names them.
"""
import argparse
import collections
import fnmatch
import importlib.util
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
RELEASE = "15.5"  # of macOS: the lists of what fails on a Mac go by it
MEMORY = 8 << 30
A_PROCESS = 200
TOO_LARGE = ("TestMPS.test_large_bmm_*",)  # a result of 9 GB, here and on the processor


def load(path):
    """The file as a module, and its tests by name."""
    import unittest
    platform.mac_ver = lambda *a: (RELEASE, ("", "", ""), "arm64")
    sys.path.insert(0, str(pathlib.Path(path).parent))
    sys.argv = [path]
    spec = importlib.util.spec_from_file_location("test_mps", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["test_mps"] = module
    spec.loader.exec_module(module)
    found = {}

    def walk(suite):
        for t in suite:
            walk(t) if isinstance(t, unittest.TestSuite) else found.setdefault(t.id().removeprefix("test_mps."), t)
    walk(unittest.defaultTestLoader.loadTestsFromModule(module))
    return found


def run_some(path, names, seconds):
    """In a process of its own: a line for each test that begins, and one for what came of it."""
    import faulthandler
    import signal
    import unittest
    found, out = load(path), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    class Result(unittest.TestResult):
        said = None

        def say(self, what, error=None):
            if self.said is None or what in ("failed", "error"):
                first = (error[1].__cause__ or error[1]) if error else ""
                self.said = what, str(first).strip(), type(first).__name__ if error else ""

        def addSuccess(self, test):
            self.say("passed")

        def addFailure(self, test, error):
            self.say("failed", error)

        def addError(self, test, error):
            self.say("failed", error)

        def addSubTest(self, test, subtest, error):
            if error:
                self.say("failed", error)

        def addSkip(self, test, reason):
            self.say("skipped")

        def addExpectedFailure(self, test, error):
            self.say("expected failure")

        def addUnexpectedSuccess(self, test):
            self.say("unexpected success")

    def too_slow(*_):
        raise TimeoutError(f"more than {seconds} s")
    signal.signal(signal.SIGALRM, too_slow)
    for name in names:
        print(f"begin\t{name}", file=out)
        result, start = Result(), time.time()
        signal.alarm(seconds)
        faulthandler.dump_traceback_later(2 * seconds, exit=True)  # where no signal is looked at
        try:
            found[name].run(result)
        except BaseException as e:  # a test's alarm may come between its steps
            result.say("failed", (type(e), e, None))
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        what, why, kind = result.said or ("passed", "", "")
        why = " | ".join(line.strip() for line in why.splitlines() if line.strip())[:400]
        print(f"end\t{name}\t{what}\t{time.time() - start:.1f}\t{kind}: {why}", file=out)
    os._exit(0)


class Runner:
    def __init__(self, a):
        self.a, self.results, self.todo, self.running = a, {}, collections.deque(), []
        self.folder = tempfile.mkdtemp()
        sysctl = pathlib.Path(self.folder, "sysctl")
        sysctl.write_text(f"#!{sys.executable}\nprint({MEMORY})\n")
        sysctl.chmod(0o755)
        self.environment = os.environ | {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        self.report = open(a.list, "w") if a.list else None

    def child(self, *arguments, **named):
        return subprocess.Popen([sys.executable, str(HERE), self.a.file, *arguments], env=self.environment, text=True,
                                stdout=subprocess.PIPE, **named)

    def names(self):
        out = self.child("--names").communicate()[0]
        return [n for n in out.splitlines() if fnmatch.fnmatch(n, self.a.only or "*") and
                (self.a.only or not any(fnmatch.fnmatch(n, large) for large in TOO_LARGE))]

    def failed_before(self):
        """What did not fail then counts as it did."""
        lines = [line.rstrip("\n").split("\t") for line in open(self.a.again)]
        for what, name, seconds, why in lines:
            if what not in ("failed", "crashed"):
                self.note(name, what, seconds, why)
        return [name for what, name, *_ in lines if what in ("failed", "crashed")]

    def note(self, name, what, seconds, why):
        self.results[name] = what, why
        if self.report:
            print(what, name, seconds, why, sep="\t", file=self.report, flush=True)

    def start(self):
        some = self.todo.popleft()
        names = tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False)
        names.write("\n".join(some))
        names.close()
        errors = tempfile.TemporaryFile("w+")
        process = self.child("--run", names.name, "--seconds", str(self.a.seconds), stderr=errors, errors="replace")
        self.running.append((process, some))

    def finish(self, process, some):
        """What is left of its tests goes on in another process; the one that was running ended this one."""
        begun, done = None, 0
        for line in process.stdout:
            fields = line.rstrip("\n").split("\t", 4)
            if fields[0] == "begin":
                begun = fields[1]
            elif fields[0] == "end":
                self.note(fields[1], fields[2], fields[3], fields[4])
                begun, done = None, done + 1
        if process.wait() != 0 or done < len(some):
            name = begun or some[min(done, len(some) - 1)]
            self.note(name, "crashed", "", f"the process ended with {process.returncode}")
            if some[done + 1:]:
                self.todo.appendleft(some[done + 1:])

    def run(self):
        names = self.failed_before() if self.a.again else self.names()
        self.before = len(self.results)
        self.todo.extend(names[n:n + A_PROCESS] for n in range(0, len(names), A_PROCESS))
        import threading
        lock = threading.Lock()

        def work():
            while True:
                with lock:
                    if not self.todo:
                        return
                    self.start()
                    process, some = self.running.pop()
                self.finish(process, some)
                counts = collections.Counter(w for w, _ in self.results.values())
                print(f"{len(self.results)} of {self.before + len(names)}: {dict(counts)}", flush=True)
        workers = [threading.Thread(target=work) for _ in range(self.a.jobs)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("file")
    p.add_argument("--only", help="tests whose name, Class.test, is like this: TestNNMPS.*")
    p.add_argument("--again", metavar="LIST", help="what --list wrote: only what failed then")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--seconds", type=int, default=60, help="of one test")
    p.add_argument("--list", help="a file that gets a line for each test")
    p.add_argument("--names", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--run", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.names:
        print(*load(a.file), sep="\n")
        return
    if a.run:
        run_some(a.file, pathlib.Path(a.run).read_text().split("\n"), a.seconds)
    start, runner = time.time(), Runner(a)
    runner.run()
    counts = collections.Counter(what for what, _ in runner.results.values())
    good, bad = counts["passed"], counts["failed"] + counts["crashed"]
    print(f"{len(runner.results)} tests in {time.time() - start:.0f} s: " +
          ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) +
          f"; {good / max(1, good + bad):.1%} of those that a Mac passes")
    sys.exit(counts["crashed"] > 0)


if __name__ == "__main__":
    main()
