// SPDX-License-Identifier: GPL-2.0-only
// The timeline's window: which lanes, which time, and how a person moves in it.

const spanMs = Math.max(data.span_ms, 1000);
const whole = { from: -spanMs * 0.004 - 1, to: spanMs * 1.004 + 1 };
const NARROWEST = 2; // ms
const view = { ...whole };
let listed = lanes.slice(), chosen = null, drag = null, frame = 0;
const statistics = { draws: 0, marks: 0, lanes: 0 };
const scroller = byId("scroller"), canvas = byId("lanes"), overview = byId("overview"), axis = byId("axis");

// ---- Which lanes ----

function list() {
	const text = byId("find").value.trim().toLowerCase(), affected = byId("affected").checked;
	listed = lanes.filter((l) => (!affected || l.lost || l.unregistered) && (!text
		|| l.name.toLowerCase().includes(text) || (l.address || "").includes(text)
		|| l.macs.some((i) => data.macs[i].includes(text))));
	const by = byId("order").value;
	const compare = new Intl.Collator("en", { numeric: true }).compare;
	if (by === "name") listed.sort((a, b) => compare(a.name, b.name));
	if (by === "address") listed.sort((a, b) => compare(a.address || "", b.address || ""));
	byId("spacer").style.height = Math.max(listed.length, 1) * LANE + "px";
	scroller.scrollTop = 0;
	draw();
}

// ---- Drawing ----

function prepare(element, height) {
	const ratio = devicePixelRatio || 1, width = Math.max(element.clientWidth, 50);
	const w = Math.round(width * ratio), h = Math.round(height * ratio);
	if (element.width !== w || element.height !== h) { element.width = w; element.height = h; }
	const ctx = element.getContext("2d");
	ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
	ctx.clearRect(0, 0, width, height);
	return { ctx, width };
}

const firstLane = () => Math.floor(scroller.scrollTop / LANE);

function drawLanes() {
	const height = scroller.clientHeight, labels = byId("labels");
	byId("stage").style.height = canvas.style.height = labels.style.height = height + "px";
	const { ctx, width } = prepare(canvas, height);
	const first = firstLane(), shift = scroller.scrollTop - first * LANE, nodes = [];
	drawGrid(ctx, view, width, height);
	statistics.marks = statistics.lanes = 0;
	for (let i = first; i < listed.length && (i - first) * LANE - shift < height; i++) {
		const y = (i - first) * LANE - shift, lane = listed[i];
		if (lane === chosen) {
			ctx.fillStyle = shade("--stripe");
			ctx.fillRect(0, y, width, LANE);
		}
		ctx.fillStyle = shade("--line");
		ctx.fillRect(0, y + LANE - 1, width, 1);
		statistics.marks += drawLane(ctx, lane, view, width, y);
		statistics.lanes++;
		nodes.push(labelOf(lane, y));
	}
	labels.replaceChildren(...nodes);
	drawForAll(ctx, view, width, height);
	if (drag && drag.to !== undefined && !drag.moves) {
		ctx.fillStyle = shade("--accent");
		ctx.globalAlpha = 0.2;
		ctx.fillRect(Math.min(drag.x, drag.to), 0, Math.abs(drag.to - drag.x), height);
		ctx.globalAlpha = 1;
	}
}

function labelOf(lane, y) {
	const node = document.createElement("div"), name = document.createElement("span");
	node.style.top = y + "px";
	node.style.height = LANE + "px";
	node.className = lane === chosen ? "lane chosen" : "lane";
	node.dataset.lane = lane.index;
	name.className = "name";
	name.textContent = lane.name;
	node.title = [lane.name, lane.address, ...lane.macs.map((i) => data.macs[i])].filter(Boolean).join("\n");
	node.append(name);
	if (lane.lost || lane.unregistered) {
		const lost = document.createElement("span");
		lost.className = "lost";
		lost.textContent = [lane.lost && `${lane.lost} lost`, lane.unregistered && `${lane.unregistered} unreg.`].filter(Boolean).join(", ");
		node.append(lost);
	}
	return node;
}

// Of all losses, also those without a row.
const lossTimes = losses.map((l) => l.t).filter((t) => t !== null);
for (const lane of lanes) if (lane.packed[4]) for (const t of unpack(lane.packed[4])) lossTimes.push(t);

