"""One line per check."""


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, what, holds, saw=""):
        """`saw` is shown when it does not hold."""
        if holds:
            self.passed += 1
            print(f"ok      {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  {what}  saw: {str(saw)[:600]}", flush=True)
        return bool(holds)

    def equal(self, what, found, expected):
        return self.that(f"{what}: {shown(expected)}", found == expected, shown(found))

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def shown(value):
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
