// SPDX-License-Identifier: GPL-2.0-only
// The data behind the page, its columns (user/report/html_data.c), and times as people read them.

const started = performance.now();
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// Rows as objects; the first column is the time, in ms since `base` from here on.
function rows(list, names) {
	return list.map((row) => {
		const o = { t: row[0] === null ? null : row[0] / 1000 };
		names.forEach((name, i) => { o[name] = row[i + 1]; });
		return o;
	});
}

const losses = rows(data.losses, ["lane", "direction", "kind", "where", "seq", "seqOther", "length",
	"copiesAccess", "copiesCucm", "again", "through", "idle", "idleKnown", "late", "probable", "vlan",
	"port", "cucmPort", "cucm", "drop", "evidence"]);
const macEvents = rows(data.mac_events, ["index", "mac", "happening", "source", "vlan", "silent",
	"port", "fromPort", "toldBy", "earliest"]);
const alarms = rows(data.alarms, ["lane", "unregistration", "name", "device", "address", "reason", "reasonName",
	"protocol", "node", "lastSignal", "matched", "losses"]);
const endings = rows(data.endings, ["lane", "by", "how", "leaves", "ttl", "usualTtl", "lostBefore"]);
const conflicts = rows(data.arp, ["address", "requests", "first", "macs"]);
const ageing = rows(data.ageing, ["ms", "portSecurity", "absolute", "source", "port", "toldBy"]);
const sessions = rows(data.sessions, ["lane", "device", "address", "mac", "cucm", "port", "cucmPort",
	"vlan", "role", "kind", "period", "keepalives", "answered", "acknowledgedOnly", "unacknowledged",
	"lostBetween", "lostPhone", "lostCucm", "lostUnknown", "again", "answer", "closed", "probable",
	"failure"]);

const lanes = data.lanes.map((l, i) => ({
	index: i, keepalives: l[0], lost: l[1], again: l[2], unregistered: l[3],
	device: l[4], address: l[5], macs: [...new Set(l[6])], packed: l.slice(7),
	name: l[4] || l[5] || "not known",
}));

// Whole numbers as user/report/html_text.c packs them: base64 of zigzag varints; the first number,
// the first difference, then how each difference differs from the one before.
function unpack(text) {
	const bytes = atob(text), out = [];
	let i = 0, value = 0, step = 0;
	while (i < bytes.length) {
		let n = 0, unit = 1, byte;
		do {
			byte = bytes.charCodeAt(i++);
			n += (byte & 127) * unit;
			unit *= 128;
		} while (byte & 128 && i < bytes.length);
		n = n % 2 ? -(n + 1) / 2 : n / 2;
		if (out.length) {
			step += n;
			value += step;
		} else {
			value = n;
		}
		out.push(value);
	}
	return Float64Array.from(out);
}

// The first place whose time is not before t.
function lower(list, t, at = (x) => x) {
	let from = 0, to = list.length;
	while (from < to) {
		const middle = (from + to) >> 1;
		if (at(list[middle]) < t) from = middle + 1; else to = middle;
	}
	return from;
}

// ---- Times ----

let zoneMs = data.utc_offset_s * 1000;
const two = (n) => String(n).padStart(2, "0");

