"""The sentence of each event kind, English and Japanese. Fields stand in braces; brackets vanish if theirs is empty."""

from yaoki.checks import events as c
from yaoki.core.event import EventBody
from yaoki.election import events as e
from yaoki.node import brain_events as b
from yaoki.node import speaker_events as s
from yaoki.node.diagnosis_events import DIAGNOSIS_SENTENCES
from yaoki.node.flow_sentences import FLOW_SENTENCES
from yaoki.node.table_terms import TABLE_SENTENCES
from yaoki.vrrp import events as v
from yaoki.vrrp import wire_events as w

SENTENCES: dict[type[EventBody], tuple[str, str]] = {
    **TABLE_SENTENCES,
    # --- virtual routers
    v.BecameActive: (
        "{vip} is owned here ({router}, priority {priority}): {reason} (epoch {epoch})",
        "{vip} をこのノードが所有 ({router}、優先度 {priority}): {reason} (エポック {epoch})",
    ),
    v.BecameBackup: (
        "{vip} is on standby here ({router}): {reason} ({peer})",
        "{vip} はこのノードで待機 ({router}): {reason} ({peer})",
    ),
    v.RouterInitialized: (
        "{vip} takes no part here ({router}): {reason}",
        "{vip} はこのノードで不参加 ({router}): {reason}",
    ),
    v.HandOverBegun: (
        "{vip} is handed over ({router}): {reason}; served here until another has it, {within} at most",
        "{vip} を引き渡す ({router}): {reason}。後継が引き継ぐまで最長 {within} はこのノードで継続",
    ),
    v.HandedOver: (
        "{peer} (priority {peer_priority}) has taken {vip} over after {after} ({router})",
        "{peer} (優先度 {peer_priority}) が {after} 後に {vip} を引き継いだ ({router})",
    ),
    v.NobodyTookOver: (
        "nobody took {vip} over within {waited} ({router})",
        "{waited} 待っても {vip} を引き継ぐノードなし ({router})",
    ),
    v.PeerReleased: ("{peer} gives up {router}", "{peer} が {router} を解放"),
    v.HeldOut: (
        "{vip} is held out here ({router}) until it is admitted; {peer} owns it with priority {peer_priority}",
        "{vip} は承認まで保留 ({router})、{peer} が優先度 {peer_priority} で所有",
    ),
    v.NobodyOwns: (
        "nobody owns {vip} ({router}): it is held out here until it is admitted",
        "{vip} の所有者なし ({router}): 承認待ち",
    ),
    v.Quarantined: (
        "{vip} is in quarantine here ({router}): this node has returned, and its data may not be current",
        "{vip} はこのノードで隔離中 ({router}): 復帰したノードのデータは最新でない可能性",
    ),
    v.QuarantineLifted: (
        "{vip} is out of quarantine ({router}): nobody owns it, and the site file says that this ends it",
        "{vip} の隔離を終了 ({router}): 所有者がなく、サイトファイルがこの場合の終了を指定",
    ),
    v.BidMade: (
        "{vip}: asking its owner, of lower priority than {priority} here, for its lease ({router})",
        "{vip}: 優先度がここの {priority} より低い所有者にリースの引き渡しを要求 ({router})",
    ),
    v.BidInVain: (
        "{vip}: its owner, of lower priority, keeps its lease though it was asked for it ({router})",
        "{vip}: 優先度の低い所有者が要求に応じずリースを保持 ({router})",
    ),
    v.Admitted: ("{vip} may be owned here again ({router})", "{vip} の所有を承認 ({router})"),
    v.SecondOwnerSuspected: (
        "{vip} may have two owners ({router}): {peer} advertises it too, priority {peer_priority}",
        "{vip} の所有者が二つの疑い ({router}): {peer} も優先度 {peer_priority} で広告",
    ),
    v.AddressListMismatch: (
        "{peer} advertises other addresses for {router}: {theirs}; here: {ours}",
        "{peer} の {router} のアドレスが異なる: {theirs}、こちらは {ours}",
    ),
    v.PeerMayBeDeaf: (
        "{peer} may discard what we advertise for {vip}, for its addresses differ: {theirs}; give it ours: {ours}",
        "{peer} は {vip} のアドレスが異なるため、こちらの広告を破棄している可能性: {theirs}、正しくは {ours}",
    ),
    v.IntervalLearnt: (
        "{router} follows the interval of {peer}: {interval} (configured: {configured})",
        "{router} は {peer} の広告間隔 {interval} に従う (設定値 {configured})",
    ),
    v.ChecksumFormLearnt: (
        "{router} uses the checksum form of {peer}: {form}",
        "{router} は {peer} のチェックサム形式を使う: {form}",
    ),
    v.PriorityChanged: (
        "{vip} is advertised with priority {after}, before {before} ({router})",
        "{vip} の広告優先度 {before} → {after} ({router})",
    ),
    v.Barred: (
        "{vip} may not be owned here for the time being ({router})",
        "{vip} は当面ここでは所有できない ({router})",
    ),
    v.NoBetterOwner: (
        "{vip} stays here until a router that is well takes it ({router})",
        "{vip} は健全なルータが引き継ぐまでここで保持 ({router})",
    ),
    v.OutOfStepWithOwner: (
        "this node runs another configuration than the owner of {vip} and takes it over last ({router})",
        "{vip} の所有者と設定世代が異なるため、引き継ぎは最後 ({router})",
    ),
    v.InStepWithOwner: (
        "{vip} counts with its own priority here again ({router})",
        "{vip} は再び本来の優先度で数えられる ({router})",
    ),
    v.Unbarred: (
        "{vip} may be owned here again, with priority {priority} ({router})",
        "{vip} は優先度 {priority} で再び所有可能 ({router})",
    ),
    v.AddressLost: (
        "somebody took {addresses} of {vip} off its interface ({router}); it was put back",
        "{vip} の {addresses} が外された ({router})、元に戻した",
    ),
    v.InterfaceWentDown: ("interface {interface} is down", "インタフェース {interface} が断"),
    v.InterfaceCameUp: ("interface {interface} is up", "インタフェース {interface} が復帰"),
    v.PacketRejected: (
        "packet from {source} on {interface} discarded: {reason} (octet {offset}; {count} so far)",
        "{interface} で {source} からのパケットを破棄: {reason} (オクテット {offset}、累計 {count})",
    ),
    v.ForeignRouterHeard: (
        "{source} runs VRID {vrid} on {interface}, which is not configured here",
        "{interface} で未設定の VRID {vrid} を {source} が使用",
    ),
    # --- the wire
    w.ForeignClaim: (
        "{mac}, which is no member's, claims {address} of {vip} on {interface} (by {form}, {count} times)",
        "メンバでない {mac} が {interface} で {vip} の {address} を主張 ({form}、累計 {count} 回)",
    ),
    w.UnknownClaim: (
        "{mac} claims {address} of {vip} on {interface} (by {form}, {count} times); "
        "it may be {members}, not heard from yet",
        "{mac} が {interface} で {vip} の {address} を主張 ({form}、累計 {count} 回)。未確認の {members} の可能性",
    ),
    w.ArpLeaked: (
        "real server {server} ({mac}) claims {address} of {vip} on {interface} (by {form}, {count} times): set "
        "arp_ignore=1 and arp_announce=2 there, and keep the VIP on its loopback",
        "実サーバ {server} ({mac}) が {interface} で {vip} の {address} を主張 ({form}、累計 {count} 回): "
        "arp_ignore=1 と arp_announce=2 を設定し、VIP はループバックに置くこと",
    ),
    w.ClaimsEnded: (
        "{mac} claims {address} of {vip} on {interface} no more ({count} times)",
        "{interface} で {mac} による {vip} の {address} の主張が止まった (累計 {count} 回)",
    ),
    w.TwoOwnersSeen: (
        "several nodes answer for {address} of {vip} on {interface}: {nodes} (heard from {macs})",
        "{interface} で {vip} の {address} に複数のノードが応答: {nodes} (応答元 {macs})",
    ),
    w.OwnedButSilent: (
        "{peer} advertises {vip}, but nobody has answered for {address} on {interface} for {silent_for}",
        "{peer} が {vip} を広告しているが、{interface} で {address} への応答が {silent_for} ない",
    ),
    w.AnsweredUnadvertised: (
        "{member} ({mac}) answers for {address} of {vip} on {interface}, but does not advertise it",
        "{member} ({mac}) が {interface} で {vip} の {address} に応答しているが、広告していない",
    ),
    w.OneAnswers: (
        "{member} alone answers for {address} of {vip} on {interface} now",
        "{interface} で {vip} の {address} に応答するのは {member} だけになった",
    ),
    w.MemberMacChanged: (
        "{member} ({address} on {interface}) has MAC {mac} now, before {before}",
        "{member} ({interface} の {address}) の MAC が {before} から {mac} に変わった",
    ),
    w.MemberContested: (
        "{mac} claims {address}, the own address of {member} on {interface}, which answers from {known}",
        "{interface} で {member} 自身の {address} を {mac} が主張 (本来は {known})",
    ),
    w.WireFlooded: (
        "more ARP and neighbour discovery about the VIPs on {interface} than is looked at, {dropped} frames dropped",
        "{interface} で VIP に関する ARP・近隣探索が多すぎ、{dropped} フレームを見ずに破棄",
    ),
    w.WireUnwatched: (
        "ARP and neighbour discovery on {interface} cannot be watched: {why}",
        "{interface} の ARP・近隣探索を監視できない: {why}",
    ),
    # --- leases
    e.LeaseTaken: (
        "{key} is leased to this node, epoch {epoch} ({from_node})",
        "{key} のリースを取得、エポック {epoch} ({from_node})",
    ),
    e.LeaseLost: (
        "the lease of {key}, epoch {epoch}, is lost: {reason}",
        "{key} のリースを喪失、エポック {epoch}: {reason}",
    ),
    e.LeaseReleased: (
        "the lease of {key}, epoch {epoch}, is released; the next may take it at once",
        "{key} のリースを解放、エポック {epoch}。次のノードは直ちに取得可能",
    ),
    e.ReleaseNotStored: (
        "the lease of {key}, epoch {epoch}, is given up, but the store was not told; the next waits for its end: {why}",
        "{key} のリースを放棄、エポック {epoch}。ストアへの通知に失敗、次のノードは期限切れまで待機: {why}",
    ),
    e.LeaseUnreadable: (
        "what the store holds for {key} was not written by this version of Yaoki (revision {revision}): {why}",
        "ストアの {key} の値を解釈できない (リビジョン {revision}): {why}",
    ),
    e.StoreLost: (
        "the store of leases does not answer; leases held here run out unless it returns: {why}",
        "リースのストアが応答しない。復帰しなければ保持中のリースは失効: {why}",
    ),
    e.StoreReturned: ("the store of leases answers again", "リースのストアが応答を再開"),
    # --- the speaker
    s.SpeakerStarted: ("the speaker runs (process {pid})", "スピーカーが動作中 (プロセス {pid})"),
    s.SpeakerEnded: (
        "the speaker has released every VIP (process {pid})",
        "スピーカーが全 VIP を解放 (プロセス {pid})",
    ),
    s.PunctualityRefused: (
        "the speaker may be late, the kernel refused {refused}; keep advertise at 50 ms or more",
        "カーネルが {refused} を拒否、スピーカーが遅れうる。advertise は 50 ms 以上に",
    ),
    s.KernelRefused: (
        "the kernel refused to {change} on {interface}: {why} ({count} times); trying again",
        "{interface} で {change} をカーネルが拒否: {why} ({count} 回)、再試行中",
    ),
    s.AddressNotOurs: (
        "{address} was on {interface} already, put there by somebody else; it will not be removed",
        "{address} は既に {interface} に存在 (他者が設定)、削除しない",
    ),
    s.PeerHeard: ("{peer} is heard on {interface}", "{interface} で {peer} の存在を確認"),
    s.PeerSilent: ("{peer} is heard no more ({interfaces})", "{peer} からの応答が途絶えた ({interfaces})"),
    s.PeerPathHeard: ("{peer} is heard on {interface}, too", "{interface} でも {peer} の存在を確認"),
    s.PeerPathSilent: (
        "{peer} is heard no more on {interface}, but still elsewhere",
        "{interface} では {peer} からの応答が途絶えた (他の経路では継続)",
    ),
    s.PeerOwnsNoMore: (
        "{peer} says that it owns {vip} no more ({family})",
        "{peer} は {vip} を所有しなくなったと通知 ({family})",
    ),
    s.PeerRestarted: ("the speaker of {peer} has restarted", "{peer} のスピーカーが再起動"),
    s.GenerationDiffers: (
        "{peer} runs configuration {theirs}, this node {ours}",
        "{peer} の設定世代は {theirs}、このノードは {ours}",
    ),
    s.NodeReplaced: (
        "another node has taken this one's place, says {peer}: nothing may be owned here until this node is given "
        "the site file that its peers run (configuration {theirs}, here {ours})",
        "{peer} によるとこのノードは別のノードに交代済み: 他と同じサイトファイルを適用するまで何も所有しない "
        "(設定世代は先方 {theirs}、ここ {ours})",
    ),
    s.NodeNotReplaced: (
        "no peer says any more that another node has taken this one's place",
        "このノードが交代済みとするピアはなくなった",
    ),
    s.GenerationAgrees: ("{peer} runs configuration {ours} as this node does", "{peer} の設定世代が一致 ({ours})"),
    s.AddressNotTaken: (
        "the kernel does not take packets for {address} on {interface} yet; it is announced all the same ({waited})",
        "{interface} の {address} 宛パケットをカーネルがまだ受け取らないが告知 ({waited})",
    ),
    s.GateArmed: (
        "{vip} is silenced here if its speaker is still for {limit} ({router})",
        "{vip} のデッドマンゲートを設定、限度 {limit} ({router})",
    ),
    s.GateDisarmed: (
        "no peer of {vip} is heard: this node keeps it whatever happens to its speaker ({router})",
        "{vip} のピアの応答なし、デッドマンゲートを解除 ({router})",
    ),
    s.GateUnavailable: (
        "the kernel has no dead-man gate: a dead or hung speaker leaves two owners ({why})",
        "デッドマンゲートを使えないため、スピーカー停止時に所有者が二つになりうる ({why})",
    ),
    s.LeaseWithoutGate: (
        "the kernel refused the dead-man gate: {vip} is not owned here, and its lease is given up ({router})",
        "カーネルがデッドマンゲートを拒否したため {vip} を所有せずリースを手放す ({router})",
    ),
    s.KeyUnavailable: (
        "a key of {vip} cannot be used ({router}): {why}",
        "{vip} の鍵を使えない ({router}): {why}",
    ),
    s.HeartbeatKeyUnavailable: (
        "a key of the heartbeats between this node and {peer} cannot be used: {why}",
        "{peer} とのハートビートの鍵を使えない: {why}",
    ),
    s.GateRebuilt: (
        "somebody removed the dead-man gate of {router}; it was made anew",
        "{router} のデッドマンゲートが削除されたため再作成",
    ),
    s.ProgramsGuarded: (
        "the dead-man gate holds for the balancer's BPF programs, too, from now on: {programs}",
        "デッドマンゲートがロードバランサーの BPF プログラム {programs} 個を対象にする",
    ),
    s.IntervalRaised: (
        "{vip} is advertised every {raised_to} and not every {configured}, which is not safe here ({router})",
        "{vip} の広告間隔を {configured} から安全な {raised_to} に引き上げ ({router})",
    ),
    s.GroupHindered: (
        "no VIP of the sync group {group} may be owned here, for {vip} may not: {reason} ({router})",
        "{vip} が所有できないため、同期グループ {group} の VIP はここでは所有できない: {reason} ({router})",
    ),
    s.GroupApart: (
        "the sync group {group} is apart: {peer} owns {vip} and may not own the rest; it is all taken here ({router})",
        "同期グループ {group} が分断: {vip} の所有者 {peer} は残りを所有できないため、全体をここで引き継ぐ ({router})",
    ),
    s.GroupFree: (
        "the VIPs of the sync group {group} may be owned here again",
        "同期グループ {group} の VIP は再びここで所有可能",
    ),
    s.Overslept: (
        "the speaker stood still for longer than its dead-man limit: {vip} is given up first ({router}) ({asleep})",
        "スピーカーがデッドマン限度を超えて停止、まず {vip} を解放 ({router}) ({asleep})",
    ),
    s.HeartbeatRejected: (
        "heartbeat from {source} on {interface} discarded: {reason} ({count} so far)",
        "{interface} で {source} からのハートビートを破棄: {reason} (累計 {count})",
    ),
    s.OrderUnreadable: (
        "the speaker cannot read what the node process says, and goes on as before: {why}",
        "スピーカーが指示を解釈できず、従前どおり継続: {why}",
    ),
    # --- checks
    c.CheckFell: ("check {name} fell: {finding}", "チェック {name} が異常に: {finding}"),
    c.CheckRose: ("check {name} rose: {finding}", "チェック {name} が正常に: {finding}"),
    c.ProbesPutOff: (
        "{limit} probes are in flight, the others wait",
        "{limit} 個のプローブが実行中、残りは待機",
    ),
    c.ProbesCaughtUp: ("no probe waits any more", "待機中のプローブなし"),
    c.ProbesTracked: (
        "probes are tracked as connections and use up their table: {why}",
        "プローブが接続追跡の対象になり表を消費: {why}",
    ),
    # --- plans and processes
    b.FlowsNotCounted: (
        "the flows of servers cannot be counted, new ones go by the latest count: {why}",
        "サーバのフローを数えられず、直近の値で振り分けを継続: {why}",
    ),
    b.PlanAdopted: ("plan {generation} is in force ({reason})", "計画 {generation} を適用 ({reason})"),
    b.PlanOnTrial: ("plan {generation} is on trial for {limit}", "計画 {generation} を {limit} 試行"),
    b.PlanKept: ("plan {generation} is kept", "計画 {generation} を確定"),
    b.PlanTakenBack: ("plan {generation} is taken back: nobody kept it", "計画 {generation} は確定されず取り消し"),
    b.SiteRefused: (
        "{file} is refused, what was in force stays: {problems}",
        "{file} を拒否、現在の設定を維持: {problems}",
    ),
    b.LastGoodTaken: (
        "the last good configuration is in force, not {file}: {why}",
        "{file} を使えず最後の正常な設定で稼働: {why}",
    ),
    b.BrainCrashed: (
        "the node process was started anew after a mistake of its own ({times} times): {why}",
        "内部の誤りによりノードプロセスを再起動 ({times} 回): {why}",
    ),
    b.NodeStarted: ("yaoki {version} has started (start {start})", "yaoki {version} を開始 (通算 {start} 回)"),
    b.NodeStopping: ("the node gives up what it holds: {why}", "ノードは保持するものを解放: {why}"),
    b.PartReached: ("the {part} is reached", "{part} に接続"),
    b.PartLost: ("the {part} is out of reach: {why}", "{part} との接続断: {why}"),
    b.PartDied: (
        "the {part} has ended (status {status}) and is started again in {again_in}",
        "{part} が終了 (状態 {status})、{again_in} 後に再起動",
    ),
    b.SpeakerNotSucceeded: (
        "the newer speaker could not take the place of the one that runs, which goes on; the log says why",
        "新しいスピーカーが引き継げず、現在のスピーカーが継続 (理由はログ)",
    ),
    b.PartHung: (
        "the {part} has not answered for {silent_for} and is ended, to be started anew",
        "{part} が {silent_for} 応答しないため終了させ再起動する",
    ),
    b.PartUnfit: (
        "the {part} speaks another version's language and goes on with what it has: {why}",
        "{part} は別バージョンのため現状のまま継続: {why}",
    ),
    # --- services
    b.ServerDutyChanged: (
        "{server} {duty} for {service} on {address}: {reason} ({evidence})",
        "{service} ({address}) の {server} が{duty}: {reason} ({evidence})",
    ),
    b.ServiceEmpty: (
        "{service} on {address} has no working server: {outlook}",
        "{service} ({address}) に動作するサーバがない: {outlook}",
    ),
    b.ServiceServing: (
        "{service} on {address} has a working server again",
        "{service} ({address}) に動作するサーバが戻った",
    ),
    b.PanicBegan: (
        "{failing} of {of} servers of {service} on {address} failed at once: the checker is suspected, all serve on",
        "{service} ({address}) の {of} 台中 {failing} 台が一斉に異常: チェック側を疑い全台継続",
    ),
    b.PanicEnded: (
        "the checks of {service} on {address} are believed again",
        "{service} ({address}) のチェックを再び信用",
    ),
    b.PriorityWanted: (
        "{vip} is asked for with priority {after}, before {before}, because of {tracked} ({router})",
        "{vip} の希望優先度 {before} → {after}、{tracked} による ({router})",
    ),
    b.BalancerApplied: (
        "balancer tables changed in {took}: {changes} ({count} changes)",
        "分散テーブルを {took} で変更: {changes} (変更 {count} 件)",
    ),
    b.FlowsRemoved: (
        "flows of servers that are out removed in {took}: {flows}",
        "外れたサーバーのフローを {took} で削除: {flows} 件",
    ),
    b.FlowsNotRemoved: (
        "flows of servers that are out could not be removed, next try with the next change: {why}",
        "外れたサーバーのフローを削除できず、次の変更時に再試行: {why}",
    ),
    b.BalancerRefused: (
        "the kernel refused the balancer tables, next try in {again_in}: {why}",
        "カーネルが分散テーブルを拒否、{again_in} 後に再試行: {why}",
    ),
    b.NotOnWishedPlane: (
        "on {plane}, not as the file wants: {services} ({count} services), for {reason}: {why}",
        "{plane} で処理 (ファイルの指定と異なる): {services} (サービス {count} 件)、{reason}: {why}",
    ),
    b.ServiceNotCarried: (
        "NOBODY CARRIES {service} HERE: {why}",
        "{service} を扱えるプレーンなし: {why}",
    ),
    b.ServiceCarried: ("{service} is carried again", "{service} を再び扱う"),
    b.WayFound: (
        "packets to {address} go by {next_hop} (MAC {mac}) on {interface}, from {source}, {mtu} octets at most",
        "{address} へは {interface} の {next_hop} (MAC {mac}) 経由、送信元 {source}、最大 {mtu} オクテット",
    ),
    b.NeighbourResolved: (
        "{address} has MAC {mac} ({before})",
        "{address} の MAC は {mac} ({before})",
    ),
    # --- people
    b.ServerAdministered: (
        "an operator set {server} to {admin} ({service})",
        "操作: {server} を{admin}に ({service})",
    ),
    b.ServerWeighed: (
        "an operator set the weight of {server} to {weight} ({service})",
        "操作: {server} の重みを {weight} に ({service})",
    ),
    b.ServiceSwitched: (
        "an operator switched {service} (enabled: {enabled})",
        "操作: {service} を切り替え (有効: {enabled})",
    ),
    b.VipWithdrawn: (
        "{vip} is given up while all its services are disabled (withdrawn: {withdrawn})",
        "{vip} は全サービスが無効の間だけ手放す (取り下げ: {withdrawn})",
    ),
    b.VipMoved: (
        "an operator moves {vip} away from this node until it is admitted again ({to})",
        "操作: {vip} をこのノードから移動、再承認まで最後の候補 ({to})",
    ),
    b.VipAdmitted: ("an operator lets this node own {vip} again", "操作: このノードによる {vip} の所有を承認"),
    b.Paused: ("PAUSED: nothing is applied until yaoki resume", "一時停止: yaoki resume まで何も適用しない"),
    b.Resumed: ("decisions are applied again", "適用を再開"),
    # --- the process's own troubles
    b.DataFoundCurrent: (
        "the data of {vip} is current here, says its data check",
        "{vip} のデータはここで最新 (データ確認)",
    ),
    b.DataNotCurrent: (
        "{vip} stays in quarantine, its data is not known to be current here: {why}",
        "{vip} は隔離を継続、ここのデータが最新とは確認できない: {why}",
    ),
    b.HookFailed: ("hook {hook} failed: {why}", "フック {hook} が失敗: {why}"),
    b.HooksPutOff: (
        "hook {hook} is left out, {limit} wait already",
        "フック {hook} を省略、待機が {limit} 件",
    ),
    b.HookNeverRuns: (
        "hook {hook} waits for events that there are none of: {unknown}",
        "フック {hook} は存在しないイベントを待っている: {unknown}",
    ),
    b.JournalUnwritten: (
        "the journal cannot be written, decisions would not survive a restart: {why}",
        "ジャーナルに書けず、再起動すると操作内容が失われる: {why}",
    ),
    b.JournalWritten: ("the journal is written again", "ジャーナルの書き込みが回復"),
    b.JournalUnreadable: (
        "the journal was damaged and put aside; decisions in it are lost: {why}",
        "ジャーナルが破損、退避した (操作内容は失われた): {why}",
    ),
    b.SysctlSet: ("{name} set to {after}, before {before}", "{name} を {before} から {after} に変更"),
    b.SubscriberDropped: (
        "a reader of the event stream fell {limit} events behind and was dropped",
        "イベントの読み手が {limit} 件遅れたため切断",
    ),
    **FLOW_SENTENCES,
    **DIAGNOSIS_SENTENCES,
}
