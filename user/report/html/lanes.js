// SPDX-License-Identifier: GPL-2.0-only
// The timeline: what is where, and how it is drawn. Lanes are unpacked when they are first looked
// at. Each type of mark has a shape of its own: colours alone do not tell them apart.

// A lane from top to bottom: what happened to the phone, its keepalives, their answers.
const LANE = 34;
const places = { mac: 8, alarm: 8, end: 17, keepalive: [13, 9], loss: 18, answer: [23, 6], again: 26, traced: [30, 3] };
const types = {
	keepalive: { label: "sent to CUCM", light: "#0072b2", dark: "#56a5dc" },
	answer: { label: "sent to phones", light: "#7a8fa3", dark: "#7f93a6" },
	traced: { label: "in the CUCM's traces", light: "#00694d", dark: "#2fc89a" },
	again: { label: "sent again", light: "#b97f00", dark: "#e69f00" },
	loss: { label: "losses", light: "#c43c00", dark: "#ff7a33" },
	mac: { label: "MAC events", light: "#9b3b86", dark: "#e08bc4" },
	alarm: { label: "CUCM alarms", light: "#111111", dark: "#ffffff" },
	end: { label: "ends of connections", light: "#00694d", dark: "#2fc89a" },
};
const shown = Object.fromEntries(Object.keys(types).map((name) => [name, true]));
const darkness = matchMedia("(prefers-color-scheme: dark)");
let onPaper = false;
const colour = (type) => types[type][darkness.matches && !onPaper ? "dark" : "light"];
let shades = null; // as the style says, read once a drawing
const shade = (name) => (onPaper ? { "--card": "#fff", "--line": "#bbb", "--text": "#000", "--dim": "#444", "--stripe": "#eee", "--accent": "#0062a3" }[name]
	: (shades ??= getComputedStyle(document.documentElement)).getPropertyValue(name).trim());

// ---- What is in a lane ----

const lossesOf = lanes.map(() => []), alarmsOf = lanes.map(() => []), endingsOf = lanes.map(() => []);
const macEventsOf = data.macs.map(() => []);
for (const l of losses) if (l.lane !== null) lossesOf[l.lane].push(l);
for (const a of alarms) if (a.lane !== null) alarmsOf[a.lane].push(a);
for (const e of endings) if (e.lane !== null) endingsOf[e.lane].push(e);
for (const m of macEvents) if (m.index !== null) macEventsOf[m.index].push(m);
const forAll = macEvents.filter((m) => m.index === null && !m.mac);

function open(lane) {
	if (lane.series) return lane;
	const [keepalives, answers, againUp, againDown, unlisted, traced] = lane.packed.map(unpack);
	const marks = [];
	const add = (type, t, say) => { if (t !== null) marks.push({ t, type, say }); };
	for (const l of lossesOf[lane.index]) add("loss", l.t, () => sayLoss(l));
	for (const t of unlisted) add("loss", t, () => "lost (one of more than the table has)");
	for (const t of againUp) add("again", t, () => "sent again, to CUCM");
	for (const t of againDown) add("again", t, () => "sent again, to phone");
	for (const a of alarmsOf[lane.index]) add("alarm", a.t, () => sayAlarm(a));
	for (const e of endingsOf[lane.index]) add("end", e.t, () => sayEnding(e));
	for (const i of lane.macs)
		for (const m of macEventsOf[i])
			if (m.t !== null) marks.push({ t: m.t, type: "mac", happening: m.happening, say: () => sayMac(m) });
	marks.sort((a, b) => a.t - b.t);
	lane.series = { keepalive: keepalives.sort(), answer: answers.sort(), traced: traced.sort() };
	lane.marks = marks;
	lane.packed = null;
	return lane;
}

// ---- Drawing ----

function glyph(ctx, type, x, y, r, mark) {
	ctx.fillStyle = shade("--card");
	if (type !== "end" && !Array.isArray(places[type])) {
		ctx.beginPath();
		ctx.arc(x, y, r + 2, 0, 7);
		ctx.fill();
	}
	ctx.fillStyle = ctx.strokeStyle = colour(type);
	ctx.lineWidth = 2;
	ctx.beginPath();
	switch (type) {
	case "loss":
		ctx.lineWidth = 2.6;
		ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r);
		ctx.moveTo(x + r, y - r); ctx.lineTo(x - r, y + r);
		ctx.stroke();
		break;
	case "again":
		ctx.moveTo(x, y - r); ctx.lineTo(x + r, y + r * 0.8); ctx.lineTo(x - r, y + r * 0.8);
		ctx.closePath(); ctx.fill();
		break;
	case "mac":
		ctx.moveTo(x, y - r - 1); ctx.lineTo(x + r + 1, y); ctx.lineTo(x, y + r + 1); ctx.lineTo(x - r - 1, y);
		ctx.closePath();
		if (mark && (mark.happening === "learned" || mark.happening === "moved")) ctx.stroke(); else ctx.fill();
		break;
	case "alarm":
		ctx.fillRect(x - r, y - r, 2 * r, 2 * r);
		break;
	case "end":
		ctx.moveTo(x, y - 2 * r); ctx.lineTo(x, y + 2 * r);
		ctx.moveTo(x - r, y - 2 * r); ctx.lineTo(x + r, y - 2 * r);
		ctx.moveTo(x - r, y + 2 * r); ctx.lineTo(x + r, y + 2 * r);
		ctx.stroke();
		break;
	case "keepalive":
		ctx.fillRect(x - 1, y - r - 3, 2, r + 3);
		break;
	case "answer":
	case "traced":
		ctx.fillRect(x - 1, y, 2, type === "traced" ? 3 : r + 3);
		break;
	}
}

