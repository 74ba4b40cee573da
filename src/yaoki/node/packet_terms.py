"""What people are told of packets that the balancer's program sent to no server: why, and what to do."""

from enum import Enum

from yaoki.lb.packet_reason import PacketReason

PACKET_TERMS: dict[Enum, tuple[str, str]] = {
    PacketReason.SENT: ("went to a server", "サーバへ送信"),
    PacketReason.NOT_OURS: ("were for no service", "どのサービス宛でもない"),
    PacketReason.OTHER_HOST: ("were for another machine's MAC", "他のホストの MAC 宛"),
    PacketReason.OTHER_INTERFACE: (
        "arrived at another interface than their VIP's: correct the route to the VIP",
        "VIP と別のインタフェースに到着: VIP への経路を直す",
    ),
    PacketReason.MALFORMED: (
        "were shorter than their headers say: whoever sends them is broken, or hostile",
        "ヘッダの示す長さより短い: 送信元の故障か攻撃",
    ),
    PacketReason.NO_SERVER: (
        "found nobody who takes new flows, and were refused: `yaoki show service` says why each server is out or full",
        "新規フローを受けるサーバがなく拒否: 各サーバの理由は `yaoki show service`",
    ),
    PacketReason.NO_FLOW: (
        "were ICMP errors about flows that are not known (any more): nothing to do, unless large packets get stuck",
        "未知の (または忘れた) フローに関する ICMP エラー: 大きなパケットが詰まらない限り対処不要",
    ),
    PacketReason.NO_FIRST_FRAGMENT: (
        "were fragments whose first one was not seen, or is no service's: let clients send what fits the MTU",
        "先頭が届いていない、またはサービス宛でないフラグメント: クライアントに MTU 以内で送らせる",
    ),
    PacketReason.SHUT: (
        "came past the VIP's dead-man deadline, and were dropped: `yaoki events` says why the speaker stood still",
        "VIP の期限切れ後に到着し破棄: スピーカー停止の理由は `yaoki events`",
    ),
    PacketReason.TOO_BIG: (
        "did not fit into a tunnel, and their senders were told: nothing to do; a larger MTU to the servers spares it",
        "トンネルに入らず送信元へ通知: 対処不要、サーバ側の MTU を上げれば起きない",
    ),
    PacketReason.TOO_BIG_UNTOLD: (
        "did not fit into a tunnel, their senders could not be told: raise the MTU to the servers, or lower the MSS",
        "トンネルに入らず送信元へ通知もできない: サーバ側の MTU を上げるかクライアントの MSS を下げる",
    ),
    PacketReason.NO_HEADROOM: (
        "had no room before them for a tunnel's headers: the card's driver leaves none; write plane: bpf if it is xdp",
        "トンネルのヘッダを置く余地がない: ドライバの制約、xdp なら plane: bpf にする",
    ),
    PacketReason.HELD_UP: (
        "were of connections that nobody had told of yet, and had to come again: usual after a move, else hostile",
        "他のノードからまだ伝わっていない接続で、再送待ち: 切替直後は正常、他の時は攻撃の疑い",
    ),
}
