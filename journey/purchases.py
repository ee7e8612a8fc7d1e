"""A public record of real purchases: the first months of an online shop of 1997.

The data ship inside the package `lifetimes` of the Python package index: one line per purchase
with customer, date, number of records and amount.
"""

import subprocess
import sys
import zipfile

PACKAGE = "lifetimes==0.11.3"
FILE = "lifetimes/datasets/CDNOW_sample.txt"


def fetch(folder):
    """The first 5,000 purchases."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.whl")):
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps",
             "--only-binary", ":all:", "--dest", folder, PACKAGE],
            check=True, stdin=subprocess.DEVNULL,
        )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        lines = wheel.read(FILE).decode().splitlines()
    return [purchase(number, line) for number, line in enumerate(lines[:5000], start=1)]


def purchase(number, line):
    _, customer, date, records, amount = line.split()
    return {
        "id": f"purchase-{number}",
        "customer": f"cdnow-{customer}",
        "date": f"{date[:4]}-{date[4:6]}-{date[6:]}",
        "records": int(records),
        "total": float(amount),
    }
