"""Verifies webhooks with the official standardwebhooks package."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def verify(case):
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"])
        return True
    except WebhookVerificationError:
        return False


json.dump([verify(case) for case in json.load(sys.stdin)], sys.stdout)