function zoneName() {
	if (!zoneMs) return "UTC";
	const minutes = Math.abs(zoneMs) / 60000;
	return "UTC" + (zoneMs < 0 ? "\u2212" : "+") + two(Math.floor(minutes / 60)) + ":" + two(minutes % 60);
}
const dateOf = (t) => new Date(data.base + t + zoneMs);
function day(t) {
	const d = dateOf(t);
	return `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
}
function clock(t, digits = 3) {
	if (t === null || t === undefined) return "";
	const d = dateOf(t);
	const text = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
	const fraction = (((data.base + t) % 1000) + 1000) % 1000 / 1000;
	return digits ? text + "." + String(Math.floor(fraction * 10 ** digits)).padStart(digits, "0") : text;
}
const wholeDay = data.span_ms > 20 * 3600e3;
const stamp = (t, digits) => (t === null ? "" : (wholeDay ? day(t) + " " : "") + clock(t, digits));
function duration(ms) {
	if (ms === null || ms === undefined) return "";
	if (ms >= 7200e3) return (ms / 3600e3).toFixed(1) + " h";
	if (ms >= 300e3) return (ms / 60e3).toFixed(1) + " min";
	if (ms >= 1000) return (ms / 1000).toFixed(ms >= 100e3 ? 0 : 1) + " s";
	return ms.toFixed(ms >= 10 ? 0 : 2) + " ms";
}

// ---- Words ----

const whereWords = {
	between: "between the interfaces", phone_side: "between phone and access side",
	cucm_side: "between CUCM side and CUCM", unknown: "it, or its acknowledgement",
};
const kindOf = (i) => (data.kinds[i] || "other").replace(/_/g, " ");
const whereOf = (i) => whereWords[data.wheres[i]] || data.wheres[i];
const wayOf = (direction) => (direction ? "to phone" : "to CUCM");
const laneName = (i) => (i === null ? "" : lanes[i].name);
const dropOf = (l) => (l.drop ? l.drop[1] + (l.drop[2] ? " in " + l.drop[2] : "")
	+ (l.drop[3] ? " (" + l.drop[3] + ")" : "") : "");
const lines = (...parts) => parts.filter(Boolean).join("\n");

function sayLoss(l) {
	return lines(`${kindOf(l.kind)} ${wayOf(l.direction)}, lost${l.probable ? " (probably)" : ""}: ${whereOf(l.where)}`,
		l.idle !== null && `the phone had been silent for ${duration(l.idle)}`
			+ (l.idleKnown === 1 ? " on this connection" : ""),
		dropOf(l) && "dropped by this host: " + dropOf(l),
		l.again && `sent again ${l.again} ${l.again === 1 ? "time" : "times"}`,
		l.through !== null && "got through at " + clock(l.through / 1000),
		`seq ${l.seq}, length ${l.length}, CUCM ${l.cucm || "?"}:${l.cucmPort}`, l.evidence);
}
function sayMac(m) {
	const what = {
		learned: "learned", moved: "moved", aged: "aged out", flushed: "flushed",
		topology_change: "topology change", violation: "port security violation",
	}[m.happening] || m.happening;
	return lines((m.mac ? `MAC ${m.mac} ` : "") + what + (m.fromPort ? ` from ${m.fromPort}` : "")
			+ (m.port ? ` at ${m.port}` : ""),
		m.silent && `silent for ${duration(m.silent)} before`,
		m.earliest !== null && `between ${clock(m.earliest / 1000)} and ${clock(m.t)}`,
		`told by ${m.toldBy || "?"} (${m.source})` + (m.vlan ? `, VLAN ${m.vlan}` : ""));
}
function sayAlarm(a) {
	return lines((a.name || "alarm") + (a.reasonName ? ": " + a.reasonName : "") + (a.reason >= 0 ? ` (${a.reason})` : ""),
		lines(a.device, a.address).replace("\n", ", "),
		a.unregistration && (a.matched ? `after ${a.losses} ${a.losses === 1 ? "loss" : "losses"}` : "no loss before it was seen"),
		a.lastSignal && "last signal " + a.lastSignal, a.node && "node " + a.node);
}
function sayEnding(e) {
	const by = ["someone", "the phone", "the CUCM"][e.by] || "someone";
	const how = ["ended", "ended by FIN", "reset (RST)", "silent until given up"][e.how] || "ended";
	return lines(`connection ${how}, ${e.how === 3 ? "" : "by " + by}`.replace(/, $/, ""),
		e.leaves && "the phone had ended its registration",
		e.ttl && e.usualTtl && e.ttl !== e.usualTtl && `its TTL is ${e.ttl}, that end's is usually ${e.usualTtl}`,
		e.lostBefore && `${e.lostBefore} lost in the minutes before`);
}
function sayConflict(c) {
	const macs = [];
	for (let i = 1; i + 2 < c.macs.length; i += 3)
		macs.push(`${c.macs[i]}: ${c.macs[i + 1]} answers, first ${c.macs[i + 2]} times`);
	return lines(`${c.address} is claimed by ${macs.length} MACs`, ...macs);
}
function sayAgeing(a) {
	return lines(`${a.portSecurity ? "port security " : ""}ageing time: ${a.ms ? duration(a.ms) : "none"}`
			+ (a.absolute ? ", counted from the learning" : "") + (a.port ? " at " + a.port : ""),
		`told by ${a.toldBy || "?"} (${a.source})`);
}