// Ticks while there is room for each; else a band where there are any.
function drawSeries(ctx, times, view, width, top, type) {
	const y = top + places[type][0], height = places[type][1];
	const scale = width / (view.to - view.from);
	const from = lower(times, view.from), to = lower(times, view.to);
	if (from === to) return 0;
	ctx.fillStyle = colour(type);
	if (to - from < width / 4) {
		for (let i = from; i < to; i++) ctx.fillRect(Math.round((times[i] - view.from) * scale), y, 1.5, height);
		return to - from;
	}
	ctx.globalAlpha = 0.55;
	let start = -1, end = -1;
	for (let i = from; i < to; i++) {
		const x = Math.floor((times[i] - view.from) * scale);
		if (x <= end) continue;
		if (x > end + 3) {
			if (start >= 0) ctx.fillRect(start, y + 1, end - start + 1, height - 2);
			start = x;
		}
		end = x;
	}
	ctx.fillRect(start, y + 1, end - start + 1, height - 2);
	ctx.globalAlpha = 1;
	return to - from;
}

// Marks of a type that would cover each other become one, with their number.
function drawMarks(ctx, marks, view, width, y) {
	const scale = width / (view.to - view.from), groups = new Map(), drawn = [];
	const to = lower(marks, view.to, (m) => m.t);
	for (let i = lower(marks, view.from, (m) => m.t); i < to; i++) {
		const mark = marks[i], x = (mark.t - view.from) * scale, group = groups.get(mark.type);
		if (!shown[mark.type]) continue;
		if (group && x - group.x < 9) {
			group.count++;
		} else {
			const fresh = { x, mark, count: 1 };
			groups.set(mark.type, fresh);
			drawn.push(fresh);
		}
	}
	// A number is written where there is room for it before the next mark.
	let next = null;
	for (const g of drawn.filter((d) => d.mark.type === "loss").reverse()) {
		g.roomy = next === null || next - g.x > 30;
		next = g.x;
	}
	const rank = ["end", "again", "mac", "alarm", "loss"];
	drawn.sort((a, b) => rank.indexOf(a.mark.type) - rank.indexOf(b.mark.type));
	for (const g of drawn) {
		glyph(ctx, g.mark.type, g.x, y + places[g.mark.type], g.mark.type === "loss" ? 4.5 : 3.5, g.mark);
		if (g.count > 1 && g.roomy && g.x + 26 < width) {
			ctx.font = "600 10px system-ui, sans-serif";
			ctx.textBaseline = "middle";
			ctx.fillText(g.count > 999 ? "999+" : String(g.count), g.x + 7, y + places.loss - 5);
		}
	}
	return drawn.length;
}

function drawLane(ctx, lane, view, width, y) {
	let n = 0;
	open(lane);
	if (shown.keepalive) n += drawSeries(ctx, lane.series.keepalive, view, width, y, "keepalive");
	if (shown.answer) n += drawSeries(ctx, lane.series.answer, view, width, y, "answer");
	if (shown.traced) n += drawSeries(ctx, lane.series.traced, view, width, y, "traced");
	return n + drawMarks(ctx, lane.marks, view, width, y);
}

// What concerns every phone goes across all lanes.
function drawForAll(ctx, view, width, height) {
	if (!shown.mac) return;
	const scale = width / (view.to - view.from);
	ctx.strokeStyle = colour("mac");
	ctx.lineWidth = 1.5;
	ctx.setLineDash([5, 4]);
	ctx.beginPath();
	let last = -9;
	for (const m of forAll) {
		const x = (m.t - view.from) * scale;
		if (x < 0 || x > width || x - last < 2) continue;
		ctx.moveTo(x, 0);
		ctx.lineTo(x, height);
		last = x;
	}
	ctx.stroke();
	ctx.setLineDash([]);
}

const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3,
	900e3, 1800e3, 3600e3, 7200e3, 10800e3, 21600e3, 43200e3, 86400e3, 172800e3, 604800e3];
function ticksOf(view, width) {
	const least = (view.to - view.from) / (width / 95);
	const step = steps.find((s) => s >= least) || steps[steps.length - 1] * Math.ceil(least / steps[steps.length - 1]);
	const shift = data.base + zoneMs, ticks = [];
	for (let t = Math.ceil((view.from + shift) / step) * step - shift; t <= view.to; t += step) ticks.push(t);
	return { ticks, step };
}
function drawAxis(ctx, view, width, height) {
	const { ticks, step } = ticksOf(view, width), scale = width / (view.to - view.from);
	ctx.font = "12px system-ui, sans-serif";
	ctx.textBaseline = "middle";
	for (const t of ticks) {
		const x = (t - view.from) * scale;
		const midnight = (t + data.base + zoneMs) % 86400e3 === 0;
		ctx.fillStyle = shade("--line");
		ctx.fillRect(Math.round(x), 0, 1, height);
		ctx.fillStyle = shade("--dim");
		const text = midnight && step >= 60e3 ? day(t).slice(5) : step >= 60e3 ? clock(t, 0).slice(0, 5) : clock(t, step < 1000 ? 3 : 0);
		if (x + ctx.measureText(text).width + 6 < width) ctx.fillText(text, x + 4, height / 2 + 1);
	}
}
function drawGrid(ctx, view, width, height) {
	const scale = width / (view.to - view.from);
	ctx.fillStyle = shade("--line");
	ctx.globalAlpha = 0.5;
	for (const t of ticksOf(view, width).ticks) ctx.fillRect(Math.round((t - view.from) * scale), 0, 1, height);
	ctx.globalAlpha = 1;
}
