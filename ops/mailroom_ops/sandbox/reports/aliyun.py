"""Events of Aliyun Direct Mail, as EventBridge posts them: https://www.alibabacloud.com/help/en/direct-mail"""

import json
import uuid
from typing import Any

from mailroom.model.event import EventType
from mailroom_ops.sandbox.inbox import Captured
from mailroom_ops.sandbox.reports import PATH_SECRET, Posting, iso_time, tags_of

__all__ = ["report", "settings"]


def settings() -> dict[str, str]:
    return {"feedback/aliyun/secret": PATH_SECRET}


def report(mail: Captured, event_type: EventType, now: float) -> Posting | None:
    failure = {"err_code": "550", "err_msg": "550 5.1.1 user unknown", "failed_type": "SmtpNxBox"}
    events: dict[EventType, tuple[str, dict[str, Any]]] = {
        EventType.DELIVERED: ("dm:Deliver:Succeed", {"err_code": "250", "err_msg": "250 Send Mail OK"}),
        EventType.BOUNCED: ("dm:Deliver:Fail", failure),
        EventType.COMPLAINED: ("dm:Feedback:FblReport", {}),
        EventType.OPENED: ("dm:Trace:Open", {}),
        EventType.UNSUBSCRIBED: ("dm:Feedback:UnSubscribe", {}),
    }
    if event_type not in events:
        return None
    name, details = events[event_type]
    headers = {f"X-User-Notify-{tag.replace('_', '-').title()}": value for tag, value in tags_of(mail).items()}
    content = {
        "id": str(uuid.uuid4()),
        "source": "acs:dm",
        "specversion": "1.0",
        "type": name,
        "time": iso_time(now),
        "data": {"env_id": mail.id, "rcpt": mail.to, "event": name, "header": headers, **details},
    }
    return Posting(f"/feedback/aliyun/{PATH_SECRET}", json.dumps(content).encode())