// How many losses and unregistrations there were when, over the whole time.
function drawOverview() {
	const height = 56, { ctx, width } = prepare(overview, height);
	const scale = width / (whole.to - whole.from), bars = new Float64Array(Math.ceil(width / 3) + 1);
	for (const t of lossTimes) {
		const bar = Math.floor((t - whole.from) * scale / 3);
		if (bar >= 0 && bar < bars.length) bars[bar]++;
	}
	const most = Math.max(1, ...bars);
	ctx.fillStyle = colour("loss");
	bars.forEach((n, i) => { if (n) { const h = 4 + (height - 18) * n / most; ctx.fillRect(i * 3, height - h, 2.4, h); } });
	for (const a of alarms) if (a.t !== null && a.unregistration) glyph(ctx, "alarm", (a.t - whole.from) * scale, 6, 2.5);
	for (const m of forAll) if (m.t !== null) glyph(ctx, "mac", (m.t - whole.from) * scale, 6, 2.5, m);
	byId("overview-name").textContent = lossTimes.length ? `Losses of all phones (highest bar: ${most})` : "No losses";
	const from = (view.from - whole.from) * scale, to = (view.to - whole.from) * scale;
	ctx.fillStyle = shade("--accent");
	ctx.globalAlpha = 0.13;
	ctx.fillRect(from, 0, to - from, height);
	ctx.globalAlpha = 1;
	ctx.fillRect(from - 1, 0, 2, height);
	ctx.fillRect(to - 1, 0, 2, height);
}

function drawNow() {
	frame = 0;
	shades = null;
	// The scroll bar takes its place from the lanes alone; the others must end where they do.
	for (const row of document.querySelectorAll("#chart .row")) row.style.paddingRight = scroller.offsetWidth - scroller.clientWidth + "px";
	drawOverview();
	const a = prepare(axis, 26);
	drawAxis(a.ctx, view, a.width, 26);
	drawLanes();
	byId("zone-name").textContent = "Times in " + zoneName();
	byId("window").textContent = `${day(view.from)} ${clock(view.from, view.to - view.from < 60e3 ? 3 : 0)} to ${wholeDay ? day(view.to) + " " : ""}${clock(view.to, view.to - view.from < 60e3 ? 3 : 0)} (${duration(view.to - view.from)}), ${listed.length} of ${lanes.length} phones`;
	statistics.draws++;
}
function draw() {
	if (!frame) frame = requestAnimationFrame(drawNow);
}

// ---- Moving ----

function show(from, to) {
	let span = Math.min(Math.max(to - from, NARROWEST), whole.to - whole.from);
	if (!(span > 0)) span = whole.to - whole.from;
	view.from = Math.max(whole.from, Math.min(from, whole.to - span));
	view.to = view.from + span;
	draw();
}
function zoom(factor, at = (view.from + view.to) / 2) {
	const span = Math.min(Math.max((view.to - view.from) * factor, NARROWEST), whole.to - whole.from);
	const part = (at - view.from) / (view.to - view.from);
	show(at - part * span, at + (1 - part) * span);
}
function move(part) {
	const by = (view.to - view.from) * part;
	show(view.from + by, view.to + by);
}
const timeAt = (element, x, window = view) => window.from + x / element.clientWidth * (window.to - window.from);

function wheel(event) {
	const inLanes = event.currentTarget === canvas;
	if (inLanes && !event.ctrlKey && !event.metaKey && !event.shiftKey) return; // the lanes scroll
	event.preventDefault();
	const by = event.deltaY || event.deltaX;
	if (event.shiftKey) move(Math.sign(by) * 0.15);
	else zoom(2 ** (Math.max(-400, Math.min(400, by)) / 250), timeAt(axis, event.offsetX));
}

function dragStart(event) {
	if (event.button) return;
	drag = { x: event.offsetX, from: view.from, until: view.to, moves: event.shiftKey || event.currentTarget === axis };
	try { event.currentTarget.setPointerCapture(event.pointerId); } catch { /* a made-up pointer has none */ }
	byId("tip").hidden = true;
}
function dragMove(event) {
	if (!drag) return;
	if (Math.abs(event.offsetX - drag.x) > 3 || drag.to !== undefined) drag.to = event.offsetX;
	if (drag.moves && drag.to !== undefined) {
		const by = (drag.x - drag.to) / canvas.clientWidth * (drag.until - drag.from);
		show(drag.from + by, drag.until + by);
	}
	draw();
}
function dragEnd(event) {
	const was = drag;
	drag = null;
	if (!was || was.to === undefined || was.moves) {
		if (was && was.to === undefined && event.currentTarget === canvas) choose(laneAt(event.offsetY));
		return draw();
	}
	const x = [was.x, was.to].sort((a, b) => a - b);
	show(timeAt(canvas, x[0]), timeAt(canvas, x[1]));
}

// ---- What is under the pointer ----

const laneAt = (y) => listed[Math.floor((scroller.scrollTop + y) / LANE)];

function nearest(list, t, reach, at) {
	const i = lower(list, t, at);
	let best = null;
	for (const k of [i - 1, i]) {
		if (k < 0 || k >= list.length) continue;
		const off = Math.abs(at(list[k]) - t);
		if (off <= reach && (!best || off < best.off)) best = { off, item: list[k] };
	}
	return best;
}

