"""What people are told of the planes' tables of flows: which one fills, and what happens when it is full."""

from enum import Enum

from yaoki.core.event import EventBody
from yaoki.lb.flow_events import FlowTable, FlowTableFilling

TABLE_TERMS: dict[Enum, tuple[str, str]] = {
    FlowTable.FLOWS: (
        "of the table of flows; when it is full, those that were idle longest are forgotten, and scheduled anew",
        "フロー表。満杯になると最も長く無通信のフローを忘れて振り分け直す",
    ),
    FlowTable.NEW_FLOWS: (
        "of the table of flows of one packet; when it is full, the oldest are forgotten, as in a SYN flood",
        "最初の 1 パケットのみのフロー表。満杯になると古いものから忘れる (SYN フラッドなど)",
    ),
    FlowTable.SOURCES: (
        "of the table of persistence; when it is full, sources that were idle longest may get another server",
        "パーシステンス表。満杯になると最も長く無通信の送信元は別のサーバになり得る",
    ),
    FlowTable.MAP: (
        "of its map of flows; when it is full, new flows go by a hash, and move when its servers change",
        "フローのマップ。満杯になると新規フローはハッシュで決まり、サーバが変わると移る",
    ),
}

TABLE_SENTENCES: dict[type[EventBody], tuple[str, str]] = {
    FlowTableFilling: (
        "{whose}: {entries} of {size} entries are in use {table}",
        "{whose}: {size} 件中 {entries} 件を使用中の{table}",
    ),
}
