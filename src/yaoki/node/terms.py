"""Words for the values that events carry, English and Japanese; by class, for texts of two classes may be equal."""

from enum import Enum

from yaoki.election.events import LossReason
from yaoki.lb.flow_datagram import DatagramFlaw
from yaoki.lb.flow_events import FlowTable, NotCaughtUp, NotTaken
from yaoki.lb.packet_reason import PacketReason
from yaoki.lb.plane import PlaneReason
from yaoki.node.brain_events import Part
from yaoki.node.packet_terms import PACKET_TERMS
from yaoki.node.table_terms import TABLE_TERMS
from yaoki.packet.claim import Form
from yaoki.pool.health import Turn
from yaoki.pool.member import AdminState, Duty, Health
from yaoki.pool.policy import Outlook, Reason
from yaoki.vrrp import events as vrrp_events
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.heartbeat import HeartbeatFlaw

TERMS: dict[type[Enum], dict[Enum, tuple[str, str]]] = {
    PlaneReason: {
        PlaneReason.NOT_DIRECT: ("BPF is for direct return only", "BPF はダイレクトリターン専用"),
        PlaneReason.FILE: ("the site file says so", "サイトファイルの指定"),
        PlaneReason.CARRIES: ("its interface can carry it", "インタフェースが対応"),
        PlaneReason.STAYS: (
            "it was there before, and a move would cut flows",
            "以前からここにあり、移動はフローを切る",
        ),
        PlaneReason.UNABLE: ("BPF cannot carry it", "BPF では扱えない"),
        PlaneReason.NO_XDP: ("XDP cannot be had", "XDP を使えない"),
        PlaneReason.SHARES: (
            "another service on its interface is to be at XDP",
            "同じインタフェースの別サービスが XDP を指定",
        ),
        PlaneReason.TUNNEL: ("only BPF has tunnels", "トンネルは BPF のみ"),
    },
    PacketReason: PACKET_TERMS,
    FlowTable: TABLE_TERMS,
    Duty: {
        Duty.SERVE: ("serves", "稼働"),
        Duty.DRAIN: ("keeps only the flows it has", "ドレイン (既存フローのみ)"),
        Duty.OUT: ("is out", "離脱"),
    },
    AdminState: {
        AdminState.READY: ("ready", "稼働可"),
        AdminState.DRAIN: ("drain", "ドレイン"),
        AdminState.MAINT: ("maintenance", "メンテナンス"),
    },
    Health: {
        Health.UNKNOWN: ("unknown", "不明"),
        Health.UP: ("up", "正常"),
        Health.DOWN: ("down", "異常"),
    },
    Part: {
        Part.SPEAKER: ("speaker", "スピーカー"),
        Part.CHECKS: ("check worker", "チェックワーカー"),
        Part.LEASES: ("lease keeper", "リースキーパー"),
        Part.FLOWS: ("flow copier", "フローコピー"),
    },
    NotCaughtUp: {
        NotCaughtUp.SILENT: ("it does not answer", "応答なし"),
        NotCaughtUp.BROKEN_OFF: ("it broke off", "途中で途絶えた"),
        NotCaughtUp.TOO_MANY: ("it took too long", "時間切れ"),
    },
    NotTaken: {
        NotTaken.RATE: ("too many in a second", "毎秒の上限を超えた"),
        NotTaken.TABLE_FULL: ("the kernel's table is nearly full", "カーネルの表がほぼ満杯"),
        NotTaken.KERNEL: ("the kernel refused them", "カーネルが拒否"),
    },
    DatagramFlaw: {
        DatagramFlaw.HOP_LIMIT: ("its hop limit is not 255", "ホップリミットが255でない"),
        DatagramFlaw.TRUNCATED: ("it is cut short", "途中で切れている"),
        DatagramFlaw.FOREIGN: ("it is no datagram of a flow copier", "フローコピーのデータグラムでない"),
        DatagramFlaw.VERSION: ("it is of another version", "バージョンが異なる"),
        DatagramFlaw.RECORD: ("it tells of a flow that cannot be", "ありえないフローを含む"),
        DatagramFlaw.NO_KEY: ("it is signed, and this node has no key for it", "署名されているが、検証する鍵がない"),
        DatagramFlaw.UNSIGNED: ("it is not signed", "署名がない"),
        DatagramFlaw.TRAILER: ("its authentication trailer cannot be", "認証トレーラが不正"),
        DatagramFlaw.UNKNOWN_KEY: ("it is signed with an unknown key", "未知の鍵で署名されている"),
        DatagramFlaw.WRONG_HMAC: ("its HMAC is wrong", "HMAC不一致"),
        DatagramFlaw.STALE: (
            "it was signed too long ago, or by another clock",
            "署名時刻が許容範囲外 (時計のずれ)",
        ),
        DatagramFlaw.REPLAYED: ("it is signed, and was heard before", "受信済みの署名の再送"),
    },
    LossReason: {
        LossReason.GIVEN_UP: ("given up", "放棄"),
        LossReason.HOLDER_SILENT: ("its holder fell silent", "保持者が応答なし"),
        LossReason.EXPIRED: ("no renewal reached the store in time", "期限内に更新できず"),
        LossReason.TAKEN: ("the store says it is no longer ours", "ストア上で他者が保持"),
    },
    Form: {
        Form.ANSWER: ("answer", "応答"),
        Form.ANNOUNCEMENT: ("announcement", "告知"),
        Form.QUESTION: ("question", "問い合わせ"),
    },
    Turn: {
        Turn.PROVEN: ("first pass", "初回成功"),
        Turn.FALL_REACHED: ("failures in a row", "連続失敗"),
        Turn.RISE_REACHED: ("passes in a row", "連続成功"),
    },
    Reason: {
        Reason.UP: ("its checks pass", "チェック成功"),
        Reason.SLOW_START: ("its checks pass, slow start", "チェック成功、スロースタート中"),
        Reason.UNPROVEN: ("not checked yet", "未判定"),
        Reason.AWAITING_PROOF: ("waiting for its first passed check", "初回チェック待ち"),
        Reason.CHECKER_SUSPECTED: ("too many failed at once", "一斉障害につきチェック側を疑う"),
        Reason.NOWHERE_BETTER: ("all are down, the last ones are kept", "全滅につき最後のサーバを維持"),
        Reason.STANDS_IN: ("none of a higher priority can serve", "優先度の高いサーバが応答できないため代行"),
        Reason.STANDS_BY: ("others come first", "他のサーバを優先して待機"),
        Reason.SORRY: ("says sorry, nobody else can serve", "他に応答できるサーバがないためお詫びを返す"),
        Reason.DOWN: ("its check failed", "チェック失敗"),
        Reason.LEAKS: ("claims the VIP on the wire (ARP, ND)", "VIP を ARP/ND で名乗っている"),
        Reason.LEAK_BORNE: (
            "claims the VIP on the wire (ARP, ND), but nobody better can serve",
            "VIP を ARP/ND で名乗っているが、代わりがない",
        ),
        Reason.DRAINED: ("drained by an operator", "操作によりドレイン"),
        Reason.ZERO_WEIGHT: ("weight 0", "重み 0"),
        Reason.MAINTENANCE: ("in maintenance", "メンテナンス中"),
    },
    Outlook: {
        Outlook.PROVEN: ("working", "稼働確認済み"),
        Outlook.UNPROVEN: ("not checked yet", "未判定"),
        Outlook.CHECKER_SUSPECTED: ("the checker is suspected", "チェック側を疑う"),
        Outlook.NOWHERE_BETTER: ("the last servers are kept", "最後のサーバを維持"),
        Outlook.BACKUP: ("on its backup servers", "予備サーバで稼働中"),
        Outlook.SORRY: ("the sorry server answers", "お詫びサーバが応答"),
        Outlook.NOBODY: ("new flows are refused", "新規フローを拒否"),
    },
    vrrp_events.Reason: {
        vrrp_events.Reason.CONFIGURED: ("configured, waiting for its interface", "設定済み、インタフェース待ち"),
        vrrp_events.Reason.STARTED: ("started, listening for an active router", "開始、アクティブルータを確認中"),
        vrrp_events.Reason.OWNS_ADDRESSES: ("priority 255, owner of the addresses", "優先度255、アドレス所有者"),
        vrrp_events.Reason.ADDRESSES_HELD: ("the addresses were held from before", "以前からアドレスを保持"),
        vrrp_events.Reason.NOBODY_HEARD: ("no active router heard", "アクティブルータの広告なし"),
        vrrp_events.Reason.ACTIVE_SILENT: ("the active router fell silent", "アクティブルータの広告が途絶えた"),
        vrrp_events.Reason.ACTIVE_RELEASED: ("the active router gave up", "アクティブルータが解放した"),
        vrrp_events.Reason.PREEMPTED_LOWER: ("retook from a lower priority", "低い優先度から取り戻した"),
        vrrp_events.Reason.HIGHER_PRIORITY: ("a higher priority was heard", "より高い優先度を受信"),
        vrrp_events.Reason.GREATER_ADDRESS: (
            "equal priority, greater address heard",
            "同じ優先度で大きいアドレスを受信",
        ),
        vrrp_events.Reason.ACTIVE_FAILING: (
            "retook from one that lost more of its priority",
            "優先度をより失った側から引き継ぎ",
        ),
        vrrp_events.Reason.HELD_OUT: ("returned, waiting to be admitted", "復帰、承認待ち"),
        vrrp_events.Reason.QUARANTINED: (
            "returned, in quarantine until its data is known to be current",
            "復帰、データが最新と確認されるまで隔離中",
        ),
        vrrp_events.Reason.ADMITTED: ("admitted, it may own again", "承認済み、再び所有できる"),
        vrrp_events.Reason.BARRED: (
            "may not own while what it tracks has failed",
            "監視対象の障害中は所有できない",
        ),
        vrrp_events.Reason.HINDERED: (
            "another router of its sync group may not own",
            "同期グループの他のルータが所有できない",
        ),
        vrrp_events.Reason.REPLACED: (
            "another node has taken this one's place",
            "このノードは別のノードに交代済み",
        ),
        vrrp_events.Reason.GROUP_ELSEWHERE: (
            "the rest of its sync group is owned elsewhere",
            "同期グループの残りは他のノードが所有",
        ),
        vrrp_events.Reason.KEPT: (
            "keeps what it may not own, for nobody better takes it",
            "引き継ぐ健全なルータがないため保持",
        ),
        vrrp_events.Reason.OVERSLEPT: ("the speaker had stood still for too long", "スピーカーが長く停止していた"),
        vrrp_events.Reason.LEASE_GRANTED: ("the lease was granted", "リースを取得"),
        vrrp_events.Reason.LEASE_RAN_OUT: ("the lease ran out", "リースの期限切れ"),
        vrrp_events.Reason.LEASE_TAKEN: ("another node holds the lease", "他のノードがリースを保持"),
        vrrp_events.Reason.NO_GATE: ("the kernel refused the dead-man gate", "カーネルがデッドマンゲートを拒否"),
        vrrp_events.Reason.NO_KEY: (
            "the key that signs its advertisements is not there",
            "広告に署名する鍵がない",
        ),
        vrrp_events.Reason.OTHER_FAMILY: ("the other family gave way", "もう一方のアドレスファミリが譲った"),
        vrrp_events.Reason.INTERFACE_DOWN: ("interface down", "インタフェース断"),
        vrrp_events.Reason.NO_SOURCE_ADDRESS: (
            "interface has no address to send from",
            "インタフェースに送信元アドレスがない",
        ),
        vrrp_events.Reason.STOPPED: ("stopped", "停止"),
        vrrp_events.Reason.REMOVED: ("removed from the configuration", "設定から削除"),
        vrrp_events.Reason.MOVED: ("moved away by an operator", "操作により移動"),
        vrrp_events.Reason.NOBODY_TOOK_OVER: ("nobody else took over", "他に引き継ぐノードなし"),
    },
    Rejection: {
        Rejection.HOP_LIMIT: ("hop limit is not 255", "ホップリミットが255でない"),
        Rejection.TRUNCATED: ("truncated", "途中で切れている"),
        Rejection.VERSION: ("wrong version", "バージョン不正"),
        Rejection.TYPE: ("not an advertisement", "広告でない"),
        Rejection.VRID: ("VRID is zero", "VRIDが0"),
        Rejection.NO_ADDRESSES: ("no addresses", "アドレスなし"),
        Rejection.CHECKSUM: ("wrong checksum", "チェックサム不正"),
        Rejection.INTERVAL: ("advertisement interval does not fit", "広告間隔が範囲外"),
        Rejection.AUTHENTICATION: ("unknown authentication", "未知の認証"),
        Rejection.OWN_ADDRESS: ("sent from our own address", "自分のアドレスから送信されている"),
        Rejection.NOT_A_PEER: ("sent by none of the peers", "ピア以外から送信されている"),
        Rejection.UNSIGNED: ("not signed", "署名がない"),
        Rejection.TRAILER: ("authentication trailer that cannot be", "認証トレーラが不正"),
        Rejection.UNKNOWN_KEY: ("signed with an unknown key", "未知の鍵で署名されている"),
        Rejection.WRONG_HMAC: ("wrong HMAC", "HMAC不一致"),
        Rejection.STALE: ("signed too long ago, or by another clock", "署名時刻が許容範囲外 (時計のずれ)"),
        Rejection.REPLAYED: ("signed, and heard before", "受信済みの署名の再送"),
    },
    HeartbeatFlaw: {
        HeartbeatFlaw.HOP_LIMIT: ("hop limit is not 255", "ホップリミットが255でない"),
        HeartbeatFlaw.TRUNCATED: ("truncated", "途中で切れている"),
        HeartbeatFlaw.NOT_A_HEARTBEAT: ("no heartbeat", "ハートビートでない"),
        HeartbeatFlaw.VERSION: ("wrong version", "バージョン不正"),
        HeartbeatFlaw.TEXT: ("a name that is no text", "名前が文字列でない"),
        HeartbeatFlaw.INTERVAL: ("interval is zero", "間隔が0"),
        HeartbeatFlaw.ROUTER: ("a router that cannot be", "ルータの記述が不正"),
        HeartbeatFlaw.TRAILING: ("more than it should hold", "余分なデータ"),
        HeartbeatFlaw.WRONG_NODE: ("another node than the one at this address", "アドレスとノード名が一致しない"),
        HeartbeatFlaw.UNSIGNED: ("not signed", "署名がない"),
        HeartbeatFlaw.TRAILER: ("authentication trailer that cannot be", "認証トレーラが不正"),
        HeartbeatFlaw.UNKNOWN_KEY: ("signed with an unknown key", "未知の鍵で署名されている"),
        HeartbeatFlaw.WRONG_HMAC: ("wrong HMAC", "HMAC不一致"),
        HeartbeatFlaw.STALE: ("signed too long ago, or by another clock", "署名時刻が許容範囲外 (時計のずれ)"),
        HeartbeatFlaw.REPLAYED: ("signed, and heard before", "受信済みの署名の再送"),
    },
}