// The marks within a few pixels; where there are none, a keepalive or answer.
function whatIs(lane, x, y) {
	const pixel = (view.to - view.from) / canvas.clientWidth, t = timeAt(canvas, x), found = [];
	const time = (m) => m.t;
	const names = { keepalive: "keepalive or answer, to CUCM", answer: "keepalive or answer, to phone", traced: "received by the CUCM's application" };
	open(lane);
	for (let i = lower(lane.marks, t - 9 * pixel, time); i < lane.marks.length && lane.marks[i].t <= t + 7 * pixel; i++)
		if (shown[lane.marks[i].type]) found.push(lane.marks[i]);
	for (const m of forAll)
		if (shown.mac && Math.abs(m.t - t) < 4 * pixel) found.push({ t: m.t, type: "mac", say: () => sayMac(m) });
	if (found.length) return found;
	const order = y < places.answer[0] ? ["keepalive", "answer", "traced"] : y < places.traced[0] ? ["answer", "keepalive", "traced"] : ["traced", "answer", "keepalive"];
	for (const type of order) {
		const near = shown[type] && nearest(lane.series[type], t, 5 * pixel, (v) => v);
		if (!near) continue;
		const list = lane.series[type], i = lower(list, near.item);
		return [{ t: near.item, type, say: () => names[type]
			+ (i ? `\n${duration(near.item - list[i - 1])} after the one before` : "") }];
	}
	return [];
}

function say(lane, marks) {
	const text = marks.slice(0, 6).map((m) => `${stamp(m.t)}  ${m.say()}`);
	if (marks.length > 6) text.push(`and ${marks.length - 6} more: zoom in`);
	return { title: lane.name + (lane.device && lane.address ? ` (${lane.address})` : ""), text: text.join("\n\n") };
}
function tip(what, x, y) {
	const node = byId("tip"), title = document.createElement("b");
	title.textContent = what.title;
	node.replaceChildren(title, what.text);
	node.hidden = false;
	node.style.left = Math.max(4, Math.min(x + 14, innerWidth - node.offsetWidth - 8)) + "px";
	node.style.top = (y + 18 + node.offsetHeight > innerHeight ? Math.max(4, y - node.offsetHeight - 10) : y + 18) + "px";
}
function hover(event) {
	if (drag) return;
	const lane = laneAt(event.offsetY);
	const marks = lane ? whatIs(lane, event.offsetX, (scroller.scrollTop + event.offsetY) % LANE) : [];
	if (marks.length) tip(say(lane, marks), event.clientX, event.clientY);
	else byId("tip").hidden = true;
}

function choose(lane) {
	chosen = lane || null;
	if (chosen) {
		const top = listed.indexOf(chosen) * LANE;
		if (top < scroller.scrollTop) scroller.scrollTop = top;
		else if (top + LANE > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + LANE - scroller.clientHeight;
		byId("said").textContent = `${chosen.name}: ${chosen.lost} lost, ${chosen.again} sent again, unregistered ${chosen.unregistered} ${chosen.unregistered === 1 ? "time" : "times"}`;
	}
	draw();
}
function step(by) {
	if (!chosen) choose(listed[firstLane()]);
	if (!chosen) return;
	const marks = open(chosen).marks, at = chosen.at === undefined ? (by > 0 ? -1 : marks.length) : chosen.at;
	const next = Math.max(0, Math.min(marks.length - 1, at + by));
	if (!marks.length) return;
	chosen.at = next;
	goTo(chosen, marks[next].t);
	const what = say(chosen, [marks[next]]);
	byId("said").textContent = what.title + ": " + what.text;
}
// Brings a moment of a lane into view, with a few minutes around it.
function goTo(lane, t) {
	if (!listed.includes(lane)) {
		byId("find").value = "";
		byId("affected").checked = false;
		list();
	}
	choose(lane);
	const span = Math.min(view.to - view.from, 600e3);
	show(t - span / 2, t + span / 2);
}

const keys = {
	"+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "0": () => show(whole.from, whole.to),
	ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), n: () => step(1), p: () => step(-1),
	ArrowDown: () => choose(listed[Math.min(listed.length - 1, listed.indexOf(chosen) + 1)]),
	ArrowUp: () => choose(listed[Math.max(0, listed.indexOf(chosen) - 1)]),
	Home: () => choose(listed[0]), End: () => choose(listed[listed.length - 1]), Escape: () => choose(null),
};

