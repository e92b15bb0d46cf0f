// SPDX-License-Identifier: GPL-2.0-only
// The tables' columns, printing, and the start.

const timeColumn = { name: "Time", text: (r) => stamp(r.t), value: (r) => r.t };
const phoneColumn = { name: "Phone", text: (r) => laneName(r.lane) };
const jump = (r) => {
	if (r.t === null || r.lane === null || r.lane === undefined) return;
	goTo(lanes[r.lane], r.t);
	byId("timeline").scrollIntoView();
};

const lossTable = new Table(byId("losses"), "losses", [
	timeColumn, phoneColumn,
	{ name: "Way", text: (l) => wayOf(l.direction) },
	{ name: "Kind", text: (l) => kindOf(l.kind) },
	{ name: "Where", text: (l) => whereOf(l.where) + (l.probable ? " (probably)" : "") },
	{ name: "Why", text: (l) => [dropOf(l), l.evidence].filter(Boolean).join("; ") },
	{ name: "Silent before", number: true, text: (l) => duration(l.idle), value: (l) => l.idle },
	{ name: "Sent again", number: true, onScreen: true, text: (l) => l.again, value: (l) => l.again },
	{ name: "Got through", text: (l) => (l.through === null ? "" : clock(l.through / 1000)), value: (l) => l.through },
	{ name: "Seq", number: true, text: (l) => l.seq, value: (l) => l.seq },
	{ name: "Seq at CUCM", number: true, onScreen: true, text: (l) => (l.seqOther === l.seq ? "same" : l.seqOther), value: (l) => l.seqOther },
	{ name: "Length", number: true, onScreen: true, text: (l) => l.length, value: (l) => l.length },
], losses, data.losses_more, jump);

// MAC events are those of a phone: of the first lane with that MAC.
const laneOfMac = data.macs.map(() => null);
for (const l of lanes) for (const i of l.macs) if (laneOfMac[i] === null) laneOfMac[i] = l.index;
const oneLine = (text) => text.replace(/\n/g, "; ");
const happened = [
	...macEvents.map((m) => ({ t: m.t, lane: m.index === null ? null : laneOfMac[m.index], what: "MAC table", text: oneLine(sayMac(m)) })),
	...alarms.map((a) => ({ t: a.t, lane: a.lane, what: "CUCM alarm", text: oneLine(sayAlarm(a)) })),
	...endings.map((e) => ({ t: e.t, lane: e.lane, what: "end of a connection", text: oneLine(sayEnding(e)) })),
	...conflicts.map((c) => ({ t: c.t, lane: null, what: "ARP conflict", text: oneLine(sayConflict(c)) })),
	...ageing.map((a) => ({ t: a.t, lane: null, what: "setting", text: oneLine(sayAgeing(a)) })),
].sort((a, b) => a.t - b.t);
new Table(byId("events"), "events", [
	timeColumn, { name: "What", text: (e) => e.what }, phoneColumn, { name: "Details", text: (e) => e.text },
], happened, data.mac_events_more + data.alarms_more + data.endings_more + data.arp_more + data.ageing_more, jump);

const count = (name, key) => ({ name, number: true, text: (s) => s[key] || "", value: (s) => s[key] });
new Table(byId("phones"), "connections", [
	{ name: "Phone", text: (s) => laneName(s.lane) },
	{ name: "Address", text: (s) => `${s.address || ""}:${s.port}` },
	{ name: "MAC", text: (s) => s.mac || "" },
	{ name: "CUCM", text: (s) => `${s.cucm || ""}:${s.cucmPort}` },
	{ name: "Role", onScreen: true, text: (s) => s.role + (s.probable ? " (probably)" : "") },
	{ name: "Keepalive", onScreen: true, text: (s) => (s.kind ? kindOf(s.kind) : "") },
	{ name: "Period", number: true, text: (s) => (s.period ? duration(s.period) : ""), value: (s) => s.period },
	count("Keepalives", "keepalives"), count("Answered", "answered"), count("Only acked", "acknowledgedOnly"),
	count("Lost between", "lostBetween"), count("Phone side", "lostPhone"), count("CUCM side", "lostCucm"),
	count("Not known", "lostUnknown"), count("Sent again", "again"),
	{ name: "Answer p99", number: true, text: (s) => (s.answer === null ? "" : duration(s.answer / 1000)), value: (s) => s.answer },
	{ name: "Ended", onScreen: true, text: (s) => (s.closed === null ? "" : stamp(s.closed / 1000, 0)), value: (s) => s.closed },
	{ name: "Its last failure", onScreen: true, text: (s) => s.failure || "" },
], sessions, data.sessions_more, (s) => { if (s.lane !== null) { choose(lanes[s.lane]); byId("timeline").scrollIntoView(); } });

addEventListener("beforeprint", () => {
	onPaper = true;
	drawLegend();
	drawPaper();
	onPaper = false;
	for (const table of tables) table.onPaper();
});
addEventListener("afterprint", () => {
	byId("paper").replaceChildren();
	drawLegend();
	for (const table of tables) table.refresh();
});

startTimeline();
Object.assign(document.documentElement.dataset, {
	ready: "yes", lanes: lanes.length, drawnLanes: statistics.lanes, drawnMarks: statistics.marks,
	losses: losses.length, events: happened.length, connections: sessions.length,
	firstDrawnMs: Math.round(performance.now() - started),
});
