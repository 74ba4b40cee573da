"""The sentences of the flow copier's events; see yaoki.node.sentences."""

from yaoki.core.event import EventBody
from yaoki.lb import flow_events as f

FLOW_SENTENCES: dict[type[EventBody], tuple[str, str]] = {
    f.FlowsCaughtUp: (
        "{peer} has told all its flows: {flows} in {took}",
        "{peer} の全フローを受領: {took} で {flows} 件",
    ),
    f.FlowsNotCaughtUp: (
        "{peer} has not told all its flows: {why}; {flows} are here",
        "{peer} の全フローを受領できず: {why} (受領 {flows} 件)",
    ),
    f.FlowEventsLost: (
        "the kernel told of flows more quickly than they were heard; all are read and told anew",
        "カーネルのフロー通知を取りこぼした。全フローを読み直して伝える",
    ),
    f.FlowsNotTold: (
        "more than {limit} new flows in a second: the rest is told with the next refresh, if it lasts",
        "新規フローが毎秒 {limit} 件を超過。残りは次の定期通知で伝える",
    ),
    f.FlowsNotTaken: (
        "{flows} flows of a peer are not copied: {why}",
        "ピアのフロー {flows} 件をコピーできず: {why}",
    ),
    f.FlowDatagramRefused: (
        "a copy of flows from {source} on {interface} is refused: {flaw} ({count} so far)",
        "{interface} で {source} からのフローコピーを拒否: {flaw} (累計 {count})",
    ),
    f.FlowKeyUnavailable: (
        "a key of the flow copies between this node and {peer} cannot be used: {why}",
        "{peer} とのフローコピーの鍵を使えない: {why}",
    ),
}