function legend() {
	const box = byId("legend");
	const traced = lanes.some((l) => l.packed[5]);
	for (const type of Object.keys(types)) {
		if (type === "traced" && !traced) continue;
		const label = document.createElement("label"), check = document.createElement("input"), icon = document.createElement("canvas");
		check.type = "checkbox";
		check.checked = true;
		check.dataset.type = type;
		check.addEventListener("change", () => { shown[type] = check.checked; draw(); });
		icon.style.width = icon.style.height = "18px";
		label.append(check, icon, types[type].label);
		box.append(label);
	}
}
function drawLegend() {
	for (const icon of byId("legend").querySelectorAll("canvas")) {
		const type = icon.parentElement.querySelector("input").dataset.type;
		icon.width = icon.height = 36;
		const ctx = icon.getContext("2d");
		ctx.setTransform(2, 0, 0, 2, 0, 0);
		glyph(ctx, type, 9, 9 + (type === "keepalive" ? 4 : type === "answer" ? -4 : 0), type === "end" ? 3.5 : 4);
	}
}

// On paper: the lanes of the phones that lost something, as they are shown, as far as fit.
function drawPaper() {
	const fit = listed.filter((l) => l.lost || l.unregistered).slice(0, 60), width = 1000, perSheet = 20;
	const canvases = [];
	for (let i = 0; i < fit.length; i += perSheet) {
		const some = fit.slice(i, i + perSheet), sheet = document.createElement("canvas"), height = 26 + some.length * LANE;
		sheet.width = width * 2;
		sheet.height = height * 2;
		const ctx = sheet.getContext("2d");
		ctx.setTransform(2, 0, 0, 2, 0, 0);
		ctx.save();
		ctx.translate(190, 0);
		drawAxis(ctx, view, width - 190, 26);
		some.forEach((lane, k) => {
			const y = 26 + k * LANE;
			ctx.fillStyle = "#bbb";
			ctx.fillRect(-190, y, width, 1);
			ctx.fillStyle = "#000";
			ctx.font = "12px system-ui, sans-serif";
			ctx.textBaseline = "middle";
			ctx.fillText(lane.name.slice(0, 30), -188, y + LANE / 2);
			ctx.save();
			ctx.beginPath();
			ctx.rect(0, y, width - 190, LANE);
			ctx.clip();
			drawLane(ctx, lane, view, width - 190, y);
			ctx.restore();
		});
		ctx.restore();
		canvases.push(sheet);
	}
	const note = document.createElement("p");
	note.textContent = `${byId("window").textContent}; times in ${zoneName()}; ${fit.length} phones with losses drawn.`;
	byId("paper").replaceChildren(note, ...canvases);
}

function startTimeline() {
	legend();
	drawLegend();
	for (const element of [canvas, axis, overview]) element.addEventListener("wheel", wheel, { passive: false });
	for (const element of [canvas, axis]) {
		element.addEventListener("pointerdown", dragStart);
		element.addEventListener("pointermove", dragMove);
		element.addEventListener("pointerup", dragEnd);
		element.addEventListener("pointercancel", () => { drag = null; draw(); });
		element.addEventListener("dblclick", () => show(whole.from, whole.to));
	}
	const centre = (event) => {
		if (!(event.buttons & 1)) return;
		const span = view.to - view.from, t = timeAt(overview, event.offsetX, whole);
		show(t - span / 2, t + span / 2);
	};
	overview.addEventListener("pointerdown", centre);
	overview.addEventListener("pointermove", centre);
	overview.addEventListener("dblclick", () => show(whole.from, whole.to));
	canvas.addEventListener("pointermove", hover);
	canvas.addEventListener("pointerleave", () => { byId("tip").hidden = true; });
	byId("labels").addEventListener("click", (event) => {
		const node = event.target.closest(".lane");
		if (node) choose(lanes[node.dataset.lane]);
	});
	scroller.addEventListener("scroll", () => { byId("tip").hidden = true; draw(); });
	scroller.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(keys, event.key)) return;
		event.preventDefault();
		keys[event.key]();
	});
	const press = (id, act) => byId(id).addEventListener("click", act);
	press("zoom-in", () => zoom(0.5));
	press("zoom-out", () => zoom(2));
	press("earlier", () => move(-0.5));
	press("later", () => move(0.5));
	press("reset", () => show(whole.from, whole.to));
	press("zone", () => {
		zoneMs = zoneMs ? 0 : data.utc_offset_s * 1000;
		byId("zone").textContent = zoneMs ? "UTC" : "Local time";
		draw();
		for (const table of tables) table.refresh();
	});
	byId("undrawn").hidden = !data.undrawn;
	byId("undrawn").textContent = `Not drawn: ${data.undrawn} keepalives and answers of connections that were forgotten meanwhile.`;
	byId("zone").hidden = !data.utc_offset_s;
	byId("order").addEventListener("change", list);
	byId("affected").addEventListener("change", list);
	byId("find").addEventListener("input", list);
	darkness.addEventListener("change", () => { drawLegend(); draw(); });
	new ResizeObserver(draw).observe(byId("chart"));
	list();
	drawNow();
}
