"""What the lab says to people, in English and Japanese; made here and nowhere else in the lab."""

# ruff: noqa: RUF001 - Japanese is not ambiguous
from yaoki.lab.row import Why
from yaoki.lab.survival import Reason

_REASONS: dict[Reason, tuple[str, str]] = {
    Reason.UNTOUCHED: ("no service is touched", "どのサービスにも影響しない"),
    Reason.TAKEOVER: ("{names} takes over", "{names} が引き継ぐ"),
    Reason.KERNEL_GOES_ON: ("the kernel of {names} goes on without it", "{names} のカーネルが動き続ける"),
    Reason.OTHER_SERVERS: ("{names} serves on", "{names} が応答を続ける"),
    Reason.HEALS_ITSELF: ("over before long", "すぐに回復する"),
    Reason.PLANNED: ("planned, made before broken", "計画作業、切れ目なく移す"),
    Reason.HANDED_OVER: ("a lease is given up before it is taken", "リースは手放してから引き継ぐ"),
    Reason.RECONCILES: ("the lower priority gives way", "優先度の低い側が譲る"),
    Reason.NO_OTHER_MEMBER: ("no other node may own the VIP", "VIPを引き継ぐノードがない"),
    Reason.NO_OTHER_SERVER: ("no other real server", "他の実サーバがない"),
    Reason.NO_CHECK_NOTICES: ("no check notices ({names})", "ヘルスチェックで検知できない ({names})"),
    Reason.NO_OTHER_WAY: ("no way around {names}", "迂回路がない ({names})"),
    Reason.NO_MAJORITY: (
        "without {names} the store has no majority, so nobody may own the VIP",
        "{names} なしではストアが過半数を失い、誰もVIPを所有できない",
    ),
    Reason.NEEDS_LEASE: (
        "both sides own the VIP; only a lease could prevent it",
        "双方がVIPを持つ。防げるのはリースのみ",
    ),
}

_WORDS: dict[str, tuple[str, str]] = {
    "scenario": ("scenario", "シナリオ"),
    "outage": ("outage ms", "停止 ms"),
    "lost": ("lost", "損失"),
    "owners": ("two owners ms", "二重所有 ms"),
    "cut": ("cut", "切断"),
    "detect": ("detect", "検知"),
    "switch": ("switch", "切替"),
    "slo": ("slo", "SLO"),
    "verdict": ("", ""),
    "why": ("why", "理由"),
    "survivable": ("survivable", "生存"),
    "covers": ("covers", "対象"),
    "yes": ("yes", "可"),
    "no": ("no", "不可"),
    "ok": ("ok", "ok"),
    "missed": ("MISSED", "超過"),
    "void": ("VOID", "無効"),
    "shown": ("-", "-"),
}


def reason(why: Why, language: int) -> str:
    """One reason; `language` 0 English, 1 Japanese."""
    names = list(why.survival.names)
    text = _REASONS[why.survival.reason][language].format(names=", ".join(names))
    return text.replace(" takes over", " take over").replace(" serves on", " serve on") if len(names) > 1 else text


def reasons(all_why: tuple[Why, ...], language: int) -> str:
    """All reasons of a row; with several, each says which services it is about."""
    if len(all_why) == 1:
        return reason(all_why[0], language)
    return "; ".join(f"{', '.join(why.about)}: {reason(why, language)}" for why in all_why)


def word(key: str, language: int) -> str:
    """A word of the table."""
    return _WORDS[key][language]
